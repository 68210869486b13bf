//! Trees' records that are damaged, or of a later version: refused by name, told by `check` and `scrub`.

use crate::support::*;
use mapleaf_btree::{
    Catalog, CheckVisitor, Error, Finding, HEIGHT_MAX, RECORD_BYTES, ReachSet, Replayer, Result,
    ScrubFinding, ScrubVisitor, Scrubbed, TreeOptions, TreeRecord, Writer, check, scrub,
};
use mapleaf_pager::{
    Damage, Durability, Error as PagerError, PageId, ROOT_BYTES, Replay, Snapshot, Unsupported,
};

/// Remembers what it is told.
#[derive(Default)]
struct Told {
    check: Vec<(PageId, Damage)>,
    scrub: Vec<(Option<Vec<u8>>, Error, bool)>,
}

impl CheckVisitor for Told {
    fn damage(&mut self, finding: &Finding<'_>) {
        self.check.push((finding.page, finding.damage));
    }
    fn window(&mut self, _: &mut ReachSet<'_>) -> Result<()> {
        Ok(())
    }
}

impl ScrubVisitor for Told {
    fn pages(&mut self, _: u32) {}
    fn damage(&mut self, finding: &ScrubFinding<'_>) {
        let tree = finding.tree.map(|name| bytes(&name));
        self.scrub.push((tree, finding.error, finding.what == Scrubbed::Tree));
    }
}

fn told(snapshot: &Snapshot<'_>) -> Told {
    let mut told = Told::default();
    let _ = check(snapshot, snapshot.page_count(), &mut [0; 1 << 10], &mut told);
    scrub(snapshot, snapshot.page_count(), &mut told);
    told
}

/// Makes `record` that of the names.
fn set_names(store: &RamStore<'_>, record: &[u8; RECORD_BYTES]) {
    let mut txn = store.begin_write().unwrap();
    let root: [u8; ROOT_BYTES] = *record;
    txn.set_root(&root);
    txn.commit(Durability::Sync).unwrap();
}

/// A tree of a few entries; its record.
fn tree(store: &RamStore<'_>, entries: &[(&[u8], &[u8])]) -> TreeRecord {
    let mut writer = Writer::new(store.begin_write().unwrap()).unwrap();
    let tree = writer.create("t", TreeOptions::default().tag(7)).unwrap();
    for (key, value) in entries {
        writer.tree(tree).unwrap().insert(key, value).unwrap();
    }
    writer.commit(Durability::Sync).unwrap();
    let snapshot = store.begin_read(0).unwrap();
    Catalog::new(&snapshot).unwrap().get("t").unwrap().unwrap()
}

fn changed(record: &TreeRecord, at: usize, value: u8) -> [u8; RECORD_BYTES] {
    let mut bytes = record.encode();
    bytes[at] = value;
    bytes
}

#[test]
fn records_decode_or_say_why_not() {
    let mut ram = vec![0; 1 << 18];
    let record = tree(&create(&mut ram, PAGE, 0), &[(b"a", b"1"), (b"b", b"2")]);
    assert_eq!(TreeRecord::decode(&record.encode()), Ok(record));
    assert_eq!(TreeRecord::decode(&[0; RECORD_BYTES]), Ok(TreeRecord::default()));
    let refused = |at, value| TreeRecord::decode(&changed(&record, at, value)).err();
    for flags in [1, 2, 0x80, 3] {
        assert_eq!(refused(5, flags), Some(Error::UnsupportedTree { flags }));
    }
    let depth = Some(Error::corrupt(record.root, Damage::Depth));
    assert_eq!(refused(4, 0), depth, "a root of no height");
    assert_eq!(refused(4, HEIGHT_MAX as u8 + 1), depth);
    let layout = Some(Error::corrupt(record.root, Damage::Layout));
    for at in [6, 7, 28, 31, 40, RECORD_BYTES - 1] {
        assert_eq!(refused(at, 1), layout, "{at}");
    }
    let short = Error::corrupt(PageId::NONE, Damage::Layout);
    assert_eq!(TreeRecord::decode(&record.encode()[1..]), Err(short));
}

/// Fixed width: with a key's size, and a value's that a page can have; or not known.
#[test]
fn records_of_fixed_width_decode_or_say_why_not() {
    let mut ram = vec![0; 1 << 18];
    let record = tree(&create(&mut ram, PAGE, 0), &[(b"a", b"1"), (b"b", b"2")]);
    let layout = Some(Error::corrupt(record.root, Damage::Layout));
    let with = |key_bytes: u8, value_low: u8, value_high: u8| {
        let mut bytes = record.encode();
        (bytes[5], bytes[6], bytes[28], bytes[30]) = (4, key_bytes, value_low, value_high);
        TreeRecord::decode(&bytes)
    };
    if !cfg!(feature = "fixed-width") {
        assert_eq!(with(8, 8, 0), Err(Error::UnsupportedTree { flags: 4 }));
        return;
    }
    assert_eq!(with(0, 8, 0).err(), layout);
    assert_eq!(with(8, 8, 1).err(), layout);
    let fixed = with(8, 9, 0).unwrap();
    assert_eq!(fixed.fixed.map(|width| (width.key_bytes, width.value_bytes)), Some((8, 9)));
    assert_eq!(TreeRecord::decode(&fixed.encode()), Ok(fixed));
    let mut both = fixed.encode();
    both[5] |= 1;
    assert_eq!(TreeRecord::decode(&both), Err(Error::UnsupportedTree { flags: 1 }));
}

/// `check` says so, `scrub` goes on, a safe opening refuses, nobody writes.
#[test]
fn a_later_versions_names_are_refused_by_everybody() {
    let mut ram = vec![0; 1 << 18];
    let store = create(&mut ram, PAGE, 0);
    let record = tree(&store, &[(b"a", b"1")]);
    set_names(&store, &changed(&record, 5, 2));
    let later = Error::UnsupportedTree { flags: 2 };
    let snapshot = store.begin_read(0).unwrap();
    assert_eq!(Catalog::new(&snapshot).err(), Some(later));
    assert_eq!(told(&snapshot).scrub, [(None, later, true)]);
    assert_eq!(Writer::new(store.begin_write().unwrap()).err(), Some(later));
    let inspection = store.inspect().unwrap();
    let proven = Replayer::new().prove(&inspection, &mut [0; 64]);
    assert_eq!(proven, Err(PagerError::Unsupported(Unsupported::Features { unknown: 2 })));
    assert_eq!(Replayer::new().prove(&inspection, &mut []), Err(PagerError::InvalidArgument));
}

/// The records of a tree of fixed width and of another, each with one entry.
#[cfg(feature = "fixed-width")]
fn fixed_and_plain(store: &RamStore<'_>) -> [TreeRecord; 2] {
    let mut writer = Writer::new(store.begin_write().unwrap()).unwrap();
    let options = TreeOptions::default();
    for (name, options) in [("fixed", options.fixed_width(8, 8)), ("plain", options)] {
        let tree = writer.create(name, options).unwrap();
        writer.tree(tree).unwrap().insert(b"12345678", b"abcdefgh").unwrap();
    }
    writer.commit(Durability::Sync).unwrap();
    let snapshot = store.begin_read(0).unwrap();
    let catalog = Catalog::new(&snapshot).unwrap();
    ["fixed", "plain"].map(|name| catalog.get(name).unwrap().unwrap())
}

/// Names are of any length: their tree cannot have a fixed width.
#[test]
#[cfg(feature = "fixed-width")]
fn names_of_fixed_width_are_refused() {
    let mut ram = vec![0; 1 << 18];
    let store = create(&mut ram, PAGE, 0);
    let [record, _] = fixed_and_plain(&store);
    set_names(&store, &record.encode());
    let layout = Error::corrupt(record.root, Damage::Layout);
    assert_eq!(Catalog::new(&store.begin_read(0).unwrap()).err(), Some(layout));
    assert_eq!(Writer::new(store.begin_write().unwrap()).err(), Some(layout));
    let found = told(&store.begin_read(0).unwrap());
    assert_eq!(found.check, [(record.root, Damage::Layout)]);
    assert_eq!(found.scrub, [(None, layout, true)]);
}

/// A record of other sizes than its pages', of none, of some where the pages have none, and of what no page
/// has.
#[test]
#[cfg(feature = "fixed-width")]
fn widths_that_contradict_the_pages_are_told() {
    let widths = [Some((8, 16)), None, Some((8, 8)), Some((8, u16::MAX))];
    for (which, width) in widths.into_iter().enumerate() {
        let mut ram = vec![0; 1 << 18];
        let store = create(&mut ram, PAGE, 0);
        let [fixed, plain] = fixed_and_plain(&store);
        let mut wrong = if which == 2 { plain } else { fixed };
        wrong.fixed = width.and_then(|(k, v)| TreeOptions::default().fixed_width(k, v).fixed);
        let names = tree(&store, &[(b"t", &wrong.encode())]);
        set_names(&store, &names.encode());
        let found = told(&store.begin_read(0).unwrap());
        assert!(
            found.check.contains(&(wrong.root, Damage::Layout)),
            "{wrong:?}: {:?}",
            found.check
        );
        // Reading and changing it answers, or says what is wrong.
        let mut writer = Writer::new(store.begin_write().unwrap()).unwrap();
        let opened = writer.open("t").unwrap();
        let mut tree = writer.tree(opened).unwrap();
        let _ = tree.get(b"12345678");
        let _ = tree.insert(b"12345679", b"abcdefgh");
        let _ = tree.insert(b"12345679", &[7; 16]);
        let _ = tree.remove(b"12345678");
        let _ = tree.load([(b"99999999", b"abcdefgh")], 100);
    }
}

#[test]
fn bad_records_among_the_names_are_told() {
    let mut ram = vec![0; 1 << 18];
    let store = create(&mut ram, PAGE, 0);
    // A tree whose entries are no records takes the place of the names.
    let names = tree(&store, &[(b"bad", b"no record"), (b"later", &[0, 0, 0, 0, 0, 8])]);
    set_names(&store, &names.encode());
    let found = told(&store.begin_read(0).unwrap());
    let layout = Error::corrupt(PageId::NONE, Damage::Layout);
    let bad = |name: &[u8]| (Some(name.to_vec()), layout, true);
    assert_eq!(found.scrub, [bad(b"bad"), bad(b"later")]);
    assert!(found.check.iter().any(|(_, damage)| *damage == Damage::Layout), "{:?}", found.check);
}

#[test]
fn a_wrong_count_in_a_record_is_told() {
    for at in [8, 16, 20, 24] {
        let mut ram = vec![0; 1 << 18];
        let store = create(&mut ram, PAGE, 0);
        tree(&store, &[(b"a", b"1")]);
        let names = Catalog::new(&store.begin_read(0).unwrap()).unwrap().record();
        assert_eq!((names.entries, names.height), (1, 1));
        set_names(&store, &changed(&names, at, 9));
        let found = told(&store.begin_read(0).unwrap());
        assert_eq!(found.check, [(names.root, Damage::Count)], "{at}");
        assert!(found.scrub.is_empty(), "no page is damaged");
    }
}

/// What a safe opening rests on: a page in use twice would be written by one user while the other lends it.
#[test]
fn a_page_in_use_twice_is_told_and_refused() {
    let prove = |store: &RamStore<'_>| {
        let inspection = store.inspect().unwrap();
        Replayer::new().prove(&inspection, &mut [0; 64])
    };
    // By two trees: names whose records are the same.
    let mut ram = vec![0; 1 << 18];
    let store = create(&mut ram, PAGE, 0);
    let shared = tree(&store, &[(b"k", b"v")]);
    let mut writer = Writer::new(store.begin_write().unwrap()).unwrap();
    let names = writer.create("names", TreeOptions::default()).unwrap();
    for name in [b"a", b"b"] {
        writer.tree(names).unwrap().insert(name, &shared.encode()).unwrap();
    }
    let record = writer.record(names).unwrap();
    writer.commit(Durability::Sync).unwrap();
    set_names(&store, &record.encode());
    let found = told(&store.begin_read(0).unwrap());
    assert!(found.check.contains(&(shared.root, Damage::Shared)), "{:?}", found.check);
    assert_eq!(prove(&store), Err(PagerError::corrupt(shared.root, Damage::Shared)));

    // By a tree and as a free page, which still looks like what it was.
    let mut ram = vec![0; 1 << 18];
    let store = create(&mut ram, PAGE, 0);
    let dropped = tree(&store, &[(b"empty", &[0; RECORD_BYTES])]);
    let mut writer = Writer::new(store.begin_write().unwrap()).unwrap();
    writer.drop_tree("t").unwrap();
    writer.commit(Durability::Sync).unwrap();
    set_names(&store, &dropped.encode());
    let damage = prove(&store).unwrap_err();
    assert_eq!(damage, PagerError::corrupt(dropped.root, Damage::Shared));
}

/// Else a forged file whose names all mean one tree would keep a small machine busy for ever, whose bitmap is
/// smaller than the file: the first look is at every page that the trees reach.
#[test]
fn a_check_looks_at_no_more_pages_than_there_are_however_many_names_share_them() {
    let mut ram = vec![0; 4 << 20];
    let store = create(&mut ram, PAGE, 0);
    let mut writer = Writer::new(store.begin_write().unwrap()).unwrap();
    let shared = writer.create("shared", TreeOptions::default()).unwrap();
    for n in 0..3000u32 {
        writer.tree(shared).unwrap().insert(&n.to_be_bytes(), &[7; 40]).unwrap();
    }
    let names = writer.create("names", TreeOptions::default()).unwrap();
    let record = writer.record(shared).unwrap().encode();
    for n in 0..300u32 {
        writer.tree(names).unwrap().insert(format!("{n:04}").as_bytes(), &record).unwrap();
    }
    writer.commit(Durability::Sync).unwrap();
    let names = {
        let snapshot = store.begin_read(0).unwrap();
        Catalog::new(&snapshot).unwrap().get("names").unwrap().unwrap()
    };
    set_names(&store, &names.encode());
    let snapshot = store.begin_read(0).unwrap();
    for window_bytes in [1, 8, 1 << 10] {
        let mut told = Told::default();
        let pages = snapshot.page_count();
        let report = check(&snapshot, pages, &mut vec![0; window_bytes], &mut told).unwrap();
        let looked_at = report.inner_pages + report.leaf_pages + report.run_pages;
        assert!(looked_at <= u64::from(pages), "{looked_at} of {pages} with {window_bytes}");
        assert!(told.check.iter().any(|(_, damage)| *damage == Damage::Shared));
        assert_eq!(report.trees, 300, "all names are gone to");
    }
}

/// Else a caller that forgets to write back would commit pages that no tree reaches.
#[test]
fn what_was_not_written_back_is_not_committed() {
    let mut ram = vec![0; 1 << 18];
    let store = create(&mut ram, PAGE, 0);
    let mut writer = Writer::new(store.begin_write().unwrap()).unwrap();
    let tree = writer.create("t", TreeOptions::default()).unwrap();
    writer.tree(tree).unwrap().insert(b"k", b"v").unwrap();
    assert!(writer.into_written().commit(Durability::Sync).is_err());
    let mut writer = Writer::new(store.begin_write().unwrap()).unwrap();
    let tree = writer.create("t", TreeOptions::default()).unwrap();
    writer.tree(tree).unwrap().insert(b"k", b"v").unwrap();
    writer.write_back().unwrap();
    writer.into_written().commit(Durability::Sync).unwrap();
}
