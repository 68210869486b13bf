//! A cache whose entries expire, and which keeps to a number of entries.
//!
//! Two trees: `entries` by key, each value with its time of expiry in front; `expiries` by time and key, so
//! that what is to go next is always first. Both change in one transaction. A get looks at the time and
//! writes nothing, so that readers never wait.
//!
//! ```sh
//! cargo run -p mapleaf --example cache
//! ```

use mapleaf::{Database, Durability, Result, WriteTxn};

/// Bytes of a time.
const TIME_BYTES: usize = 8;

struct Cache<'db> {
    db: &'db Database,
    entries_max: u64,
}

/// The place of an entry among the expiries.
fn due(expires: u64, key: &[u8]) -> Vec<u8> {
    [&expires.to_be_bytes()[..], key].concat()
}

/// The time in front of a value or a due key.
fn time(bytes: &[u8]) -> u64 {
    bytes.first_chunk::<TIME_BYTES>().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

impl Cache<'_> {
    /// Stores an entry until `expires`. Eventual: a cache may lose its last entries with the power, but is
    /// never damaged.
    fn put(&self, key: &[u8], value: &[u8], expires: u64) -> Result<()> {
        let mut txn = self.db.write()?;
        Cache::forget(&mut txn, key)?;
        let framed = [&expires.to_be_bytes()[..], value].concat();
        txn.tree("entries")?.insert(key, &framed)?;
        txn.tree("expiries")?.insert(&due(expires, key), b"")?;
        while txn.tree("entries")?.len() > self.entries_max {
            Cache::drop_first(&mut txn)?;
        }
        txn.commit_with(Durability::Eventual)?;
        Ok(())
    }

    /// The value of a key that has not expired by `now`.
    fn get(&self, key: &[u8], now: u64) -> Result<Option<Vec<u8>>> {
        let snapshot = self.db.read()?;
        let entries = match snapshot.tree("entries") {
            Err(mapleaf::TreeError::NoSuchTree) => return Ok(None),
            entries => entries?,
        };
        let fresh = entries.get(key)?.filter(|framed| time(framed) > now);
        Ok(fresh.and_then(|framed| framed.get(TIME_BYTES..)).map(<[u8]>::to_vec))
    }

    /// Removes what has expired, at most `limit` entries so that no transaction grows long; how many.
    fn sweep(&self, now: u64, limit: u64) -> Result<u64> {
        let mut txn = self.db.write()?;
        let mut swept = 0;
        while swept < limit {
            let first = txn.tree("expiries")?.as_tree().first()?.map(|(due, _)| due.to_vec());
            if first.is_none_or(|due| time(&due) > now) {
                break;
            }
            Cache::drop_first(&mut txn)?;
            swept += 1;
        }
        txn.commit_with(Durability::Eventual)?;
        Ok(swept)
    }

    fn forget(txn: &mut WriteTxn<'_>, key: &[u8]) -> Result<()> {
        let old = txn.tree("entries")?.get(key)?.map(time);
        if let Some(expires) = old {
            txn.tree("entries")?.remove(key)?;
            txn.tree("expiries")?.remove(&due(expires, key))?;
        }
        Ok(())
    }

    /// Removes the entry that expires first.
    fn drop_first(txn: &mut WriteTxn<'_>) -> Result<()> {
        let first = txn.tree("expiries")?.pop_first(|due, _| due.to_vec())?;
        if let Some(key) = first.as_ref().and_then(|due| due.get(TIME_BYTES..)) {
            txn.tree("entries")?.remove(key)?;
        }
        Ok(())
    }

    fn len(&self) -> Result<u64> {
        let snapshot = self.db.read()?;
        let (entries, expiries) = (snapshot.tree("entries")?, snapshot.tree("expiries")?);
        assert_eq!(entries.len(), expiries.len(), "both changed in every transaction");
        Ok(entries.len())
    }
}

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let scratch = tempfile::tempdir()?;
    // SAFETY: a file of our own, that nothing else opens.
    let db = unsafe { Database::open(scratch.path().join("cache.leaf")) }?;
    let cache = Cache { db: &db, entries_max: 1000 };
    // Times are the caller's: seconds here, and no clock, so that this prints the same each time.
    for page in 0..800u64 {
        let key = format!("page {page}");
        cache.put(key.as_bytes(), format!("<h1>{page}</h1>").as_bytes(), 60 + page)?;
    }
    println!("{} entries", cache.len()?);
    let shown =
        |value: Option<Vec<u8>>| value.map(|value| String::from_utf8_lossy(&value).into_owned());
    println!("page 7 at 66: {:?}", shown(cache.get(b"page 7", 66)?));
    println!("page 7 at 67: {:?}", shown(cache.get(b"page 7", 67)?));
    cache.put(b"page 7", b"<h1>anew</h1>", 500)?;
    println!("page 7 at 67: {:?}", shown(cache.get(b"page 7", 67)?));
    println!("swept at 159: {}, then {}", cache.sweep(159, 80)?, cache.sweep(159, 80)?);
    println!("{} entries", cache.len()?);
    for page in 0..500u64 {
        cache.put(format!("new {page}").as_bytes(), b"", 10_000 + page)?;
    }
    println!("{} entries, of 1201 put: those that would expire first are gone", cache.len()?);
    println!("sound: {}", db.check()?.is_sound());
    Ok(())
}
