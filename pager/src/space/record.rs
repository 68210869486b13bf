//! The state's record in a meta or a savepoint: bytes to `Space` and back.

use super::bitmap::HEIGHT_MAX;
use super::entry::{Bucket, Chain, ENTRY_BYTES, Entry};
use super::inline::Inline;
use super::{Space, SpaceStats};
use crate::page::{put_u32, put_u64, u32_at, u64_at};
use crate::{Damage, Error, PageId, Result, TxnId};

const FLAG_CLOSING: u8 = 1;
/// Where the chains begin, and the lists behind them.
const AT_CHAINS: usize = 44;
const AT_LISTS: usize = AT_CHAINS + 3 * CHAIN_BYTES;
const CHAIN_BYTES: usize = 10;
const BUCKET_BYTES: usize = 8 + CHAIN_BYTES;

/// What the record holds in a store of some page size.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Limits {
    pub(super) reserve: usize,
    pub(super) ready: usize,
    pub(super) pinned: usize,
    pub(super) buckets: usize,
}

impl Limits {
    /// As much as fits behind the 256 bytes that a meta needs for other things.
    pub(super) const fn new(page_size: usize) -> Limits {
        match page_size {
            0..1024 => Limits { reserve: 4, ready: 8, pinned: 4, buckets: 2 },
            1024..2048 => Limits { reserve: 8, ready: 32, pinned: 18, buckets: 5 },
            2048..4096 => Limits { reserve: 12, ready: 64, pinned: 52, buckets: 8 },
            _ => Limits { reserve: 16, ready: 128, pinned: 96, buckets: 16 },
        }
    }

    const fn record_bytes(self) -> usize {
        AT_LISTS
            + (self.reserve + self.ready) * 4
            + self.pinned * ENTRY_BYTES
            + self.buckets * BUCKET_BYTES
    }
}

const _: () = assert!(Limits::new(512).record_bytes() <= 512 - 256);
const _: () = assert!(Limits::new(1024).record_bytes() <= 1024 - 256);
const _: () = assert!(Limits::new(2048).record_bytes() <= 2048 - 256);
const _: () = assert!(Limits::new(4096).record_bytes() <= 4096 - 256);

impl Chain {
    fn read(bytes: &[u8], at: usize) -> Chain {
        let head_len = bytes.get(at + 8..at + 10).and_then(|s| s.first_chunk::<2>());
        Chain {
            head: PageId(u32_at(bytes, at)),
            entries: u32_at(bytes, at + 4),
            head_len: head_len.map_or(0, |chunk| u16::from_le_bytes(*chunk)),
        }
    }

    fn write(self, bytes: &mut [u8], at: usize) {
        put_u32(bytes, at, self.head.0);
        put_u32(bytes, at + 4, self.entries);
        if let Some(place) = bytes.get_mut(at + 8..at + 10) {
            place.copy_from_slice(&self.head_len.to_le_bytes());
        }
    }
}

impl Space {
    /// Writes the record of a store with pages of `page_size` bytes into `out`, which is at least
    /// `min(page_size, 4096) - 256` bytes. Needs no page.
    pub(crate) fn encode(&self, _page_size: usize, out: &mut [u8]) {
        put_u32(out, 0, self.page_count);
        put_u32(out, 4, self.bitmap.0);
        let flags = if self.closing { FLAG_CLOSING } else { 0 };
        // No list is longer than 128.
        let small = [
            self.height,
            self.reserve.len() as u8,
            self.ready.len() as u8,
            self.pinned.len() as u8,
            self.buckets.len() as u8,
            self.claimable as u8,
            flags,
            0,
        ];
        if let Some(place) = out.get_mut(8..16) {
            place.copy_from_slice(&small);
        }
        put_u32(out, 16, self.stats.free_pages);
        put_u32(out, 20, self.stats.pinned_pages);
        put_u32(out, 24, self.stats.space_pages);
        put_u64(out, 28, self.started.0);
        put_u64(out, 36, self.base.0);
        for (i, chain) in [self.fresh, self.walking, self.ended].into_iter().enumerate() {
            chain.write(out, AT_CHAINS + i * CHAIN_BYTES);
        }
        let mut at = AT_LISTS;
        for page in self.reserve.as_slice().iter().chain(self.ready.as_slice()) {
            put_u32(out, at, *page);
            at += 4;
        }
        for entry in self.pinned.as_slice() {
            entry.write(out, at);
            at += ENTRY_BYTES;
        }
        for bucket in self.buckets.as_slice() {
            put_u64(out, at, bucket.tag.0);
            bucket.chain.write(out, at + 8);
            at += BUCKET_BYTES;
        }
    }

    /// Reads the record of a store with pages of `page_size` bytes.
    ///
    /// # Errors
    /// `Corrupt` (layout, no page): a count, page or state is not one the store can have.
    pub(crate) fn decode(page_size: usize, record: &[u8]) -> Result<Space> {
        let damaged = Error::corrupt(PageId::NONE, Damage::Layout);
        let limits = Limits::new(page_size);
        if record.len() < limits.record_bytes() {
            return Err(damaged);
        }
        let Some(&[height, reserve, ready, pinned, buckets, claimable, flags, 0]) =
            record.get(8..16).and_then(|s| s.first_chunk::<8>())
        else {
            return Err(damaged);
        };
        let mut space = Space::new(u32_at(record, 0));
        space.bitmap = PageId(u32_at(record, 4));
        space.height = height;
        space.closing = flags == FLAG_CLOSING;
        space.claimable = usize::from(claimable);
        space.stats = SpaceStats {
            free_pages: u32_at(record, 16),
            pinned_pages: u32_at(record, 20),
            space_pages: u32_at(record, 24),
        };
        space.started = TxnId(u64_at(record, 28));
        space.base = TxnId(u64_at(record, 36));
        let chain = |i| Chain::read(record, AT_CHAINS + i * CHAIN_BYTES);
        (space.fresh, space.walking, space.ended) = (chain(0), chain(1), chain(2));
        let mut at = AT_LISTS;
        let page = |at| u32_at(record, at);
        let whole = read(&mut space.reserve, limits.reserve, reserve, &mut at, 4, page)
            && read(&mut space.ready, limits.ready, ready, &mut at, 4, page)
            && read(&mut space.pinned, limits.pinned, pinned, &mut at, ENTRY_BYTES, |at| {
                Entry::read(record, at)
            })
            && read(&mut space.buckets, limits.buckets, buckets, &mut at, BUCKET_BYTES, |at| {
                Bucket { tag: TxnId(u64_at(record, at)), chain: Chain::read(record, at + 8) }
            });
        if whole && flags <= FLAG_CLOSING && space.is_plausible(page_size) {
            Ok(space)
        } else {
            Err(damaged)
        }
    }

    fn is_plausible(&self, page_size: usize) -> bool {
        let stats = self.stats;
        let counted = [stats.free_pages, stats.pinned_pages, stats.space_pages];
        let counted: u64 = counted.into_iter().map(u64::from).sum();
        let singles = self.reserve.as_slice().iter().chain(self.ready.as_slice());
        let mut buckets = self.buckets.as_slice().iter();
        let chains = [self.fresh, self.walking, self.ended];
        let chain_fits = |chain: &Chain| chain.is_plausible(page_size, self.page_count);
        let root = if self.height == 0 {
            self.bitmap.is_none()
        } else {
            self.check_range(self.bitmap, 1).is_ok() && usize::from(self.height) <= HEIGHT_MAX
        };
        root && self.page_count >= 2
            && counted <= u64::from(self.page_count)
            && self.claimable <= self.ready.len()
            && chains.iter().all(chain_fits)
            && buckets.all(|bucket| !bucket.chain.is_empty() && chain_fits(&bucket.chain))
            && singles.copied().all(|page| self.check_range(PageId(page), 1).is_ok())
            && self.pinned.as_slice().iter().all(|entry| {
                entry.birth <= entry.freed_at && self.check_range(entry.page, entry.pages).is_ok()
            })
    }
}

/// Reads a list of `len` items of `bytes` bytes, of which there may be `limit`; moves `at` behind it.
fn read<T: Copy, const N: usize>(
    list: &mut Inline<T, N>,
    limit: usize,
    len: u8,
    at: &mut usize,
    bytes: usize,
    item: impl Fn(usize) -> T,
) -> bool {
    let start = *at;
    *at += usize::from(len) * bytes;
    usize::from(len) <= limit && (start..*at).step_by(bytes).all(|at| list.push(item(at)))
}
