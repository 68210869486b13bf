//! Insertions that come close to each other, most of which change a single page.
//!
//! Invariants checked, against `BTreeMap`: what is stored near the last insertion, behind the tree's end or over
//! what is there, in whatever order with removals, loads, savepoints and commits between, is what a map holds;
//! counts are right and every page is accounted for; the log brings all of it back.

use crate::support::*;
use mapleaf_btree::{TreeHandle, TreeOptions, Writer};
use mapleaf_pager::Durability;
use quickcheck::{Gen, QuickCheck};

/// A program: what to do, where (from the centre on), and with a value of which length.
type Steps = Vec<(u8, u8, u16)>;

/// Writes one tree, and keeps the map.
struct Both<'s> {
    writer: Writer<'s>,
    tree: TreeHandle,
    map: Entries,
    /// Keys of fixed width, of the same length as all values.
    fixed: bool,
}

impl Both<'_> {
    fn value(&self, len: u16, seed: u32) -> Vec<u8> {
        value_of(if self.fixed { 8 } else { len_of_value(len) }, seed)
    }

    fn insert(&mut self, key: [u8; 8], len: u16) {
        let value = self.value(len, u32::from(len) ^ 5);
        let replaced = self.writer.tree(self.tree).unwrap().insert(&key, &value).unwrap();
        assert_eq!(replaced, self.map.insert(key.to_vec(), value).is_some());
    }

    /// Refused where the key is not above all.
    fn append(&mut self, key: [u8; 8], len: u16) {
        let value = self.value(len, 9);
        let appended = self.writer.tree(self.tree).unwrap().append(&key, &value);
        let fits = self.map.last_key_value().is_none_or(|(last, _)| last[..] < key[..]);
        assert_eq!(appended.is_ok(), fits);
        if fits {
            self.map.insert(key.to_vec(), value);
        }
    }

    fn load(&mut self, above: u64, len: u16) {
        let last = self.map.last_key_value().map_or(0, |(last, _)| number(last));
        let keys = (0..above).map(|n| (last + 3 + n).to_be_bytes());
        let entries: Vec<_> = keys.map(|key| (key, self.value(len, 2))).collect();
        let mut tree = self.writer.tree(self.tree).unwrap();
        assert_eq!(tree.load(entries.iter().map(|(k, v)| (k, v)), 100), Ok(above));
        self.map.extend(entries.into_iter().map(|(key, value)| (key.to_vec(), value)));
    }

    fn remove(&mut self, key: [u8; 8]) {
        let removed = self.writer.tree(self.tree).unwrap().remove(&key).unwrap();
        assert_eq!(removed, self.map.remove(&key[..]).is_some());
    }

    fn compare(&self) {
        compare(self.writer.tree_ref(self.tree).unwrap(), &self.map);
    }
}

fn number(key: &[u8]) -> u64 {
    u64::from_be_bytes(key.try_into().unwrap())
}

/// One transaction, with savepoints that are rolled back or kept.
fn transaction(both: &mut Both<'_>, steps: &[(u8, u8, u16)], centre: &mut u64) {
    let mut savepoint = None;
    for (what, offset, len) in steps {
        let key = (*centre + u64::from(*offset % 32)).to_be_bytes();
        match what % 32 {
            0..=17 => both.insert(key, *len),
            18..=22 => {
                let last = both.map.last_key_value().map_or(0, |(last, _)| number(last));
                both.append((last + u64::from(*offset % 4)).to_be_bytes(), *len);
            }
            23..=24 => both.remove(key),
            25 => both.load(u64::from(*offset % 40), *len),
            26 => *centre = u64::from(*len) * 8,
            // Where the tree ends: in its last leaf, and just before it.
            27 => *centre = both.map.last_key_value().map_or(0, |(last, _)| number(last)) & !15,
            28 => (0..60).for_each(|n| both.insert((*centre + 31 * n % 60).to_be_bytes(), *len)),
            29 => savepoint = Some((both.writer.savepoint().unwrap(), both.map.clone())),
            30 => {
                if let Some((savepoint, map)) = savepoint.take() {
                    both.writer.rollback_to(savepoint).unwrap();
                    both.map = map;
                }
            }
            _ => both.compare(),
        }
    }
    both.compare();
}

fn holds(steps: &Steps, log_bytes: u64, fixed: bool) {
    let mut ram = vec![0; 8192 * PAGE];
    let mut map = Entries::new();
    let store = create(&mut ram, PAGE, log_bytes);
    let mut centre = 1000;
    for steps in steps.chunks(60) {
        let mut writer = Writer::new(store.begin_write().unwrap()).unwrap();
        let options = TreeOptions::default();
        #[cfg(feature = "fixed-width")]
        let options = if fixed { options.fixed_width(8, 8) } else { options };
        let tree = writer.open_or_create("t", options).unwrap();
        let mut both = Both { writer, tree, map, fixed };
        transaction(&mut both, steps, &mut centre);
        both.writer.commit(Durability::Sync).unwrap();
        map = both.map;
        prove(&store);
    }
    let len = len_of(&store);
    drop(store);
    let (_, store) = reopen(&mut ram, len, &options(PAGE, log_bytes));
    let trees = match steps.is_empty() {
        true => Trees::new(),
        false => Trees::from([("t".to_string(), (0, map))]),
    };
    compare_all(&store.begin_read(0).unwrap(), &trees);
}

#[test]
fn close_insertions_do_what_maps_do() {
    fn sought(steps: Steps, log: bool) -> bool {
        holds(&steps, if log { 256 * 1024 } else { 0 }, false);
        true
    }
    QuickCheck::new().rng(Gen::new(300)).quickcheck(sought as fn(Steps, bool) -> bool);
}

#[test]
#[cfg(feature = "fixed-width")]
fn so_they_do_where_the_width_is_fixed() {
    fn sought(steps: Steps, log: bool) -> bool {
        holds(&steps, if log { 256 * 1024 } else { 0 }, true);
        true
    }
    QuickCheck::new().rng(Gen::new(300)).quickcheck(sought as fn(Steps, bool) -> bool);
}
