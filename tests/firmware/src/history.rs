//! A history of transactions that needs no memory to be known: what each changes follows from its
//! number, and the store holds the number of the last one.

use crate::power::Power;
use crate::random;
use core::sync::atomic::AtomicU32;
use mapleaf_btree::{Catalog, Error, Result, TreeHandle, TreeOptions, Writer};
use mapleaf_pager::{Durability, Store, words_for};

/// The opened store.
pub(crate) type Firmware = Store<Power<'static>, &'static [AtomicU32]>;

/// Words that the store's readers and its writer share.
pub(crate) const WORDS: usize = words_for(2);

/// Keys there are.
const KEYS: u32 = 32;
/// Their tree.
const TREE: &str = "keys";
/// The tree of the last transaction's number.
const LAST: &str = "last";
/// Changes of a transaction.
const CHANGES: u32 = 4;
/// One in so many changes removes.
const REMOVED: u32 = 4;
/// One in so many values takes pages of its own.
const LARGE: u32 = 32;
const LARGE_BYTES: usize = 700;

/// What the values are cut from.
static PATTERN: [u8; 1024] = {
    let mut pattern = [0; 1024];
    let (mut seed, mut at) = (1, 0);
    while at < pattern.len() {
        seed = random(seed);
        pattern[at] = (seed >> 16) as u8;
        at += 1;
    }
    pattern
};

/// What transaction `number` does as its `i`-th change: to which key, and whether it stores a value.
fn change(number: u32, i: u32) -> (u32, bool) {
    let seed = random(random(number * CHANGES + i));
    ((seed >> 8) % KEYS, (seed >> 20) % REMOVED > 0)
}

/// The value that transaction `number` gives a key.
fn value(number: u32, key: u32) -> &'static [u8] {
    let seed = random(number * KEYS + key);
    let len =
        if (seed >> 4).is_multiple_of(LARGE) { LARGE_BYTES } else { (seed >> 8) as usize % 40 };
    let from = (seed >> 16) as usize % (PATTERN.len() - LARGE_BYTES);
    &PATTERN[from..from + len]
}

/// What a key has after transaction `number`.
fn expected(number: u32, key: u32) -> Option<&'static [u8]> {
    for number in (1..=number).rev() {
        for i in (0..CHANGES).rev() {
            let (changed, stored) = change(number, i);
            if changed == key {
                return stored.then(|| value(number, key));
            }
        }
    }
    None
}

fn name(key: u32) -> [u8; 8] {
    let mut name = *b"key-0000";
    name[4..].copy_from_slice(&random(key).to_be_bytes());
    name
}

/// Makes the changes of transaction `number`.
#[inline(never)]
fn make_changes(writer: &mut Writer<'_>, tree: TreeHandle, number: u32) -> Result<()> {
    for i in 0..CHANGES {
        let (key, stored) = change(number, i);
        let mut tree = writer.tree(tree)?;
        if stored {
            tree.insert(&name(key), value(number, key))?;
        } else {
            tree.remove(&name(key))?;
        }
    }
    Ok(())
}

/// Begins transaction `number` and rolls it back, by dropping it.
#[inline(never)]
pub(crate) fn roll_back(store: &Firmware, number: u32) -> Result<()> {
    let mut place = None;
    begin(&mut place, store)?;
    let Some(writer) = &mut place else { return Err(Error::NoSuchTree) };
    let tree = writer.open_or_create(TREE, TreeOptions::default())?;
    make_changes(writer, tree, number + 1000)
}

/// Transaction `number`.
// In three steps of their own, so that the stack never holds more than one writer below a deep call.
#[inline(never)]
pub(crate) fn commit(store: &Firmware, number: u32, durability: Durability) -> Result<()> {
    let mut place = None;
    begin(&mut place, store)?;
    let Some(writer) = &mut place else { return Err(Error::NoSuchTree) };
    make(writer, number)?;
    finish(&mut place, durability)
}

#[inline(never)]
fn begin<'s>(place: &mut Option<Writer<'s>>, store: &'s Firmware) -> Result<()> {
    *place = Some(Writer::new(store.begin_write()?)?);
    Ok(())
}

#[inline(never)]
fn finish(place: &mut Option<Writer<'_>>, durability: Durability) -> Result<()> {
    let Some(writer) = place.take() else { return Err(Error::NoSuchTree) };
    writer.commit(durability)?;
    Ok(())
}

/// What transaction `number` does. Every second one takes a part of itself back.
#[inline(never)]
fn make(writer: &mut Writer<'_>, number: u32) -> Result<()> {
    let tree = writer.open_or_create(TREE, TreeOptions::default())?;
    if number.is_multiple_of(2) {
        take_back(writer, tree, number)?;
    }
    make_changes(writer, tree, number)?;
    let last = writer.open_or_create(LAST, TreeOptions::default())?;
    writer.tree(last)?.insert(b"number", &number.to_le_bytes())?;
    writer.write_back()
}

/// Changes that a savepoint takes back.
#[inline(never)]
fn take_back(writer: &mut Writer<'_>, tree: TreeHandle, number: u32) -> Result<()> {
    let before = writer.savepoint()?;
    make_changes(writer, tree, number + 2000)?;
    writer.rollback_to(before)
}

/// The number of the last transaction in the store; 0 before the first.
#[inline(never)]
pub(crate) fn last(store: &Firmware) -> Result<u32> {
    let snapshot = store.begin_read(0)?;
    let catalog = Catalog::new(&snapshot)?;
    if catalog.get(LAST)?.is_none() {
        return Ok(0);
    }
    let found = catalog.open(LAST)?.get(b"number")?.and_then(|bytes| bytes.first_chunk::<4>());
    Ok(found.map_or(u32::MAX, |bytes| u32::from_le_bytes(*bytes)))
}

/// Whether the store holds what there is after transaction `number`, and nothing else.
#[inline(never)]
pub(crate) fn holds(store: &Firmware, number: u32) -> Result<bool> {
    let snapshot = store.begin_read(0)?;
    let catalog = Catalog::new(&snapshot)?;
    if catalog.get(TREE)?.is_none() {
        return Ok(number == 0);
    }
    let tree = catalog.open(TREE)?;
    let mut entries = 0;
    for key in 0..KEYS {
        let expected = expected(number, key);
        if tree.get(&name(key))? != expected {
            return Ok(false);
        }
        entries += u64::from(expected.is_some());
    }
    let mut walked = 0;
    for entry in tree.iter() {
        entry?;
        walked += 1;
    }
    Ok(walked == entries && tree.len() == entries)
}
