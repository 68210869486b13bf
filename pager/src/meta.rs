//! Metas: the two places from which a store is opened.
//!
//! Slot 0 is page 0, slot 1 is page 1; a page is at least a write unit, so a torn store harms one
//! slot only. When slot 0 is unreadable, slot 1 is found by trying the eight page sizes.
//!
//! | bytes | field |
//! |---|---|
//! | 0..8 | XXH3-64 of bytes 8..M, mixed with the slot number; M = min(page size, 4096) |
//! | 8..16 | magic `mapleaf\0` |
//! | 16..20 | format version, 1 |
//! | 20..24 | byte-order mark `0x0A0B0C0D` |
//! | 24..32, 32..40, 40..48 | incompatible, read-only compatible, compatible features |
//! | 48 | checksum kind: 1 = XXH3-64 |
//! | 49 | bytes a page number: 4 |
//! | 50 | log2 of the page size |
//! | 51 | slot: 0 or 1 |
//! | 52..54 | bytes reserved at each page's end: 0 |
//! | 54..56 | flags: bit 0 = closed cleanly |
//! | 56..72 | UUID of the file |
//! | 72..80 | history epoch: raised at each opening for writing |
//! | 80..88 | transaction |
//! | 88..92, 92..96 | log ring: first page, pages (0 = none) |
//! | 96..104 | log ring's salt |
//! | 104..112 | log position: bytes from the ring's start behind the last block that this state holds |
//! | 112..120 | checksum of that block |
//! | 120..128 | transaction that made the ring |
//! | 128..192 | root data: the catalog's tree record |
//! | 192..196 | root of persistent savepoints (reserved, 0) |
//! | 196..256 | reserved, 0 |
//! | 256..M | space: counts, reserve, ready pages, pinned entries, buckets (see `space`) |

use crate::page::{
    self, PAGE_SIZE_FORMAT_MAX, PAGE_SIZE_MAX, PAGE_SIZE_MIN, put_u32, put_u64, u32_at, u64_at,
};
use crate::pages::{ROOT_BYTES, Root};
use crate::planted::{self, Bug};
use crate::space::Space;
use crate::{Error, PageId, Result, TxnId, Unsupported};

const MAGIC: [u8; 8] = *b"mapleaf\0";
const VERSION: u32 = 1;
const BYTE_ORDER: u32 = 0x0A0B_0C0D;
const CHECKSUM_XXH3: u8 = 1;
const PAGE_NUMBER_BYTES: u8 = 4;
const FLAG_CLEAN: u16 = 1;
pub(crate) const AT_ROOT: usize = 128;
pub(crate) const AT_SPACE: usize = 256;
/// No meta record is larger, whatever the page size: one host page.
const RECORD_MAX: usize = 4096;

/// What never changes in a store, and how it was closed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Identity {
    pub(crate) page_shift: u32,
    pub(crate) uuid: [u8; 16],
    pub(crate) epoch: u64,
    pub(crate) clean: bool,
    /// Features this build does not know, but may read (bits of the read-only compatible mask).
    pub(crate) read_only_features: u64,
    pub(crate) compatible_features: u64,
}

impl Identity {
    /// Of the next opening for writing.
    pub(crate) fn next_epoch(self) -> Identity {
        Identity { epoch: self.epoch.wrapping_add(1), clean: false, ..self }
    }
}

/// The log ring's place, and where the next block goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct LogPlace {
    pub(crate) start: PageId,
    pub(crate) pages: u32,
    pub(crate) salt: u64,
    pub(crate) position: u64,
    pub(crate) last_checksum: u64,
    pub(crate) made_by: TxnId,
}

/// A committed state: all of it but the pages themselves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct State {
    pub(crate) txn: TxnId,
    /// Incompatible features that this state or one before it uses.
    pub(crate) features: u64,
    pub(crate) root: Root,
    pub(crate) log: LogPlace,
    pub(crate) space: Space,
}

/// Bytes of a meta record in a store with pages of `page_size` bytes.
pub(crate) fn record_len(page_size: usize) -> usize {
    page_size.min(RECORD_MAX)
}

/// Writes a meta into `out`, which is `record_len` bytes.
pub(crate) fn encode(out: &mut [u8], slot: u8, identity: &Identity, state: &State) {
    out.fill(0);
    let page_size = 1usize << identity.page_shift;
    if let Some(magic) = out.get_mut(8..16) {
        magic.copy_from_slice(&MAGIC);
    }
    put_u32(out, 16, VERSION);
    put_u32(out, 20, BYTE_ORDER);
    put_u64(out, 24, state.features);
    put_u64(out, 32, identity.read_only_features);
    put_u64(out, 40, identity.compatible_features);
    let flags = if identity.clean { FLAG_CLEAN } else { 0 }.to_le_bytes();
    let small = [
        CHECKSUM_XXH3,
        PAGE_NUMBER_BYTES,
        identity.page_shift as u8,
        slot,
        0,
        0,
        flags[0],
        flags[1],
    ];
    if let Some(to) = out.get_mut(48..56) {
        to.copy_from_slice(&small);
    }
    if let Some(to) = out.get_mut(56..72) {
        to.copy_from_slice(&identity.uuid);
    }
    put_u64(out, 72, identity.epoch);
    put_u64(out, 80, state.txn.0);
    put_u32(out, 88, state.log.start.0);
    put_u32(out, 92, state.log.pages);
    put_u64(out, 96, state.log.salt);
    put_u64(out, 104, state.log.position);
    put_u64(out, 112, state.log.last_checksum);
    put_u64(out, 120, state.log.made_by.0);
    if let Some(to) = out.get_mut(AT_ROOT..AT_ROOT + ROOT_BYTES) {
        to.copy_from_slice(&state.root);
    }
    if let Some(space) = out.get_mut(AT_SPACE..) {
        state.space.encode(page_size, space);
    }
    let sum = record_checksum(slot, out);
    put_u64(out, 0, sum);
}

/// The checksum that a record should have.
pub(crate) fn record_checksum(slot: u8, record: &[u8]) -> u64 {
    page::checksum(PageId(u32::from(slot)), record.get(8..).unwrap_or(&[]))
}

fn has_magic(bytes: &[u8]) -> bool {
    bytes.get(8..16) == Some(&MAGIC)
}

/// The page shift that a whole meta of slot `slot` names, if its checksum is right.
pub(crate) fn valid_shift(bytes: &[u8], slot: u8) -> Option<u32> {
    if !has_magic(bytes) || bytes.get(51) != Some(&slot) {
        return None;
    }
    let shift = u32::from(*bytes.get(50)?);
    let page_size = 1usize.checked_shl(shift)?;
    if !(PAGE_SIZE_MIN..=PAGE_SIZE_MAX).contains(&page_size) {
        return None;
    }
    let record = bytes.get(..record_len(page_size))?;
    let right = record_checksum(slot, record) == u64_at(record, 0);
    (right || planted::is(Bug::NoMetaChecksum)).then_some(shift)
}

/// Whether the bytes look like a meta of the store with that UUID, whole or not; a byte of what says so may be damaged.
pub(crate) fn is_of(record: &[u8], uuid: &[u8; 16]) -> bool {
    let (Some(magic), Some(of)) = (record.get(8..16), record.get(56..72)) else { return false };
    let pairs = magic.iter().zip(&MAGIC).chain(of.iter().zip(uuid));
    pairs.filter(|(found, right)| found != right).count() <= 1
}

/// Where the log is by a meta.
pub(crate) fn log_place(record: &[u8]) -> LogPlace {
    LogPlace {
        start: PageId(u32_at(record, 88)),
        pages: u32_at(record, 92),
        salt: u64_at(record, 96),
        position: u64_at(record, 104),
        last_checksum: u64_at(record, 112),
        made_by: TxnId(u64_at(record, 120)),
    }
}

/// Where whole metas are: the page shift, and which slots are whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Found {
    pub(crate) page_shift: u32,
    pub(crate) whole: [bool; 2],
}

/// Looks for metas. `bytes(offset, len)` returns up to `len` bytes of the mapping (fewer at its end).
///
/// # Errors
/// `Unsupported` where nothing looks like a meta of this format; `NoMeta` where both are damaged.
pub(crate) fn find<'b>(len: u64, bytes: impl Fn(u64, usize) -> &'b [u8]) -> Result<Found> {
    if len < 2 * PAGE_SIZE_MIN as u64 {
        return Err(Error::Unsupported(Unsupported::TooShort { bytes: len }));
    }
    let first = bytes(0, RECORD_MAX);
    if let Some(page_shift) = valid_shift(first, 0) {
        let second = valid_shift(bytes(1 << page_shift, RECORD_MAX), 1) == Some(page_shift);
        return Ok(Found { page_shift, whole: [true, second] });
    }
    let mut strange = Error::Unsupported(Unsupported::NotMapleaf);
    if has_magic(first) {
        strange = unreadable(first);
    }
    let smallest = PAGE_SIZE_MIN.trailing_zeros();
    for page_shift in smallest..=PAGE_SIZE_MAX.trailing_zeros() {
        let second = bytes(1 << page_shift, RECORD_MAX);
        if valid_shift(second, 1) == Some(page_shift) {
            return Ok(Found { page_shift, whole: [false, true] });
        }
        if has_magic(second) && second.get(51) == Some(&1) {
            strange = unreadable(second);
        }
    }
    Err(strange)
}

/// Why a meta with our magic, but without a checksum that matches, cannot be read.
fn unreadable(record: &[u8]) -> Error {
    if u32_at(record, 20) == BYTE_ORDER.swap_bytes() {
        return Error::Unsupported(Unsupported::Endianness);
    }
    let shift = u32::from(record.get(50).copied().unwrap_or(0));
    let page_size = (1usize << shift.min(31)).min(PAGE_SIZE_FORMAT_MAX);
    match u32_at(record, 16) {
        VERSION if page_size > PAGE_SIZE_MAX => {
            let (found, wanted) = (page_size as u32, PAGE_SIZE_MAX as u32);
            Error::Unsupported(Unsupported::PageSize { found, wanted })
        }
        VERSION => Error::NoMeta,
        found => Error::Unsupported(Unsupported::Version { found }),
    }
}

/// Reads a meta whose checksum [`find`] has seen to match, and whether its space record can be one: if
/// not, the state's space has the page count and nothing else.
///
/// # Errors
/// `Unsupported` by version, features, layout. Of the space: `Corrupt` where it contradicts itself.
pub(crate) fn decode(record: &[u8]) -> Result<(Identity, State, Result<()>)> {
    let unsupported = |why| Err(Error::Unsupported(why));
    if u32_at(record, 20) == BYTE_ORDER.swap_bytes() {
        return unsupported(Unsupported::Endianness);
    }
    let found = u32_at(record, 16);
    if found != VERSION {
        return unsupported(Unsupported::Version { found });
    }
    let features = u64_at(record, 24);
    let unknown = features & !crate::features::KNOWN;
    if unknown != 0 {
        return unsupported(Unsupported::Features { unknown });
    }
    let Some(&[checksum, number_bytes, shift, _slot, tail0, tail1, flags0, flags1]) =
        record.get(48..56).and_then(|s| s.first_chunk::<8>())
    else {
        return Err(Error::NoMeta);
    };
    if checksum != CHECKSUM_XXH3 || number_bytes != PAGE_NUMBER_BYTES || tail0 | tail1 != 0 {
        return unsupported(Unsupported::Layout);
    }
    let page_shift = u32::from(shift);
    let mut uuid = [0; 16];
    uuid.copy_from_slice(record.get(56..72).unwrap_or(&[0; 16]));
    let identity = Identity {
        page_shift,
        uuid,
        epoch: u64_at(record, 72),
        clean: u16::from_le_bytes([flags0, flags1]) & FLAG_CLEAN != 0,
        read_only_features: u64_at(record, 32),
        compatible_features: u64_at(record, 40),
    };
    let mut root = [0; ROOT_BYTES];
    root.copy_from_slice(record.get(AT_ROOT..AT_ROOT + ROOT_BYTES).unwrap_or(&[0; ROOT_BYTES]));
    let log = log_place(record);
    let decoded = Space::decode(1 << page_shift, record.get(AT_SPACE..).unwrap_or(&[]));
    let (space, whole) = match decoded {
        Ok(space) => (space, Ok(())),
        // Its first field; 2 where not even that can be right.
        Err(error) => (Space::new(u32_at(record, AT_SPACE).max(2)), Err(error)),
    };
    let state = State { txn: TxnId(u64_at(record, 80)), features, root, log, space };
    Ok((identity, state, whole))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Else a file would say something else than `docs/format.md` does, or than was stored: found when it is opened
    /// by another build, years later.
    #[test]
    fn a_meta_has_each_field_where_the_format_says() {
        let identity = Identity {
            page_shift: 9,
            uuid: *b"sixteen bytes id",
            epoch: 0x0102_0304_0506_0708,
            clean: true,
            read_only_features: 0x1112_1314_1516_1718,
            compatible_features: 0x2122_2324_2526_2728,
        };
        let log = LogPlace {
            start: PageId(0x3132_3334),
            pages: 0x3536_3738,
            salt: 0x4142_4344_4546_4748,
            position: 0x5152_5354_5556_5758,
            last_checksum: 0x6162_6364_6566_6768,
            made_by: TxnId(0x7172_7374_7576_7778),
        };
        let root: Root = core::array::from_fn(|at| 0x80 + at as u8);
        let state = State {
            txn: TxnId(0x0A0B_0C0D_0E0F_0102),
            features: crate::features::FIXED_WIDTH,
            root,
            log,
            space: Space::new(77),
        };
        // What was there before is another meta's.
        let mut record = [0xEE; 512];
        encode(&mut record, 1, &identity, &state);

        let mut wanted = std::vec![0; 8];
        wanted.extend(b"mapleaf\0");
        wanted.extend(1u32.to_le_bytes());
        wanted.extend(0x0A0B_0C0Du32.to_le_bytes());
        for mask in [state.features, identity.read_only_features, identity.compatible_features] {
            wanted.extend(mask.to_le_bytes());
        }
        wanted.extend([1, 4, 9, 1, 0, 0, 1, 0]);
        wanted.extend(b"sixteen bytes id");
        wanted.extend(identity.epoch.to_le_bytes());
        wanted.extend(state.txn.0.to_le_bytes());
        wanted.extend([0x34, 0x33, 0x32, 0x31, 0x38, 0x37, 0x36, 0x35]);
        for word in [log.salt, log.position, log.last_checksum, log.made_by.0] {
            wanted.extend(word.to_le_bytes());
        }
        wanted.extend(root);
        wanted.resize(AT_SPACE, 0);
        assert_eq!(record[8..AT_SPACE], wanted[8..]);
        assert_eq!(record[..8], record_checksum(1, &record).to_le_bytes());
        assert_eq!((valid_shift(&record, 1), valid_shift(&record, 0)), (Some(9), None));

        let (found, again, whole) = decode(&record).unwrap();
        assert_eq!((found, whole), (identity, Ok(())));
        assert_eq!((again.txn, again.features, again.root), (state.txn, state.features, root));
        assert_eq!((again.log, again.space.page_count), (log, 77));
    }

    /// Else "not a mapleaf file" would be said of one that a later version wrote, and whose other meta is damaged.
    #[test]
    fn a_later_version_is_named_whichever_meta_says_so() {
        let identity = Identity {
            page_shift: 9,
            uuid: [7; 16],
            epoch: 1,
            clean: true,
            read_only_features: 0,
            compatible_features: 0,
        };
        let (root, log, space) = ([0; ROOT_BYTES], LogPlace::default(), Space::new(8));
        let state = State { txn: TxnId(1), features: 0, root, log, space };
        for slot in [0, 1] {
            let mut file = [0; 1024];
            let meta = &mut file[512 * usize::from(slot)..][..512];
            encode(meta, slot, &identity, &state);
            meta[16] = 2;
            let found = find(1024, |offset, len| {
                let rest = &file[(offset as usize).min(1024)..];
                &rest[..len.min(rest.len())]
            });
            let wanted = Error::Unsupported(Unsupported::Version { found: 2 });
            assert_eq!(found, Err(wanted), "slot {slot}");
        }
    }
}
