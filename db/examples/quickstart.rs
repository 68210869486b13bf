//! The first ten minutes: make a store, change it, read it, look at it as it was, roll a change back.
//!
//! ```sh
//! cargo run -p mapleaf --example quickstart [FILE]
//! ```

use mapleaf::{Database, Durability};
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let scratch = tempfile::tempdir()?;
    let path = std::env::args_os().nth(1).map_or(scratch.path().join("app.leaf"), Into::into);

    // Made where there is none. Unsafe, because nothing but mapleaf may change the file while it is open:
    // its bytes are read in place. `Database::open_buffered` is the safe way, with the file in memory.
    // SAFETY: a file that mapleaf writes and nothing else changes.
    let db = unsafe { Database::open(&path) }?;

    // One write transaction at a time. Trees are made when they are first named.
    let mut txn = db.write()?;
    let mut users = txn.tree("users")?;
    users.insert(b"ada", b"1815")?;
    users.insert(b"alan", b"1912")?;
    users.insert(b"grace", b"1906")?;
    txn.tree("settings")?.insert(b"theme", b"dark")?;
    txn.commit()?; // both trees, or none; on the medium from here on

    // Any number of snapshots, each of which stays as it is. Values are slices of the file.
    let before = db.read()?;
    let users = before.tree("users")?;
    println!("ada was born in {}", text(users.get(b"ada")?.unwrap_or(b"?")));
    for entry in users.range("al".."b") {
        let (key, value) = entry?;
        println!("from al to b: {} in {}", text(&key.to_vec()), text(value));
    }
    if let Some((key, _)) = users.last()? {
        println!("the last of {} is {}", users.len(), text(&key.to_vec()));
    }

    // A change that is thought better of: dropped without commit, or back to a savepoint.
    let mut txn = db.write()?;
    txn.tree("users")?.remove(b"alan")?;
    let savepoint = txn.savepoint()?;
    txn.tree("users")?.clear()?;
    txn.rollback_to(savepoint)?;
    println!("in the transaction: {} users", txn.tree("users")?.len());
    // Returns at once: survives the death of the process, and power loss after the next sync.
    txn.commit_with(Durability::Eventual)?;
    db.sync()?;

    // The older snapshot has not changed.
    println!("before: {} users, now: {}", users.len(), db.read()?.tree("users")?.len());
    assert!(before.tree("users")?.contains(b"alan")?);

    // Every page accounted for, every checksum compared.
    drop(before);
    println!("sound: {}", db.check()?.is_sound());
    db.close()?;
    Ok(())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
