//! The face, over each kind of mapping.

use mapleaf::{
    Builder, Create, Damage, Database, Durability, Error, StoreError, TreeError, Unsupported,
};
use std::path::{Path, PathBuf};
use std::thread;

type Check = Result<(), Box<dyn std::error::Error>>;

/// Ways to open a file.
const WAYS: [fn(&Builder, &Path) -> mapleaf::Result<Database>; 2] = [
    // SAFETY: the tests open what mapleaf wrote, and change nothing meanwhile.
    |builder, path| unsafe { builder.open(path) },
    |builder, path| builder.open_buffered(path),
];

fn put(db: &Database, key: &str, value: &str, durability: Durability) -> mapleaf::Result<()> {
    let mut txn = db.write()?;
    txn.tree("t")?.insert(key.as_bytes(), value.as_bytes())?;
    txn.commit_with(durability).map(drop)
}

fn get(db: &Database, key: &str) -> Option<String> {
    let snap = db.read().unwrap();
    let tree = snap.tree("t").unwrap();
    tree.get(key.as_bytes()).unwrap().map(|value| String::from_utf8(value.to_vec()).unwrap())
}

/// A copy of the file as it is now: what another process would find if this one died.
fn copy(path: &Path) -> PathBuf {
    let to = path.with_extension("copy");
    std::fs::copy(path, &to).unwrap();
    to
}

#[test]
fn a_closed_file_opens_with_nothing_to_replay() -> Check {
    for open in WAYS {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("a.leaf");
        let db = open(&Builder::new(), &path)?;
        put(&db, "ada", "1815", Durability::Sync)?;
        let uuid = db.uuid();
        db.clone().close()?;
        put(&db, "alan", "1912", Durability::Eventual)?;
        drop(db);
        for reading in WAYS {
            let db = reading(&Builder::new().read_only(true), &path)?;
            assert_eq!(get(&db, "ada").as_deref(), Some("1815"));
            assert_eq!(get(&db, "alan").as_deref(), Some("1912"));
            assert_eq!((db.uuid(), db.stats().store.replayed_blocks), (uuid, 0));
            assert!(db.check()?.is_sound());
            let refused = db.write().err().and_then(|error| error.store_error());
            assert_eq!(refused, Some(StoreError::ReadOnly));
        }
    }
    Ok(())
}

#[test]
fn what_was_committed_survives_the_process() -> Check {
    for open in WAYS {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("a.leaf");
        let db = open(&Builder::new().background(false), &path)?;
        put(&db, "sync", "1", Durability::Sync)?;
        put(&db, "eventual", "2", Durability::Eventual)?;
        let mut txn = db.write()?;
        txn.tree("t")?.insert(b"uncommitted", b"3")?;
        let copied = copy(&path);
        drop(txn);
        let refused = open(&Builder::new().read_only(true), &copied).err();
        let refused = refused.and_then(|error| error.store_error());
        assert_eq!(refused, Some(StoreError::NeedsRecovery));
        let before = open(&Builder::new().read_only(true).at_checkpoint(true), &copied)?;
        assert_eq!(before.read()?.tree("t").err(), Some(TreeError::NoSuchTree));
        drop(before);
        let again = open(&Builder::new(), &copied)?;
        assert_eq!(again.stats().store.replayed_blocks, 2);
        assert_eq!(get(&again, "sync").as_deref(), Some("1"));
        assert_eq!(get(&again, "eventual").as_deref(), Some("2"));
        assert_eq!(get(&again, "uncommitted"), None);
        assert!(again.check()?.is_sound());
    }
    Ok(())
}

#[test]
fn one_handle_writes_a_file() -> Check {
    for open in WAYS {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("a.leaf");
        let db = open(&Builder::new(), &path)?;
        let owned = db.read_owned()?;
        for other in WAYS {
            for builder in [Builder::new(), Builder::new().read_only(true)] {
                let error = other(&builder, &path).err().ok_or("opened twice")?;
                assert!(matches!(error, Error::InUse { .. }), "{error:?}");
                assert!(error.to_string().contains("a.leaf"), "{error}");
            }
        }
        drop(db);
        // The snapshot keeps the file.
        assert!(matches!(open(&Builder::new(), &path), Err(Error::InUse { .. })));
        drop(owned);
        let readers: Vec<_> = WAYS
            .map(|way| way(&Builder::new().read_only(true), &path))
            .into_iter()
            .collect::<Result<_, _>>()?;
        assert!(matches!(open(&Builder::new(), &path), Err(Error::InUse { .. })));
        drop(readers);
        open(&Builder::new(), &path)?;
    }
    Ok(())
}

#[test]
fn creating_is_a_choice() -> Check {
    for open in WAYS {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("a.leaf");
        for builder in [Builder::new().create(Create::Never), Builder::new().read_only(true)] {
            let error = open(&builder, &path).err().ok_or("opened nothing")?;
            assert!(error.to_string().contains("a.leaf: cannot open: No such file"), "{error}");
            assert!(!path.exists());
        }
        drop(open(&Builder::new().create(Create::New).page_size(8192), &path)?);
        let error = open(&Builder::new().create(Create::New), &path).err().ok_or("made anew")?;
        assert!(error.to_string().contains("File exists"), "{error}");
        assert_eq!(open(&Builder::new(), &path)?.stats().store.page_size, 8192);
        let error = open(&Builder::new().page_size(4096), &path).err().ok_or("other page size")?;
        let wrong = Unsupported::PageSize { found: 8192, wanted: 4096 };
        assert_eq!(error.store_error(), Some(StoreError::Unsupported(wrong)));
    }
    Ok(())
}

#[test]
fn what_is_no_database_is_refused_by_name() -> Check {
    for open in WAYS {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("other.txt");
        for content in [&b"hello"[..], &[1; 20_000], &[0xA5; 300_000]] {
            std::fs::write(&path, content)?;
            let error = open(&Builder::new(), &path).err().ok_or("opened")?;
            assert!(matches!(error.store_error(), Some(StoreError::Unsupported(_))), "{error:?}");
            assert!(error.to_string().contains("other.txt"), "{error}");
            assert_eq!(std::fs::read(&path)?, content);
        }
        assert!(open(&Builder::new(), dir.path()).is_err());
        assert!(open(&Builder::new(), Path::new("nul\0byte")).is_err());
    }
    Ok(())
}

#[test]
fn writers_take_turns_and_readers_do_not_wait() -> Check {
    let db = Database::in_memory()?;
    put(&db, "count", "0", Durability::Sync)?;
    let txn = db.write()?;
    assert!(db.try_write()?.is_none());
    assert_eq!(get(&db, "count").as_deref(), Some("0"));
    assert!(db.sync().is_ok());
    drop(txn);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..200 {
                    let mut txn = db.write().unwrap();
                    let mut tree = txn.tree("t").unwrap();
                    let count = tree.get(b"count").unwrap().unwrap();
                    let count: u32 = std::str::from_utf8(count).unwrap().parse().unwrap();
                    tree.insert(b"count", (count + 1).to_string().as_bytes()).unwrap();
                    txn.commit_with(Durability::Eventual).unwrap();
                    db.sync().unwrap();
                }
            });
        }
    });
    assert_eq!(get(&db, "count").as_deref(), Some("800"));
    assert!(db.try_write()?.is_some());
    Ok(())
}

#[test]
fn a_transaction_moves_between_threads_and_rolls_back() -> Check {
    let db = Database::in_memory()?;
    put(&db, "a", "1", Durability::Sync)?;
    let snap = db.read_owned()?;
    let mut txn = db.write()?;
    thread::scope(|scope| {
        scope.spawn(move || {
            txn.tree("t").unwrap().insert(b"a", b"2").unwrap();
            assert_eq!(txn.base().unwrap().tree("t").unwrap().get(b"a"), Ok(Some(&b"1"[..])));
        });
    });
    assert_eq!(get(&db, "a").as_deref(), Some("1"));
    put(&db, "a", "3", Durability::Sync)?;
    drop(db);
    // The snapshot outlives every handle, and what came after it.
    let seen = thread::spawn(move || snap.tree("t").unwrap().get(b"a").unwrap().unwrap().to_vec());
    assert_eq!(seen.join().map_err(|_| "panic")?, b"1");
    Ok(())
}

#[test]
fn trees_by_name_and_by_handle() -> Check {
    let db = Database::in_memory()?;
    let mut txn = db.write()?;
    let users = txn.create_with("users", mapleaf::TreeOptions::default().tag(7))?;
    assert_eq!(txn.create("users"), Err(TreeError::TreeExists));
    assert_eq!(txn.open("nobody"), Err(TreeError::NoSuchTree));
    txn.tree(users)?.insert(b"a", b"1")?;
    txn.tree(&String::from("users"))?.insert(b"b", b"2")?;
    txn.rename("users", "people")?;
    assert_eq!((txn.record(users)?.entries, txn.record(users)?.tag), (2, 7));
    txn.set_tag(users, 8)?;
    let before = txn.savepoint()?;
    assert!(txn.drop_tree("people")?);
    assert!(!txn.drop_tree("people")?);
    txn.rollback_to(before)?;
    assert!(txn.release(before).is_err());
    let names: Vec<_> = txn.trees()?.map(|tree| tree.map(|(name, _)| name.to_vec())).collect();
    assert_eq!(names, [Ok(b"people".to_vec())]);
    txn.commit()?;
    let snap = db.read()?;
    assert_eq!(snap.tree("users").err(), Some(TreeError::NoSuchTree));
    assert_eq!((snap.tree("people")?.len(), snap.tree("people")?.record().tag), (2, 8));
    Ok(())
}

#[test]
fn a_full_memory_is_an_error_and_nothing_is_lost() -> Check {
    let db = Builder::new().capacity_bytes(1 << 20).in_memory()?;
    put(&db, "kept", "1", Durability::Sync)?;
    let mut txn = db.write()?;
    let mut tree = txn.tree("t")?;
    let value = [7; 900];
    let full = (0u32..100_000).find_map(|i| tree.insert(&i.to_be_bytes(), &value).err());
    assert_eq!(full, Some(TreeError::Pager(StoreError::Full)));
    drop(txn);
    assert_eq!(get(&db, "kept").as_deref(), Some("1"));
    put(&db, "more", "2", Durability::Sync)?;
    let report = db.check()?;
    assert!(report.is_sound(), "{report:?}");
    assert_eq!(report.entries, 2);
    Ok(())
}

#[test]
fn every_snapshot_has_a_slot() -> Check {
    let db = Builder::new().reader_slots(2).in_memory()?;
    let held = (db.read()?, db.read_owned()?);
    let refused = db.read().err().and_then(|error| error.store_error());
    assert_eq!(refused, Some(StoreError::ReadersFull));
    assert_eq!((db.stats().store.readers, db.stats().store.readers_max), (2, 2));
    drop(held.0);
    assert!(db.read().is_ok());
    Ok(())
}

#[test]
fn the_thread_in_the_background_checkpoints() -> Check {
    for open in WAYS {
        let dir = tempfile::tempdir()?;
        let builder = Builder::new().log_bytes(256 << 10, 256 << 10);
        let path = dir.path().join("a.leaf");
        let db = open(&builder, &path)?;
        let before = db.stats().store.checkpoints;
        // More than half of the log, and less than all of it: no commit needs a checkpoint.
        for i in 0..400u32 {
            put(&db, &format!("{:04}", i * 7919 % 3000), &"v".repeat(400), Durability::Eventual)?;
        }
        while db.stats().store.checkpoints == before {
            thread::yield_now();
        }
        assert_eq!(db.stats().checkpoint_error, None);
        drop(db);
        let db = open(&builder.background(false), &path)?;
        // Far more than the log holds: commits make their own.
        for i in 0..2000u32 {
            put(&db, &format!("{:04}", i * 7919 % 3000), &"w".repeat(400), Durability::Eventual)?;
        }
        assert!(db.stats().store.checkpoints > 1, "{:?}", db.stats());
        assert!(db.check()?.is_sound());
        let txn = db.checkpoint()?;
        assert_eq!(db.stats().store.checkpoint, txn);
    }
    Ok(())
}

#[test]
fn large_values_come_back_in_one_slice() -> Check {
    for open in WAYS {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("a.leaf");
        let db = open(&Builder::new(), &path)?;
        let value: Vec<u8> = (0..5_000_000u32).map(|i| (i % 251) as u8).collect();
        let mut txn = db.write()?;
        txn.tree("t")?.insert(b"large", &value)?;
        txn.tree("t")?.reserve(b"filled", 3_000_000, |bytes| bytes.fill(9))?;
        txn.commit()?;
        drop(db);
        let db = open(&Builder::new(), &path)?;
        let snap = db.read()?;
        let tree = snap.tree("t")?;
        assert!(tree.get(b"large")? == Some(&value));
        assert!(tree.get(b"filled")?.is_some_and(|bytes| bytes == vec![9; 3_000_000]));
        let report = db.check()?;
        assert!(report.is_sound() && report.run_pages > 1900, "{report:?}");
    }
    Ok(())
}

#[test]
fn damage_is_found_and_named() -> Check {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("a.leaf");
    // SAFETY: a new file.
    let db = unsafe { Builder::new().log_bytes(0, 0).open(&path) }?;
    let mut txn = db.write()?;
    for i in 0..2000u32 {
        txn.tree("numbers")?.insert(&i.to_be_bytes(), &[b'v'; 100])?;
    }
    txn.commit()?;
    drop(db);
    let whole = std::fs::read(&path)?;
    // A leaf: the page that holds this entry's value.
    let at = whole.windows(100).position(|bytes| bytes == [b'v'; 100]).ok_or("no leaf")?;
    let mut broken = whole.clone();
    broken[at + 50] ^= 1;
    std::fs::write(&path, &broken)?;
    let error = Database::open_buffered(&path).err().ok_or("opened")?;
    let page = mapleaf::PageId((at / 4096) as u32);
    let wanted = StoreError::Corrupt { page, damage: Damage::Checksum };
    assert_eq!(error.store_error(), Some(wanted), "{error}");
    // SAFETY: opened for reading: nothing is written.
    let db = unsafe { Builder::new().read_only(true).open(&path) }?;
    let report = db.check()?;
    assert!(!report.is_sound());
    let found = report.found.first().ok_or("nothing listed")?;
    assert_eq!((found.tree.as_deref(), found.page), (Some("numbers"), page));
    Ok(())
}

/// A process that dies while it makes the file leaves zeros, perhaps with a part of a meta: nothing that
/// must keep the next one from making it. Where there is anything else, nothing is overwritten.
#[test]
fn a_making_that_was_cut_short_is_done_again() -> Check {
    for open in WAYS {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("a.leaf");
        for len in [4096, 8192, 100_000, 2 << 20] {
            let mut left = vec![0; len];
            // Of the second meta something may have been written.
            left.iter_mut().skip(4096).take(700).for_each(|byte| *byte = 0xEE);
            std::fs::write(&path, left)?;
            let db = open(&Builder::new(), &path)?;
            put(&db, "ada", "1815", Durability::Sync)?;
            drop(db);
            assert_eq!(get(&open(&Builder::new(), &path)?, "ada").as_deref(), Some("1815"));
        }
        for (at, len) in [(0, 8192), (9000, 100_000), (99_999, 100_000)] {
            let mut foreign = vec![0; len];
            foreign[at] = 1;
            std::fs::write(&path, &foreign)?;
            assert!(open(&Builder::new(), &path).is_err());
            assert_eq!(std::fs::read(&path)?, foreign);
        }
        std::fs::write(&path, vec![0; 64 << 20])?;
        assert!(open(&Builder::new(), &path).is_err(), "longer than a new store");
        std::fs::write(&path, vec![0; 8192])?;
        assert!(open(&Builder::new().read_only(true), &path).is_err());
    }
    Ok(())
}

/// Else a snapshot would show a tree as it is in another state, or another database.
#[test]
fn a_tree_that_was_looked_up_before_is_the_snapshots_own() {
    let names = ["t", "a name that is not remembered, since it is long", "t\0"];
    let dbs = [Database::in_memory().unwrap(), Database::in_memory().unwrap()];
    for (at, db) in dbs.iter().enumerate() {
        let mut txn = db.write().unwrap();
        for (more, name) in names.iter().enumerate() {
            let mut tree = txn.tree(*name).unwrap();
            (0..=at + 2 * more).for_each(|key| {
                tree.insert(&key.to_be_bytes(), b"").unwrap();
            });
        }
        txn.commit().unwrap();
    }
    let [first, second] = dbs.each_ref().map(|db| db.read().unwrap());
    assert_eq!(first.txn(), second.txn(), "told apart by the database alone");
    for _ in 0..2 {
        for (more, name) in names.iter().enumerate() {
            for (at, snapshot) in [&first, &second].into_iter().enumerate() {
                for _ in 0..2 {
                    assert_eq!(snapshot.tree(name).unwrap().len(), (at + 2 * more + 1) as u64);
                }
            }
        }
    }
    let mut txn = dbs[0].write().unwrap();
    txn.tree("t").unwrap().insert(b"new", b"").unwrap();
    txn.rename("t\0", "u").unwrap();
    txn.commit().unwrap();
    let later = dbs[0].read().unwrap();
    for _ in 0..2 {
        assert_eq!(first.tree("t").unwrap().len(), 1);
        assert_eq!(later.tree("t").unwrap().len(), 2);
        assert_eq!(first.tree("t\0").unwrap().len(), 5);
        assert!(later.tree("t\0").is_err(), "renamed since");
        assert_eq!(later.tree("u").unwrap().len(), 5);
    }
}
