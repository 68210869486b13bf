//! Keys, values, names and ranges worth testing, each made of a number, so that it is met again.

use crate::data::fill;
use mapleaf::{KeyRange, NAME_BYTES_MAX};
use quickcheck::{Arbitrary, Gen};
use std::fmt;
use std::ops::Bound;
use std::rc::Rc;

/// Longest key in bytes on pages of this size, as docs/format.md has it: a quarter of what the header of 32
/// bytes leaves, without slot, cell header and reference to a run.
#[must_use]
pub(super) fn key_bytes_max(page_size: u32) -> usize {
    (page_size as usize - 32) / 4 - 26
}

/// A key: the low four bits are its kind, the rest its number in that kind.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Key(pub(super) u16);

impl Key {
    /// The bytes, at most `max`. Of every kind that has bitten somebody: empty, padded with zeros, of
    /// one byte in every length up to the longest, with long shared prefixes, with 0xFF, ascending.
    pub(super) fn bytes(self, max: usize) -> Vec<u8> {
        let n = usize::from(self.0 >> 4);
        let mut key = match self.0 % 16 {
            0 => vec![0; n % 9],
            1 => [&b"a"[..], &vec![0; n % 7]].concat(),
            2 => vec![b'k'; n % (max + 1)],
            3 => [&[b'p'; 60][..], &(n as u16).to_be_bytes()].concat(),
            4 => {
                let tail = vec![b'x'; max.saturating_sub(34)];
                [&[b'p'; 30][..], &(n as u32 % 50).to_be_bytes(), &tail].concat()
            }
            5 => vec![0xFF; n % 12],
            6 => [&vec![0xFF; n % 5][..], &[n as u8]].concat(),
            7 => format!("user/{:04}/name", n % 300).into_bytes(),
            8 => (n as u32 % 700).to_be_bytes().to_vec(),
            9 => (u64::MAX - 600 + n as u64 % 600).to_be_bytes().to_vec(),
            10 => [vec![n as u8 % 3; max / 2], vec![n as u8; max - max / 2]].concat(),
            _ => (n as u64 % 900).wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes()[..3 + n % 6]
                .to_vec(),
        };
        key.truncate(max);
        key
    }

    /// The bytes to look up, of which some are of no key that can be stored.
    pub(super) fn sought(self, max: usize) -> Vec<u8> {
        let mut key = self.bytes(max);
        if self.0 % 23 == 5 {
            key.resize(max + 1 + usize::from(self.0 >> 8), b'z');
        }
        key
    }

    /// The `i`th after this of the same kind.
    pub(super) fn after(self, i: u8) -> Key {
        Key(self.0.wrapping_add(u16::from(i) * 16))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // As on the smallest pages; longer pages have longer ones of three kinds.
        let bytes = self.bytes(key_bytes_max(512));
        write!(f, "Key({}: {:?}", self.0, String::from_utf8_lossy(&bytes[..bytes.len().min(20)]))?;
        write!(f, "{})", if bytes.len() > 20 { ".." } else { "" })
    }
}

impl Arbitrary for Key {
    fn arbitrary(g: &mut Gen) -> Key {
        Key(u16::arbitrary(g))
    }

    fn shrink(&self) -> Box<dyn Iterator<Item = Key>> {
        let Key(seed) = *self;
        // A lower number of its kind, or another kind.
        let lower = [seed % 16, seed / 32 * 16 + seed % 16, seed.saturating_sub(16)];
        let simple = [8, seed / 16 * 16 + 8];
        let better = move |other: &u16| {
            *other < seed && (other % 16 == seed % 16 || other % 16 == 8)
                || seed % 16 != 8 && other % 16 == 8
        };
        Box::new(lower.into_iter().chain(simple).filter(better).map(Key))
    }
}

/// Length of a value: the low four bits are its kind, the rest its number in that kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Len(pub(super) u16);

/// Bytes of the largest values.
const VALUE_BYTES_MAX: usize = 1 << 20;

impl Len {
    /// Bytes: mostly short, some about what fits a leaf or a page, some of several pages, and rarely one
    /// large run.
    pub(super) fn bytes(self, page_size: u32) -> usize {
        let (n, page) = (usize::from(self.0 >> 4), page_size as usize);
        match self.0 % 16 {
            0 => 0,
            1..=6 => n % 24,
            7 | 8 => n % 120,
            9 => page / 16 + n % 60,
            10 => page / 8 + n % 60,
            // What a leaf holds at most, without the key.
            11 => page / 4 - 40 + n % 48,
            12 => page - 40 + n % 60,
            13 => n % (3 * page),
            14 if n.is_multiple_of(16) => (page * (4 + n % 60)).min(VALUE_BYTES_MAX),
            14 => n % 16,
            _ => page / 3 + n % 60,
        }
    }

    /// The length where many values are made at once.
    pub(super) fn of_many(self, page_size: u32) -> usize {
        let bytes = self.bytes(page_size);
        if bytes > page_size as usize / 4 + 16 { bytes % 60 } else { bytes }
    }
}

impl Arbitrary for Len {
    fn arbitrary(g: &mut Gen) -> Len {
        Len(u16::arbitrary(g))
    }

    fn shrink(&self) -> Box<dyn Iterator<Item = Len>> {
        let Len(seed) = *self;
        let lower = [0, 17, seed % 16, seed / 32 * 16 + seed % 16];
        Box::new(lower.into_iter().filter(move |other| *other < seed).map(Len))
    }
}

/// A value of `len` bytes that tells which step made it.
pub(super) fn value(len: usize, stamp: u64) -> Rc<[u8]> {
    let mut value = vec![0; len];
    fill(&mut value, stamp, len as u64);
    value.into()
}

/// Names of trees, few; one is empty, and one is of the longest that there is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Name(u8);

impl Name {
    /// The tree that is selected at first.
    pub(super) const FIRST: Name = Name(0);

    pub(super) fn text(self, key_max: usize) -> String {
        match self.0 % 6 {
            4 => "n".repeat(NAME_BYTES_MAX.min(key_max)),
            5 => String::new(),
            n => ["t", "users", "users\0", "\u{e9}t\u{e9}"][usize::from(n)].to_string(),
        }
    }
}

impl Arbitrary for Name {
    fn arbitrary(g: &mut Gen) -> Name {
        Name(u8::arbitrary(g) % 6)
    }
}

/// One side of a range of keys.
#[derive(Clone, Copy, Debug)]
pub(super) enum Side {
    Open,
    Included(Key),
    Excluded(Key),
}

impl Side {
    pub(super) fn bound(self, max: usize) -> Bound<Vec<u8>> {
        match self {
            Side::Open => Bound::Unbounded,
            Side::Included(key) => Bound::Included(key.sought(max)),
            Side::Excluded(key) => Bound::Excluded(key.sought(max)),
        }
    }
}

impl Arbitrary for Side {
    fn arbitrary(g: &mut Gen) -> Side {
        let key = Key::arbitrary(g);
        match u8::arbitrary(g) % 5 {
            0 => Side::Open,
            1 | 2 => Side::Included(key),
            _ => Side::Excluded(key),
        }
    }

    fn shrink(&self) -> Box<dyn Iterator<Item = Side>> {
        match *self {
            Side::Open => quickcheck::empty_shrinker(),
            Side::Included(key) => {
                Box::new([Side::Open].into_iter().chain(key.shrink().map(Side::Included)))
            }
            Side::Excluded(key) => {
                Box::new([Side::Open].into_iter().chain(key.shrink().map(Side::Excluded)))
            }
        }
    }
}

/// A range in the type that a program would write it in, where there is one.
pub(super) fn range(start: Bound<Vec<u8>>, end: Bound<Vec<u8>>) -> Box<dyn KeyRange> {
    use Bound::{Excluded, Included, Unbounded};
    match (start, end) {
        (Unbounded, Unbounded) => Box::new(..),
        (Included(a), Unbounded) => Box::new(a..),
        (Unbounded, Excluded(b)) => Box::new(..b),
        (Unbounded, Included(b)) => Box::new(..=b),
        (Included(a), Excluded(b)) => Box::new(a..b),
        (Included(a), Included(b)) => Box::new(a..=b),
        pair => Box::new(pair),
    }
}
