//! Freed pages that may still be seen, and the list pages that hold them.
//!
//! A list page (kind `FREED_LIST`; offsets in the page, little-endian):
//!
//! | bytes | field |
//! |---|---|
//! | 18..20 | entries on the page |
//! | 20..22 | entries of the next page that are in use |
//! | 28..32 | next page of the chain, 0 = none |
//! | 32.. | entries of 24 bytes: page u32, pages u32, birth u64, freed at u64 |
//!
//! A chain is used as a stack. How many entries of its head page are in use stands beside the
//! reference to it, so taking entries off a page changes no byte of it. An entry whose freed-at is
//! all ones is a *link*: another chain (head, entries of the head in use, entries in all).

use super::{Space, SpaceHost};
use crate::page::{OWNED_BYTES, kind, put_u32, put_u64, u32_at, u64_at};
use crate::{Damage, Error, PageId, Result, TxnId};

/// Bytes of an entry, on list pages and in the state's record.
pub(crate) const ENTRY_BYTES: usize = 24;
/// Freed-at of an entry that is a link.
pub(crate) const LINK: TxnId = TxnId(u64::MAX);

const AT_KIND: usize = 0;
const AT_COUNT: usize = 2;
const AT_NEXT_LEN: usize = 4;
const AT_NEXT: usize = 28 - OWNED_BYTES;
const AT_ENTRIES: usize = 32 - OWNED_BYTES;

/// Entries that a list page holds.
pub(super) const fn list_capacity(page_size: usize) -> usize {
    (page_size - 32) / ENTRY_BYTES
}

/// Pages that were born together and freed together, and are visible in the states between.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Entry {
    pub(super) page: PageId,
    pub(super) pages: u32,
    pub(super) birth: TxnId,
    pub(super) freed_at: TxnId,
}

impl Entry {
    pub(super) fn read(bytes: &[u8], at: usize) -> Entry {
        Entry {
            page: PageId(u32_at(bytes, at)),
            pages: u32_at(bytes, at + 4),
            birth: TxnId(u64_at(bytes, at + 8)),
            freed_at: TxnId(u64_at(bytes, at + 16)),
        }
    }

    pub(super) fn write(&self, bytes: &mut [u8], at: usize) {
        put_u32(bytes, at, self.page.0);
        put_u32(bytes, at + 4, self.pages);
        put_u64(bytes, at + 8, self.birth.0);
        put_u64(bytes, at + 16, self.freed_at.0);
    }

    /// Adds the pages of `other` where they adjoin and were born and freed at the same times.
    pub(super) fn join(&mut self, other: &Entry) -> bool {
        let same = self.birth == other.birth && self.freed_at == other.freed_at;
        let Some(pages) = self.pages.checked_add(other.pages) else {
            return false;
        };
        if same && self.page.0.checked_add(self.pages) == Some(other.page.0) {
            self.pages = pages;
            true
        } else if same && other.page.0.checked_add(other.pages) == Some(self.page.0) {
            *self = Entry { page: other.page, pages, ..*self };
            true
        } else {
            false
        }
    }

    /// The chain this entry stands for, if it is a link.
    pub(super) fn as_link(&self) -> Option<Chain> {
        (self.freed_at == LINK).then_some(Chain {
            head: self.page,
            head_len: u16::try_from(self.pages).unwrap_or(u16::MAX),
            entries: u32::try_from(self.birth.0).unwrap_or(u32::MAX),
        })
    }
}

/// A stack of entries on list pages.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Chain {
    pub(super) head: PageId,
    /// Entries of the head page that are in use: the first ones.
    pub(super) head_len: u16,
    /// Entries of all pages that are in use.
    pub(super) entries: u32,
}

impl Chain {
    pub(super) const EMPTY: Chain = Chain { head: PageId::NONE, head_len: 0, entries: 0 };

    pub(super) fn is_empty(&self) -> bool {
        self.entries == 0
    }

    pub(super) fn as_link(&self) -> Entry {
        Entry {
            page: self.head,
            pages: u32::from(self.head_len),
            birth: TxnId(u64::from(self.entries)),
            freed_at: LINK,
        }
    }

    /// Whether the numbers can be those of a chain in a store of `page_count` pages.
    pub(super) fn is_plausible(&self, page_size: usize, page_count: u32) -> bool {
        if self.is_empty() {
            return *self == Chain::EMPTY;
        }
        let head_len = u32::from(self.head_len);
        (2..page_count).contains(&self.head.0)
            && (1..=list_capacity(page_size) as u32).contains(&head_len)
            && head_len <= self.entries
            // Each entry is at least a page.
            && self.entries <= page_count
    }
}

/// A chain of entries that wait for one pin to end.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Bucket {
    pub(super) tag: TxnId,
    pub(super) chain: Chain,
}

/// The entries in use on a chain's head page, and the chain behind them.
pub(super) struct Head<'a> {
    body: &'a [u8],
    len: usize,
    /// The chain without its head page.
    pub(super) rest: Chain,
}

impl<'a> Head<'a> {
    /// Reads and checks the head page of a chain that is not empty.
    pub(super) fn read(host: &'a dyn SpaceHost, chain: Chain, page_count: u32) -> Result<Head<'a>> {
        let damaged = |damage| Err(Error::corrupt(chain.head, damage));
        if !chain.is_plausible(host.page_size(), page_count) {
            return damaged(Damage::Layout);
        }
        let body = host.read(chain.head)?;
        if body.get(AT_KIND) != Some(&kind::FREED_LIST) {
            return damaged(Damage::Kind);
        }
        if u16_at(body, AT_COUNT) < chain.head_len {
            return damaged(Damage::Count);
        }
        let rest = Chain {
            head: PageId(u32_at(body, AT_NEXT)),
            head_len: u16_at(body, AT_NEXT_LEN),
            entries: chain.entries - u32::from(chain.head_len),
        };
        if !rest.is_plausible(host.page_size(), page_count) {
            return damaged(Damage::Layout);
        }
        Ok(Head { body, len: usize::from(chain.head_len), rest })
    }

    /// Entries in use.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn entry(&self, at: usize) -> Entry {
        Entry::read(self.body, AT_ENTRIES + at * ENTRY_BYTES)
    }
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    match bytes.get(at..at + 2).and_then(|s| s.first_chunk::<2>()) {
        Some(chunk) => u16::from_le_bytes(*chunk),
        None => 0,
    }
}

fn put_u16(bytes: &mut [u8], at: usize, value: u16) {
    if let Some(place) = bytes.get_mut(at..at + 2) {
        place.copy_from_slice(&value.to_le_bytes());
    }
}

impl Space {
    /// `chain` with `entry` on top. Claims a page where the head page is full or not this
    /// transaction's; frees nothing.
    pub(super) fn push_entry(
        &mut self,
        host: &mut dyn SpaceHost,
        mut chain: Chain,
        entry: &Entry,
    ) -> Result<Chain> {
        let full = usize::from(chain.head_len) >= list_capacity(host.page_size());
        if chain.is_empty() || full || !host.owned(chain.head)? {
            let head = self.start_own(host, kind::FREED_LIST)?;
            let body = host.edit(head)?;
            put_u32(body, AT_NEXT, chain.head.0);
            put_u16(body, AT_NEXT_LEN, chain.head_len);
            chain = Chain { head, head_len: 0, ..chain };
        }
        let body = host.edit(chain.head)?;
        if body.get(AT_KIND) != Some(&kind::FREED_LIST) {
            return Err(Error::corrupt(chain.head, Damage::Kind));
        }
        entry.write(body, AT_ENTRIES + usize::from(chain.head_len) * ENTRY_BYTES);
        chain.head_len += 1;
        chain.entries = chain.entries.checked_add(1).ok_or(Error::Full)?;
        put_u16(body, AT_COUNT, chain.head_len);
        Ok(chain)
    }
}
