//! Any bytes as a damaged file: salvaged and repaired. Or a sound file, of fixed width or not, with bytes changed,
//! and cut.
//!
//! Invariants checked: no panic, no endless loop; what is salvaged into is sound, and holds as much as the
//! report says. Where checksums were not put right, nothing is salvaged that was not stored, and what is
//! repaired holds exactly what was stored.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mapleaf::{Builder, Database, Salvage};
use mapleaf_btree::{CheckVisitor, Finding, Replayer, rebuild};
use mapleaf_fuzz::forged::{self, Made, PAGE};
use mapleaf_fuzz::{ops, with_room, words};
use mapleaf_pager::{Options, Repair, SliceMapping, Store};
use std::cell::RefCell;
use std::fs::File;
use std::os::unix::fs::FileExt;

/// What salvaged entries may grow to.
const CAPACITY: u64 = 8 << 20;

thread_local! {
    static FILE: RefCell<(tempfile::TempDir, File)> = RefCell::new({
        // In memory where that can be had: the file is written anew for each input.
        let shm = std::path::Path::new("/dev/shm");
        let dir = if shm.is_dir() { tempfile::tempdir_in(shm) } else { tempfile::tempdir() };
        let dir = dir.unwrap();
        let file = File::create(dir.path().join("damaged.leaf")).unwrap();
        (dir, file)
    });
}

/// The made store, damaged.
fn damaged(made: &Made, changes: &[u8]) -> Vec<u8> {
    let mut image = made.image.clone();
    // Four bytes a change: page, offset (2), value.
    for change in changes.chunks_exact(4).take(64) {
        let at = usize::from(u16::from_le_bytes([change[1], change[2]])) % PAGE;
        let page = usize::from(change[0]) % (image.len() / PAGE);
        image[page * PAGE + at] = change[3];
        if mapleaf_fuzz::planted() {
            forged::seal(&mut image, page);
        }
    }
    if let [.., 255, cut] = changes {
        image.truncate(image.len() - usize::from(*cut) * 64 % image.len());
    }
    image
}

/// `made` is what was damaged, if it is known.
fn salvage(bytes: &[u8], made: Option<&Made>) {
    let salvage = FILE.with_borrow(|(dir, file)| {
        file.set_len(0).unwrap();
        file.write_all_at(bytes, 0).unwrap();
        Salvage::open(dir.path().join("damaged.leaf"))
    });
    let Ok(salvage) = salvage else { return };
    let builder = Builder::new().background(false).capacity_bytes(CAPACITY);
    let to = builder.page_size(salvage.page_size()).in_memory().unwrap();
    if let Ok(report) = salvage.copy_to(&to, &mut |_, _| ()) {
        let found = to.check().unwrap();
        assert!(found.is_sound(), "salvaged into a damaged store");
        assert_eq!(found.entries, report.entries(), "the report is wrong");
        let named = report.trees.iter().find(|tree| tree.name == "t");
        let whole = named.is_some_and(|tree| tree.losses == 0) && report.is_complete();
        if let Some(made) = made.filter(|_| whole) {
            assert_eq!(found.entries, made.entries.len() as u64, "lost, and not reported");
        }
    }
    if let Some(made) = made {
        only_stored(made, &to);
    }
}

/// Every entry of every tree was stored once.
fn only_stored(made: &Made, db: &Database) {
    let snapshot = db.read().unwrap();
    for name in snapshot.trees().unwrap() {
        let (name, _) = name.unwrap();
        let name = String::from_utf8(name.parts().concat()).unwrap();
        for entry in snapshot.tree(&name).unwrap().iter() {
            let (key, value) = entry.unwrap();
            let key = key.parts().concat();
            assert!(made.entries.get(&key).is_some_and(|stored| stored == value), "not stored");
        }
    }
}

/// Counts damages.
struct Count(u64);

impl CheckVisitor for Count {
    fn damage(&mut self, _: &Finding<'_>) {
        self.0 += 1;
    }
}

/// As `Database::repair_buffered`, over bytes in memory; true where it was repaired.
fn repair(ram: &mut [u8], len: usize) -> mapleaf_btree::Result<bool> {
    let mut repair = Repair::open(SliceMapping::with_len(ram, len), words(), &Options::default())?;
    let mut work = vec![0; 1 << 16];
    let mut damages = Count(0);
    {
        let inspection = repair.inspect()?;
        let snapshot = inspection.snapshot();
        mapleaf_btree::check(snapshot, snapshot.page_count(), &mut work, &mut damages)?;
    }
    if damages.0 > 0 {
        return Ok(false);
    }
    repair.replay(&mut Replayer::new())?;
    {
        let (snapshot, mut made) = repair.rebuild()?;
        rebuild(&snapshot, &mut made, &mut work)?;
        made.commit()?;
    }
    repair.close()?;
    Ok(true)
}

fuzz_target!(|bytes: &[u8]| {
    let Some((how, bytes)) = bytes.split_first() else { return };
    let made = match how % 4 {
        1 => Some(forged::made()),
        3 => Some(forged::made_fixed()),
        _ => None,
    };
    let bytes = made.map_or_else(|| bytes.to_vec(), |made| damaged(made, bytes));
    salvage(&bytes, made);
    let mut ram = with_room(&bytes);
    if let Ok(true) = repair(&mut ram, bytes.len()) {
        let mapping = SliceMapping::full(&mut ram);
        let (options, mut work) = (Options::default(), vec![0; 1 << 16]);
        let store = Store::open_proven(mapping, words(), &options, &mut Replayer::new(), &mut work);
        let store = store.expect("what was repaired is sound");
        if let Some(made) = made {
            assert!(ops::entries(&store.begin_read(0).unwrap()) == made.entries);
        }
    }
});
