//! The tree record: where a tree's root is, and what is counted of it.
//!
//! | bytes | field |
//! |---|---|
//! | 0..4 | root page, 0 for an empty tree |
//! | 4 | height: 0 empty, 1 the root is a leaf |
//! | 5 | flags: bit 2 fixed width; bits 0 counted, 1 multimap: 0 so far |
//! | 6..8 | bytes of a key of a fixed-width tree, else 0 |
//! | 8..16 | entries |
//! | 16..20, 20..24, 24..28 | inner pages, leaf pages, pages in runs |
//! | 28..32 | bytes of a value of a fixed-width tree, else 0 |
//! | 32..40 | the user's tag |
//! | 40..64 | reserved, zero |

use crate::FixedWidth;
use crate::error::{Error, Result};
use mapleaf_pager::{Damage, PageId, ROOT_BYTES};

/// Bytes of an encoded record.
pub const RECORD_BYTES: usize = ROOT_BYTES;

/// Pages from the root to a leaf, both included, at most: cursors keep a stack of this depth.
pub const HEIGHT_MAX: usize = if cfg!(feature = "large") { 32 } else { 10 };

/// The flag of a fixed-width tree.
const FLAG_FIXED: u8 = 1 << 2;
/// The flags that this build knows.
const FLAGS_KNOWN: u8 = if cfg!(feature = "fixed-width") { FLAG_FIXED } else { 0 };

/// Root, height, counts and tag of one tree.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct TreeRecord {
    /// Root page, or [`PageId::NONE`] for an empty tree.
    pub root: PageId,
    /// Pages from the root to a leaf: 0 for an empty tree, 1 where the root is a leaf.
    pub height: u8,
    /// Entries in the tree.
    pub entries: u64,
    /// Inner pages.
    pub inner_pages: u32,
    /// Leaf pages.
    pub leaf_pages: u32,
    /// Pages in the runs of large values.
    pub run_pages: u32,
    /// The user's tag: any number.
    pub tag: u64,
    /// The sizes of all its keys and values, where they were declared.
    pub fixed: Option<FixedWidth>,
}

/// Reads `N` bytes at `at`.
fn bytes_at<const N: usize>(bytes: &[u8; RECORD_BYTES], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[at..at + N]);
    out
}

impl TreeRecord {
    /// Decodes a record; a record of zeros is an empty tree.
    ///
    /// # Errors
    /// [`Error::UnsupportedTree`]: flags or sizes this build does not know;
    /// [`Corrupt`](mapleaf_pager::Error::Corrupt): another length, or fields that contradict each
    /// other.
    pub fn decode(bytes: &[u8]) -> Result<TreeRecord> {
        let bytes: &[u8; RECORD_BYTES] =
            bytes.try_into().map_err(|_| Error::corrupt(PageId::NONE, Damage::Layout))?;
        let root = PageId(u32::from_le_bytes(bytes_at(bytes, 0)));
        let unknown = bytes[5] & !FLAGS_KNOWN;
        if unknown != 0 {
            return Err(Error::UnsupportedTree { flags: unknown });
        }
        let damaged = Error::corrupt(root, Damage::Layout);
        let key_bytes = u16::from_le_bytes(bytes_at(bytes, 6));
        let value_bytes = u32::from_le_bytes(bytes_at(bytes, 28));
        let fixed = match (bytes[5], key_bytes, value_bytes) {
            (0, 0, 0) => None,
            (0, ..) | (_, 0, _) => return Err(damaged),
            _ => {
                let value_bytes = u16::try_from(value_bytes).map_err(|_| damaged)?;
                FixedWidth::new(key_bytes, value_bytes)
            }
        };
        let record = TreeRecord {
            root,
            height: bytes[4],
            entries: u64::from_le_bytes(bytes_at(bytes, 8)),
            inner_pages: u32::from_le_bytes(bytes_at(bytes, 16)),
            leaf_pages: u32::from_le_bytes(bytes_at(bytes, 20)),
            run_pages: u32::from_le_bytes(bytes_at(bytes, 24)),
            tag: u64::from_le_bytes(bytes_at(bytes, 32)),
            fixed,
        };
        if usize::from(record.height) > HEIGHT_MAX || record.root.is_none() != (record.height == 0)
        {
            return Err(Error::corrupt(record.root, Damage::Depth));
        }
        if bytes[40..] != [0; RECORD_BYTES - 40] {
            return Err(damaged);
        }
        Ok(record)
    }

    /// As [`decode`](TreeRecord::decode), of the names of trees, which are of any length.
    ///
    /// # Errors
    /// As [`decode`](TreeRecord::decode).
    pub(crate) fn decode_names(bytes: &[u8]) -> Result<TreeRecord> {
        match TreeRecord::decode(bytes)? {
            TreeRecord { root, fixed: Some(_), .. } => Err(Error::corrupt(root, Damage::Layout)),
            record => Ok(record),
        }
    }

    /// Encodes the record.
    #[must_use]
    pub fn encode(&self) -> [u8; RECORD_BYTES] {
        let mut bytes = [0; RECORD_BYTES];
        bytes[0..4].copy_from_slice(&self.root.0.to_le_bytes());
        bytes[4] = self.height;
        if let Some(FixedWidth { key_bytes, value_bytes, .. }) = self.fixed {
            bytes[5] = FLAG_FIXED;
            bytes[6..8].copy_from_slice(&key_bytes.to_le_bytes());
            bytes[28..32].copy_from_slice(&u32::from(value_bytes).to_le_bytes());
        }
        bytes[8..16].copy_from_slice(&self.entries.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.inner_pages.to_le_bytes());
        bytes[20..24].copy_from_slice(&self.leaf_pages.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.run_pages.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.tag.to_le_bytes());
        bytes
    }

    /// The record of an empty tree with the same tag and sizes.
    #[must_use]
    pub(crate) fn emptied(&self) -> TreeRecord {
        TreeRecord { tag: self.tag, fixed: self.fixed, ..TreeRecord::default() }
    }
}
