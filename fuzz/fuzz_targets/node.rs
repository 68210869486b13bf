//! A sound store in which one or two pages of a tree are whatever bytes there are, with right checksums.
//!
//! Invariants checked: reading, changing and checking such trees answers, or says what is wrong; no
//! panic, no endless loop, no access outside the bytes. Where the proof finds nothing wrong, keys ascend,
//! lookups find what walking shows, and the tree can be changed and is sound afterwards.
//!
//! Where the first page brought is of fixed width, so is the store's tree; where it is of fingerprints, so are
//! leaves of it.
//!
//! Input: two choices of a page, a number that changes are drawn from, then the pages' bytes from 16 on.
#![no_main]

use mapleaf_btree::{Catalog, Replayer, Result, TreeMut, TreeOptions, Writer};
use mapleaf_fuzz::forged::{self, PAGE};
use mapleaf_fuzz::{SliceStore, with_room, words};
use mapleaf_pager::{Durability, Options, Pages, Replay, SliceMapping, Store, kind};

/// Bytes of a page that its owner may not write: checksum and birth.
const OWNED: usize = 16;
/// Changes of a damaged tree.
const CHANGES: u8 = 24;

/// The made store with the pages that the input brings.
fn forge(pages: &[u8], choices: [u8; 2]) -> Vec<u8> {
    let made = match pages.first() {
        Some(&kind::LEAF_FIXED) => forged::made_fixed(),
        Some(&kind::LEAF_FINGERPRINT) => forged::made_prints(),
        _ => forged::made(),
    };
    let mut image = made.image.clone();
    for (bytes, choice) in pages.chunks(PAGE - OWNED).zip(choices) {
        let page = made.tree_pages[usize::from(choice) % made.tree_pages.len()];
        let start = page * PAGE + OWNED;
        image[start..start + bytes.len()].copy_from_slice(bytes);
        forged::seal(&mut image, page);
        if mapleaf_fuzz::planted() {
            forged::naive_leaf(&image[page * PAGE..][..PAGE]);
        }
    }
    image
}

fn proven(store: &SliceStore<'_>) -> bool {
    let inspection = store.inspect().expect("a slot");
    Replayer::new().prove(&inspection, &mut [0; 1 << 8]).is_ok()
}

/// Reads a tree both ways and every entry by its key; the number of entries.
fn read<'a, P: Pages<'a>>(pages: P, sound: bool) -> Result<u64> {
    let tree = Catalog::new(pages)?.open("t")?;
    let mut keys: Vec<Vec<u8>> = Vec::new();
    for entry in tree.iter() {
        let (key, value) = entry?;
        let key = key.parts().concat();
        let found = tree.get(&key)?;
        assert!(!sound || found == Some(value), "walking and lookup differ");
        assert!(!sound || keys.last().is_none_or(|last| *last < key), "keys do not ascend");
        keys.push(key);
    }
    let mut back = 0;
    for (entry, key) in tree.iter().rev().zip(keys.iter().rev()) {
        assert!(!sound || entry?.0.parts().concat() == *key, "back is not forth");
        back += 1;
    }
    assert!(!sound || back == keys.len(), "fewer entries on the way back");
    if let [first, .., last] = &keys[..] {
        let _ = tree.range((&first[..], &last[..])).rev().count();
    }
    Ok(keys.len() as u64)
}

fn change(store: &SliceStore<'_>, seed: u8) -> Result<()> {
    let mut writer = Writer::new(store.begin_write()?)?;
    let tree = writer.open_or_create("t", TreeOptions::default())?;
    for number in 0..CHANGES {
        let mixed = u16::from(number.wrapping_mul(37) ^ seed);
        let key = format!("{:04}/{}", mixed % 220, "key".repeat(usize::from(mixed % 9)));
        if writer.record(tree)?.fixed.is_some() {
            change_fixed(&mut writer.tree(tree)?, mixed, seed)?;
            continue;
        }
        let mut tree = writer.tree(tree)?;
        match (number ^ seed) % 8 {
            0..=2 => drop(tree.insert(key.as_bytes(), &[seed; 60][..usize::from(seed % 60)])?),
            3 => drop(tree.insert(key.as_bytes(), &vec![seed; 600])?),
            4 | 5 => drop(tree.remove(key.as_bytes())?),
            6 => drop(tree.remove_range((key.as_bytes(), &b"01"[..]))?),
            _ => drop((tree.pop_first(|_, _| ())?, tree.pop_last(|_, _| ())?)),
        }
    }
    writer.commit(Durability::Sync)?;
    Ok(())
}

/// Changes an entry of the tree of fixed width.
fn change_fixed(tree: &mut TreeMut<'_, '_>, number: u16, seed: u8) -> Result<()> {
    let key = u64::from(number * 5 % 1400).to_be_bytes();
    let value = [seed; forged::FIXED_WIDTH.1 as usize];
    match (number as u8 ^ seed) % 8 {
        0..=3 => drop(tree.insert(&key, &value)?),
        4 | 5 => drop(tree.remove(&key)?),
        6 => drop(tree.remove_range((&key[..], &(u64::from(number) * 5 + 100).to_be_bytes()[..]))?),
        _ => drop((tree.pop_first(|_, _| ())?, tree.pop_last(|_, _| ())?)),
    }
    Ok(())
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let [first, second, seed, pages @ ..] = bytes else { return };
    let image = forge(pages, [*first, *second]);
    let mut ram = with_room(&image);
    let mapping = SliceMapping::with_len(&mut ram, image.len());
    let options = Options::default();
    // SAFETY: not so: the bytes are damaged on purpose. Nothing but this thread uses them, so that a page
    // in use twice is a wrong answer, not a race.
    let store = unsafe { Store::open(mapping, words(), &options, &mut Replayer::new()) };
    let Ok(store) = store else { return };
    let sound = proven(&store);
    let read_before = read(&store.begin_read(0).expect("a slot"), sound);
    let changed = change(&store, *seed);
    if sound {
        read_before.expect("what was proven can be read");
        changed.expect("what was proven can be changed");
        assert!(proven(&store), "damaged by changing it");
        read(&store.begin_read(0).expect("a slot"), true).expect("sound");
    } else {
        let _ = store.begin_read(0).map(|snapshot| read(&snapshot, false));
    }
});
