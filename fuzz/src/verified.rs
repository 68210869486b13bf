//! Stores read with checksums compared, and a second look at every page that an answer came by.
//!
//! The second look is naive: it knows where the store lies, finds a lent slice's page by its address and the pages
//! of a lookup by one step after the other, and hashes each of them anew, as docs/format.md has it.

use crate::forged::whole;
use crate::{SliceStore, with_room, words};
use mapleaf_btree::{
    Catalog, Entry, LooseStep, LooseValue, Replayer, Result, Tree, TreeRecord, loose_step,
};
use mapleaf_pager::{
    OWNED_BYTES, Options, PageId, Pages, SliceMapping, Store, Verify, first_touch_words_for,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicU32;

/// Bytes from the first page of a run to its value.
const RUN_HEADER: usize = 32;
/// Entries of a tree that are asked for: pages that lie can show the same leaf again and again.
const ENTRIES_MAX: usize = 1000;
const TREES_MAX: usize = 8;
/// Keys that are asked for together: more than go down a tree in one group.
const TOGETHER: usize = 40;
/// Of so many keys one is asked for by itself too, and its way down looked at.
const SINGLE_EVERY: usize = 3;
/// Pages that `FirstTouch` has a bit for: fewer than most stores here have.
const TOUCHED: u32 = 64;

/// What a tree holds.
pub type Entries = BTreeMap<Vec<u8>, Vec<u8>>;

/// What a lookup said.
struct Way {
    tree: TreeRecord,
    key: Vec<u8>,
    found: Option<Vec<u8>>,
}

/// Everything that a store has answered.
struct Answers {
    /// Address of the store's first byte.
    base: usize,
    page_size: usize,
    ways: Vec<Way>,
    /// Pages that something was lent from.
    lent: BTreeSet<usize>,
}

impl Answers {
    fn lent(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.lent.insert((bytes.as_ptr().addr() - self.base) / self.page_size);
        }
    }

    fn entry(&mut self, (key, value): &Entry<'_>) {
        key.parts().iter().for_each(|part| self.lent(part));
        self.lent(value);
    }

    fn way(&mut self, tree: TreeRecord, key: &[u8], found: Option<&[u8]>) {
        self.ways.push(Way { tree, key: key.to_vec(), found: found.map(<[u8]>::to_vec) });
    }

    /// Looks at every page again, in the bytes that the store has left.
    fn look_again(&self, image: &[u8]) {
        let size = self.page_size;
        let mut seen = BTreeMap::new();
        let mut sound = |page: usize| *seen.entry(page).or_insert_with(|| whole(image, size, page));
        for page in &self.lent {
            assert!(sound(*page), "lent from page {page}, whose checksum is wrong");
        }
        for Way { tree, key, found } in &self.ways {
            let mut next = Some(tree.root).filter(|_| tree.height > 0);
            let mut again = None;
            while let Some(id) = next.take() {
                let page = id.0 as usize;
                assert!(sound(page), "answered by way of page {page}, whose checksum is wrong");
                let body = &image[page * size..][OWNED_BYTES..size];
                again = match loose_step(id, body, key).expect("it was answered") {
                    LooseStep::Child(child) => {
                        next = Some(child);
                        continue;
                    }
                    LooseStep::Found(LooseValue::Inline(value)) => Some(value),
                    LooseStep::Found(LooseValue::Run { page: PageId(first), len_bytes }) => {
                        let first = first as usize;
                        assert!(sound(first), "a value of page {first}, whose checksum is wrong");
                        Some(&image[first * size + RUN_HEADER..][..len_bytes as usize])
                    }
                    LooseStep::Absent => None,
                };
            }
            assert!(again == found.as_deref(), "other bytes than are there");
        }
    }
}

/// Asks a tree in each way that there is. `stored`: what it must hold, where that is known.
fn ask<'a, P: Pages<'a>>(tree: &Tree<'a, P>, stored: Option<&Entries>, answers: &mut Answers) {
    let right = |key: &[u8], found: Option<&[u8]>| {
        let stored = stored.map(|stored| stored.get(key).map(Vec::as_slice));
        assert!(stored.is_none_or(|stored| stored == found), "not what was stored");
    };
    let mut keys: Vec<Vec<u8>> = stored.into_iter().flatten().map(|(key, _)| key.clone()).collect();
    keys.extend([Vec::new(), b"neither here nor there".to_vec()]);
    let ends = [tree.first(), tree.last()].into_iter().filter_map(|end| end.ok().flatten());
    let forth = tree.iter().take(ENTRIES_MAX).map_while(Result::ok);
    let back = tree.iter().rev().take(ENTRIES_MAX).map_while(Result::ok);
    for entry in back.chain(forth).chain(ends) {
        answers.entry(&entry);
        let key = entry.0.parts().concat();
        right(&key, Some(entry.1));
        if stored.is_none() {
            keys.push(key);
        }
    }
    for key in keys.iter().step_by(SINGLE_EVERY) {
        let found = [tree.get(key), tree.try_get(key)];
        assert!(found[0].is_ok() == found[1].is_ok(), "all is in memory");
        if let Ok(found) = found[0] {
            right(key, found);
            answers.way(tree.record(), key, found);
        }
        assert!(found[1].is_err() || found[0] == found[1], "one lookup is not the other");
    }
    for keys in keys.chunks(TOGETHER) {
        let mut values = [None; TOGETHER];
        if tree.get_many(keys, &mut values[..keys.len()]).is_ok() {
            for (key, found) in keys.iter().zip(values) {
                right(key, found);
                found.iter().for_each(|value| answers.lent(value));
            }
        }
    }
}

/// Asks a state everything: names first, then the trees that they are names of.
fn ask_all<'a, P: Pages<'a>>(
    pages: P,
    stored: Option<&Entries>,
    answers: &mut Answers,
) -> Result<()> {
    let names = Tree::open(pages, Catalog::new(pages)?.record());
    ask(&names, None, answers);
    for name in names.iter().take(TREES_MAX) {
        let (name, record) = name?;
        let named_t = name.parts().concat() == b"t";
        let tree = Tree::open(pages, TreeRecord::decode(record)?);
        ask(&tree, stored.filter(|_| named_t), answers);
    }
    Ok(())
}

/// Opens an image with checksums compared, lets `then` do something to it, asks it everything, and looks again.
fn opened(image: &[u8], mut options: Options, stored: Option<&Entries>, then: fn(&SliceStore<'_>)) {
    if crate::planted() {
        options.verify = Verify::None;
    }
    let mut ram = with_room(image);
    let base = ram.as_ptr().addr();
    let mut words = words();
    words.extend((0..first_touch_words_for(TOUCHED)).map(|_| AtomicU32::new(0)));
    let mapping = SliceMapping::with_len(&mut ram, image.len());
    // SAFETY: read only, nothing is written: no reference can be to changing bytes. To be written to, the
    // caller's damage has wrong checksums, and the structures that say which pages are free are compared
    // whatever is chosen; one thread uses the bytes.
    let opened = unsafe { Store::open(mapping, words, &options, &mut Replayer::new()) };
    let Ok(store) = opened else { return };
    then(&store);
    let Ok(snapshot) = store.begin_read(0) else { return };
    let page_size = (&snapshot).page_size();
    let mut answers = Answers { base, page_size, ways: Vec::new(), lent: BTreeSet::new() };
    // Damage may end it: what was answered before is looked at all the same.
    let _ = ask_all(&snapshot, stored, &mut answers);
    drop(snapshot);
    drop(store);
    answers.look_again(&ram);
}

/// Options to compare checksums each time, or once.
fn comparing(once: bool) -> Options {
    let options = Options::default();
    if once { options.first_touch(TOUCHED) } else { options.verify(Verify::Always) }
}

/// Reads any bytes.
///
/// # Panics
/// Something was answered by way of a page whose checksum is wrong, or that is not what is `stored` in tree `t`.
pub fn read(image: &[u8], once: bool, stored: Option<&Entries>) {
    let mut options = comparing(once);
    (options.read_only, options.at_checkpoint) = (true, true);
    opened(image, options, stored, |_| ());
}

/// Writes to a store some of whose pages have wrong checksums, then reads it.
///
/// # Panics
/// As [`read`].
pub fn write(image: &[u8], once: bool, stored: Option<&Entries>) {
    opened(image, comparing(once), stored, |store| {
        let _ = crate::write(store);
    });
}
