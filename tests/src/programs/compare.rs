//! Comparing with the oracle: trees, whole states, and one entry.

use super::oracle::{Entries, Trees};
use mapleaf::{Cursor, Entry, Key, Range, ReadTrees, Tree, TreeError, TreeRecord};
use mapleaf_pager::Pages;

/// A found entry with the bytes of its key in one piece.
pub(super) fn owned(entry: Entry<'_>) -> (Vec<u8>, &[u8]) {
    let (key, value) = entry;
    let bytes = key.to_vec();
    assert_eq!(key.len(), bytes.len());
    assert!(key == bytes[..], "{key:?} does not equal its own bytes");
    assert!(key.as_slice().is_none_or(|whole| whole == bytes));
    (bytes, value)
}

/// The oracle's entry of a key.
pub(super) fn wanted<'e>(entries: &'e Entries, key: &[u8]) -> Option<(Vec<u8>, &'e [u8])> {
    entries.get(key).map(|value| (key.to_vec(), &value[..]))
}

/// Fails unless both are the same entry.
pub(super) fn same(what: &str, found: Option<Entry<'_>>, wanted: Option<(Vec<u8>, &[u8])>) {
    let found = found.map(owned);
    assert!(found == wanted, "{what}: {} is not {}", show(&found), show(&wanted));
}

/// An entry, short.
fn show(entry: &Option<(Vec<u8>, &[u8])>) -> String {
    let Some((key, value)) = entry else { return "nothing".into() };
    let start = String::from_utf8_lossy(&key[..key.len().min(24)]);
    let bytes = &value[..value.len().min(8)];
    format!("{start:?} ({} bytes) = {bytes:02x?}.. ({} bytes)", key.len(), value.len())
}

/// Compares a tree with the oracle: counts, forwards, backwards, by key, by cursor from one end.
pub(super) fn tree<'a, P: Pages<'a>>(tree: Tree<'a, P>, entries: &Entries) {
    assert_eq!(tree.len(), entries.len() as u64, "entries");
    assert_eq!(tree.is_empty(), entries.is_empty());
    all(tree.iter(), entries.iter(), "forwards");
    all(tree.iter().rev(), entries.iter().rev(), "backwards");
    for (key, value) in entries {
        let found = tree.get(key).unwrap();
        assert!(found == Some(&value[..]), "get of {key:?}: {:?} bytes", found.map(<[u8]>::len));
    }
    // Each key, and one right behind it that is not there.
    let behind = |key: &Vec<u8>| [key.as_slice(), &[0]].concat();
    let keys: Vec<Vec<u8>> = entries.keys().flat_map(|key| [behind(key), key.clone()]).collect();
    let mut values = vec![None; keys.len()];
    tree.get_many(&keys, &mut values).unwrap();
    for (key, value) in keys.iter().zip(values) {
        assert!(value == entries.get(key).map(|value| &value[..]), "get_many of {key:?}");
    }
    let mut cursor: Cursor<'a, P> = tree.cursor();
    for (key, value) in entries.iter().take(40) {
        same("a step of a cursor", cursor.next().unwrap(), Some((key.clone(), value)));
    }
}

/// Compares entries in a row.
fn all<'a, 'e>(
    found: impl Iterator<Item = mapleaf_btree::Result<Entry<'a>>>,
    mut wanted: impl Iterator<Item = (&'e Vec<u8>, &'e std::rc::Rc<[u8]>)>,
    what: &str,
) {
    for entry in found {
        let wanted = wanted.next().map(|(key, value)| (key.clone(), &value[..]));
        same(what, Some(entry.unwrap()), wanted);
    }
    assert!(wanted.next().is_none(), "{what}: it ends too early");
}

/// Compares the names, tags, sizes and counts of a state with the oracle.
pub(super) fn names<'a>(
    found: impl Iterator<Item = mapleaf_btree::Result<(Key<'a>, TreeRecord)>>,
    trees: &Trees,
) {
    let found: Vec<_> = found
        .map(|tree| {
            tree.map(|(name, record)| (name.to_vec(), record.tag, record.fixed, record.entries))
                .unwrap()
        })
        .collect();
    let wanted: Vec<_> = trees
        .iter()
        .map(|(name, tree)| {
            (name.as_bytes().to_vec(), tree.tag, tree.fixed, tree.entries.len() as u64)
        })
        .collect();
    assert_eq!(found, wanted, "names, tags, sizes and counts");
}

/// What both kinds of snapshots do.
pub(super) trait Snap {
    fn tree(&self, name: &str) -> mapleaf_btree::Result<mapleaf::ReadTree<'_>>;
    fn trees(&self) -> mapleaf_btree::Result<ReadTrees<'_>>;
    fn txn(&self) -> mapleaf::TxnId;
}

macro_rules! snap {
    ($($snapshot:ty),*) => {$(
        impl Snap for $snapshot {
            fn tree(&self, name: &str) -> mapleaf_btree::Result<mapleaf::ReadTree<'_>> {
                <$snapshot>::tree(self, name)
            }
            fn trees(&self) -> mapleaf_btree::Result<ReadTrees<'_>> {
                <$snapshot>::trees(self)
            }
            fn txn(&self) -> mapleaf::TxnId {
                <$snapshot>::txn(self)
            }
        }
    )*};
}
snap!(mapleaf::ReadTxn<'_>, mapleaf::OwnedReadTxn);

/// Compares a whole snapshot with the oracle.
pub(super) fn snapshot(snapshot: &dyn Snap, trees: &Trees) {
    names(snapshot.trees().unwrap(), trees);
    for (name, wanted) in trees {
        let found = snapshot.tree(name).unwrap();
        assert_eq!(found.record().tag, wanted.tag);
        tree(found, &wanted.entries);
    }
    assert_eq!(snapshot.tree("no such tree").err(), Some(TreeError::NoSuchTree));
}

/// Takes a range's entries from both ends, as the bits of `turns` say, and then finds nothing more.
pub(super) fn both_ways<'a, P: Pages<'a>>(
    mut range: Range<'a, P>,
    entries: &Entries,
    keys: &[&Vec<u8>],
    turns: u8,
    back_misses_last: bool,
) {
    let mut keys = keys.iter();
    for turn in 0.. {
        let back = turns >> (turn % 8) & 1 == 1;
        let found = if !back {
            range.next()
        } else if back_misses_last && keys.len() == 1 {
            None
        } else {
            range.next_back()
        };
        let key = if back { keys.next_back() } else { keys.next() };
        let end = if back { "a range from the back" } else { "a range" };
        same(end, found.transpose().unwrap(), key.and_then(|key| wanted(entries, key)));
        if turn == 3 {
            // A clone goes on from here, and leaves this one where it is.
            assert_eq!(range.clone().count(), keys.len());
        }
        if key.is_none() {
            break;
        }
    }
    assert!(range.next().is_none() && range.next_back().is_none(), "a range goes on after its end");
}
