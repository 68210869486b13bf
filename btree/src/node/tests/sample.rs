//! Arbitrary keys, values and changes, the same on every page size.

use super::*;
use quickcheck::{Arbitrary, Gen};

/// What a key is made from; keys of equal style share prefixes, heads or tails.
#[derive(Clone, Debug)]
pub(super) struct KeySeed {
    style: u8,
    number: u16,
    bytes: [u8; 5],
    len: u8,
}

impl Arbitrary for KeySeed {
    fn arbitrary(g: &mut Gen) -> KeySeed {
        KeySeed {
            style: u8::arbitrary(g) % 8,
            number: u16::arbitrary(g),
            bytes: core::array::from_fn(|_| *g.choose(b"\0\0ab\xff").unwrap()),
            len: u8::arbitrary(g) % 6,
        }
    }
}

impl KeySeed {
    /// The key, at most as long as the page size allows.
    pub(super) fn key(&self, page_size: usize) -> Vec<u8> {
        let limit = max_key_len(page_size);
        let tail = &self.bytes[..usize::from(self.len)];
        let mut key = match self.style {
            0 | 1 => tail.to_vec(),
            2 => [b"a common prefix/", tail].concat(),
            3 => [&u64::from(self.number).to_be_bytes(), tail].concat(),
            4 => self.number.to_be_bytes().to_vec(),
            5 => [&vec![b'p'; limit - 5][..], tail].concat(),
            6 => [&vec![b'p'; limit / 2][..], tail].concat(),
            _ => [&vec![0xff; usize::from(self.number) % (limit - 5)][..], tail].concat(),
        };
        key.truncate(limit);
        key
    }
}

/// A value: a length in parts of the longest, and what it is filled with; or a run.
#[derive(Clone, Debug)]
pub(super) struct ValueSeed {
    fraction: u8,
    fill: u8,
    /// As what it is stored: inline, reserved and then written, or a run.
    pub(super) how: u8,
}

impl Arbitrary for ValueSeed {
    fn arbitrary(g: &mut Gen) -> ValueSeed {
        // Often short, sometimes as long as may be.
        let fraction = *g.choose(&[0, 1, 2, 3, 5, 8, 20, 60, 255]).unwrap();
        ValueSeed { fraction, fill: u8::arbitrary(g), how: u8::arbitrary(g) % 8 }
    }
}

/// A value as the oracle keeps it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Stored {
    Inline(Vec<u8>),
    Run(PageId, u64),
}

impl Stored {
    pub(super) fn as_new(&self) -> NewValue<'_> {
        match self {
            Stored::Inline(bytes) => NewValue::Inline(bytes),
            Stored::Run(page, len_bytes) => NewValue::Run { page: *page, len_bytes: *len_bytes },
        }
    }
    pub(super) fn of(value: Value<'_>) -> Stored {
        match value {
            Value::Inline(bytes) => Stored::Inline(bytes.to_vec()),
            Value::Run { page, len_bytes } => Stored::Run(page, len_bytes),
        }
    }
}

impl ValueSeed {
    pub(super) fn value(&self, page_size: usize, key_len: usize) -> Stored {
        if self.how == 0 {
            return Stored::Run(PageId(1 + u32::from(self.fill)), u64::MAX - u64::from(self.fill));
        }
        let len = max_inline_value(page_size, key_len) * usize::from(self.fraction) / 255;
        Stored::Inline(vec![self.fill; len])
    }
}

/// A change of a sequence of leaves.
#[derive(Clone, Debug)]
pub(super) enum Op {
    /// Insert, or replace where the key is there.
    Put(KeySeed, ValueSeed),
    /// Replace the value of the entry of this rank (modulo their number).
    Replace(u16, ValueSeed),
    /// Remove the entry of this rank.
    Remove(u16),
}

impl Arbitrary for Op {
    fn arbitrary(g: &mut Gen) -> Op {
        match u8::arbitrary(g) % 8 {
            0 => Op::Replace(u16::arbitrary(g), ValueSeed::arbitrary(g)),
            1 | 2 => Op::Remove(u16::arbitrary(g)),
            _ => Op::Put(KeySeed::arbitrary(g), ValueSeed::arbitrary(g)),
        }
    }
}
