//! What the campaign believes: maps of maps, and where a cursor is in one.

use mapleaf::FixedWidth;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::rc::Rc;

/// Values by key.
pub(super) type Entries = BTreeMap<Vec<u8>, Rc<[u8]>>;

/// A tag and the entries; shared with the states that have them too.
#[derive(Clone, Debug, Default)]
pub(super) struct Tree {
    pub(super) tag: u64,
    /// The sizes that its keys and values have.
    pub(super) fixed: Option<FixedWidth>,
    pub(super) entries: Rc<Entries>,
}

/// The trees of a state by name.
pub(super) type Trees = BTreeMap<String, Tree>;

/// The keys in a range, which may end before it starts.
pub(super) fn in_range<'e>(
    entries: &'e Entries,
    start: &Bound<Vec<u8>>,
    end: &Bound<Vec<u8>>,
) -> Vec<&'e Vec<u8>> {
    let after = |key: &Vec<u8>| match start {
        Bound::Unbounded => true,
        Bound::Included(start) => key >= start,
        Bound::Excluded(start) => key > start,
    };
    let before = |key: &Vec<u8>| match end {
        Bound::Unbounded => true,
        Bound::Included(end) => key <= end,
        Bound::Excluded(end) => key < end,
    };
    entries.keys().filter(|key| after(key) && before(key)).collect()
}

/// Where a cursor is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Place {
    /// It has not moved yet.
    New,
    At(Vec<u8>),
    /// Between the entries around a key that is not there.
    Around(Vec<u8>),
    /// Before the first entry.
    Start,
    /// Behind the last.
    End,
}

impl Place {
    /// The key here.
    pub(super) fn key(&self) -> Option<&Vec<u8>> {
        if let Place::At(key) = self { Some(key) } else { None }
    }

    pub(super) fn next(&self, entries: &Entries) -> Place {
        let from = match self {
            Place::New | Place::Start => Bound::Unbounded,
            Place::At(key) | Place::Around(key) => Bound::Excluded(key),
            Place::End => return Place::End,
        };
        let next = entries.range::<Vec<u8>, _>((from, Bound::Unbounded)).next();
        next.map_or(Place::End, |(key, _)| Place::At(key.clone()))
    }

    pub(super) fn prev(&self, entries: &Entries) -> Place {
        let to = match self {
            Place::New | Place::End => Bound::Unbounded,
            Place::At(key) | Place::Around(key) => Bound::Excluded(key),
            Place::Start => return Place::Start,
        };
        let prev = entries.range::<Vec<u8>, _>((Bound::Unbounded, to)).next_back();
        prev.map_or(Place::Start, |(key, _)| Place::At(key.clone()))
    }

    pub(super) fn sought(entries: &Entries, key: &[u8]) -> Place {
        let at = if entries.contains_key(key) { Place::At } else { Place::Around };
        at(key.to_vec())
    }

    pub(super) fn at_or_after(entries: &Entries, key: &[u8]) -> Place {
        match Place::sought(entries, key) {
            here @ Place::At(_) => here,
            between => between.next(entries),
        }
    }

    pub(super) fn at_or_before(entries: &Entries, key: &[u8]) -> Place {
        match Place::sought(entries, key) {
            here @ Place::At(_) => here,
            between => between.prev(entries),
        }
    }
}
