//! Stores whose bytes were changed, and readers that believe them: the planted bugs.

use crate::{SliceStore, words};
use mapleaf_btree::{TreeOptions, Writer};
use mapleaf_pager::{Durability, Options, SliceMapping, Store, kind};
use std::collections::BTreeMap;
use std::sync::OnceLock;
use xxhash_rust::xxh3::xxh3_64;

/// Page size of the stores here, in bytes.
pub const PAGE: usize = 512;
const RAM_BYTES: usize = 1 << 19;
/// Entries of the made store: enough for three levels.
const ENTRIES: u16 = 220;
/// Bytes of the keys and values of the store of fixed width.
pub const FIXED_WIDTH: (u16, u16) = (8, 12);
/// Every so many values is a run of pages.
const RUN_EVERY: u16 = 40;

/// A small sound store, closed cleanly.
pub struct Made {
    /// Its bytes.
    pub image: Vec<u8>,
    /// Pages of its trees that have slots: inner pages and leaves.
    pub tree_pages: Vec<usize>,
    /// What its one tree, `t`, holds.
    pub entries: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// The store that changes are made to. The same each time.
pub fn made() -> &'static Made {
    static MADE: OnceLock<Made> = OnceLock::new();
    MADE.get_or_init(|| {
        let mut entries = BTreeMap::new();
        for number in 0..ENTRIES {
            let key = format!(
                "{:04}/{}",
                u32::from(number) * 7919 % u32::from(ENTRIES),
                "key".repeat(number as usize % 9)
            );
            let len = if number % RUN_EVERY == 0 { 700 } else { usize::from(number % 30) };
            entries.insert(key.into_bytes(), vec![number as u8; len]);
        }
        make(TreeOptions::default(), entries)
    })
}

/// As [`made`], of a tree of fixed width. The same each time.
pub fn made_fixed() -> &'static Made {
    static MADE: OnceLock<Made> = OnceLock::new();
    MADE.get_or_init(|| {
        let entry = |number: u16| {
            let key = u64::from(number * 3).to_be_bytes().to_vec();
            (key, vec![number as u8; usize::from(FIXED_WIDTH.1)])
        };
        let options = TreeOptions::default().fixed_width(FIXED_WIDTH.0, FIXED_WIDTH.1);
        make(options, (0..2 * ENTRIES).map(entry).collect())
    })
}

/// As [`made`], of keys that start alike: some leaves are of fingerprints. The same each time.
pub fn made_prints() -> &'static Made {
    static MADE: OnceLock<Made> = OnceLock::new();
    MADE.get_or_init(|| {
        let entry = |number: u16| {
            let host = u32::from(number) * 7919 % 40;
            let key = format!("{host:02}/the same/{number:03}");
            (key.into_bytes(), vec![number as u8; usize::from(number % 9)])
        };
        let made = make(TreeOptions::default(), (0..ENTRIES).map(entry).collect());
        let prints = |page: &&usize| made.image[**page * PAGE + 16] == kind::LEAF_FINGERPRINT;
        assert!(made.tree_pages.iter().filter(prints).count() > 4);
        made
    })
}

/// A sound store of these entries, closed cleanly.
fn make(tree: TreeOptions, entries: BTreeMap<Vec<u8>, Vec<u8>>) -> Made {
    let mut ram = vec![0; RAM_BYTES];
    let options = Options::default().page_size(PAGE as u32).log_bytes(0, 0);
    let store = Store::create(SliceMapping::empty(&mut ram), words(), &options).unwrap();
    fill(&store, tree, &entries).unwrap();
    store.close().unwrap();
    let pages = store.stats().page_count as usize;
    drop(store);
    ram.truncate(pages * PAGE);
    let kind_of = |page: &usize| ram[page * PAGE + 16];
    let of_tree = |page: &usize| kind_of(page) == kind::INNER || kind::is_leaf(kind_of(page));
    let tree_pages = (2..pages).filter(of_tree).collect();
    Made { image: ram, tree_pages, entries }
}

fn fill(
    store: &SliceStore<'_>,
    options: TreeOptions,
    entries: &BTreeMap<Vec<u8>, Vec<u8>>,
) -> mapleaf_btree::Result<()> {
    let mut writer = Writer::new(store.begin_write()?)?;
    let tree = writer.create("t", options)?;
    for (key, value) in entries {
        writer.tree(tree)?.insert(key, value)?;
    }
    writer.commit(Durability::Sync)?;
    Ok(())
}

/// Bytes that the checksum of a page, or of a run, is of, itself included; more than there are, where a run lies.
fn sealed_bytes(image: &[u8], page_size: usize, page: usize) -> usize {
    let header: [u8; 16] = *image[page * page_size + 16..].first_chunk().unwrap();
    let len = u64::from_le_bytes(*header[8..].first_chunk().unwrap());
    if header[0] == kind::RUN { len.saturating_add(32) as usize } else { page_size }
}

/// The checksum that these bytes have as page `page`, or as the run that starts there: as docs/format.md has it.
fn checksum(page: usize, bytes: &[u8]) -> [u8; 8] {
    let mixed = (page as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (xxh3_64(&bytes[8..]) ^ mixed).to_le_bytes()
}

/// Puts the checksum of a page, or of a whole run, right again.
pub fn seal(image: &mut [u8], page: usize) {
    let bytes = &image[page * PAGE..];
    let len = sealed_bytes(image, PAGE, page).min(bytes.len()).max(32);
    let sum = checksum(page, &bytes[..len]);
    image[page * PAGE..][..8].copy_from_slice(&sum);
}

/// Whether a page, or the run that starts there, lies in the image and has the right checksum.
pub fn whole(image: &[u8], page_size: usize, page: usize) -> bool {
    let start = page.saturating_mul(page_size);
    if image.len() < start.saturating_add(page_size) {
        return false;
    }
    let bytes = image[start..].get(..sealed_bytes(image, page_size, page));
    bytes.is_some_and(|bytes| bytes[..8] == checksum(page, bytes))
}

/// A planted bug: reads all cells of a leaf, and believes every offset and length.
pub fn naive_leaf(page: &[u8]) -> usize {
    let at = |offset: usize| usize::from(u16::from_le_bytes([page[offset], page[offset + 1]]));
    if page[16] != kind::LEAF {
        return 0;
    }
    let (count, capacity, prefix) = (at(18), at(20), at(22));
    let offsets = 32 + prefix.next_multiple_of(4) + 4 * capacity;
    let cell = |slot: usize| {
        let cell = at(offsets + 2 * slot);
        page[cell + 4..cell + 4 + at(cell)].len()
    };
    (0..count).map(cell).sum()
}

/// A planted bug: reads the last byte of a file, and believes its meta about where that is.
pub fn naive_last_byte(image: &[u8]) -> u8 {
    if image.len() < PAGE || image[8..16] != *b"mapleaf\0" {
        return 0;
    }
    let pages = u32::from_le_bytes([image[256], image[257], image[258], image[259]]);
    let last = ((u64::from(pages)) << (image[50] % 17)).saturating_sub(1);
    // SAFETY: none. The sanitizer must see it.
    unsafe { image.as_ptr().wrapping_add(last as usize).read_volatile() }
}
