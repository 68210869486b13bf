//! SQLite through rusqlite: one table, its key the primary key.

use crate::data::{Entries, Keys, worth};
use crate::peer::{
    Durability, Failure, Found, Options, Peer, Read, Result, Store, Write, disk_bytes_of,
};
use rusqlite::{Connection, OptionalExtension as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

const GET: &str = "SELECT v FROM kv WHERE k = ?1";
const PUT: &str = "REPLACE INTO kv (k, v) VALUES (?1, ?2)";
const REMOVE: &str = "DELETE FROM kv WHERE k = ?1";
const REMOVE_RANGE: &str = "DELETE FROM kv WHERE k >= ?1 AND k < ?2";
const RANGE: &str = "SELECT k, v FROM kv WHERE k >= ?1 ORDER BY k LIMIT ?2";
const SCAN: &str = "SELECT k, v FROM kv ORDER BY k";
const SCAN_BACKWARDS: &str = "SELECT k, v FROM kv ORDER BY k DESC";

/// Pages of its own cache: more would only be copies of what is mapped.
const CACHE_BYTES_MAX: u64 = 64 << 20;
/// Bytes it maps for reading: SQLite's limit is below 2 GiB.
const MAPPED_BYTES: i64 = 0x7fff_0000;
/// Statements that are kept prepared.
const PREPARED: usize = 16;

/// SQLite in WAL mode.
pub(crate) fn store() -> Store {
    Store {
        name: "sqlite",
        settings: "WAL, synchronous FULL, mmap, cache 64 MiB; without a barrier: synchronous NORMAL",
        is_lmdb: false,
        only_cold: false,
        takes: |_| true,
        open,
    }
}

struct Sqlite {
    path: PathBuf,
    cache_bytes: u64,
    writer: Mutex<Connection>,
    readers: Mutex<Vec<Connection>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn open(directory: &Path, options: Options) -> Result<Box<dyn Peer>> {
    let path = directory.join("bench.sqlite");
    let cache_bytes = options.cache_bytes.min(CACHE_BYTES_MAX);
    let writer = connect(&path, cache_bytes)?;
    writer.pragma_update(None, "journal_mode", "WAL")?;
    writer.pragma_update(None, "synchronous", "FULL")?;
    // Where rows are large, SQLite's manual advises against tables without row ids.
    let kind = if options.set.is_small() { "WITHOUT ROWID" } else { "" };
    writer.execute_batch(&format!(
        "CREATE TABLE IF NOT EXISTS kv (k BLOB PRIMARY KEY, v BLOB NOT NULL) {kind}"
    ))?;
    let (writer, readers) = (Mutex::new(writer), Mutex::new(Vec::new()));
    Ok(Box::new(Sqlite { path, cache_bytes, writer, readers }))
}

fn connect(path: &Path, cache_bytes: u64) -> Result<Connection> {
    let connection = Connection::open(path)?;
    // A negative number is one of KiB.
    connection.pragma_update(None, "cache_size", -((cache_bytes >> 10) as i64))?;
    connection.pragma_update(None, "mmap_size", MAPPED_BYTES)?;
    connection.set_prepared_statement_cache_capacity(PREPARED);
    Ok(connection)
}

impl Sqlite {
    fn reader(&self) -> Result<Connection> {
        let free = lock(&self.readers).pop();
        free.map_or_else(|| connect(&self.path, self.cache_bytes), Ok)
    }
}

struct Writing<'s> {
    connection: MutexGuard<'s, Connection>,
    committed: bool,
}

struct Reading<'s> {
    sqlite: &'s Sqlite,
    connection: Option<Connection>,
}

fn one(connection: &Connection, key: &[u8]) -> Result<Option<u64>> {
    let mut statement = connection.prepare_cached(GET)?;
    let found = statement.query_row([key], |row| Ok(worth(row.get_ref(0)?.as_blob()?)));
    Ok(found.optional()?)
}

fn all(mut rows: rusqlite::Rows<'_>) -> Result<Found> {
    let mut found = Found::default();
    while let Some(row) = rows.next()? {
        found.entry(row.get_ref(0)?.as_blob()?.len(), row.get_ref(1)?.as_blob()?);
    }
    Ok(found)
}

impl Peer for Sqlite {
    fn write(&self) -> Result<Box<dyn Write + '_>> {
        let connection = lock(&self.writer);
        connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        Ok(Box::new(Writing { connection, committed: false }))
    }

    fn read(&self) -> Result<Box<dyn Read + '_>> {
        let connection = self.reader()?;
        connection.prepare_cached("BEGIN")?.execute([])?;
        Ok(Box::new(Reading { sqlite: self, connection: Some(connection) }))
    }

    fn get_each(&self, keys: &Keys) -> Result<Found> {
        let connection = self.reader()?;
        let mut found = Found::default();
        for key in keys.iter() {
            // Without a BEGIN each statement is a transaction.
            if let Some(worth) = one(&connection, key)? {
                found = found.and(Found { count: 1, sum: worth });
            }
        }
        lock(&self.readers).push(connection);
        Ok(found)
    }

    fn durability(&self, durability: Durability) -> Result<()> {
        let synchronous = match durability {
            Durability::Durable => "FULL",
            Durability::Eventual => "NORMAL",
        };
        Ok(lock(&self.writer).pragma_update(None, "synchronous", synchronous)?)
    }

    fn settle(&self) -> Result<()> {
        // The answer says whether readers were in the way: none are.
        lock(&self.writer).query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        Ok(())
    }

    fn compact(&mut self, directory: &Path) -> Result<u64> {
        lock(&self.writer).execute_batch("VACUUM")?;
        self.settle()?;
        disk_bytes_of(directory)
    }
}

impl Write for Writing<'_> {
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        self.connection.prepare_cached(PUT)?.execute([key, value])?;
        Ok(())
    }

    fn insert(&mut self, entries: &Entries) -> Result<()> {
        let mut statement = self.connection.prepare_cached(PUT)?;
        for (key, value) in entries.iter() {
            statement.execute([key, value])?;
        }
        Ok(())
    }

    fn get(&mut self, key: &[u8]) -> Result<Option<u64>> {
        one(&self.connection, key)
    }

    fn remove(&mut self, keys: &Keys) -> Result<u64> {
        let mut statement = self.connection.prepare_cached(REMOVE)?;
        let mut count = 0;
        for key in keys.iter() {
            count += statement.execute([key])? as u64;
        }
        Ok(count)
    }

    fn remove_range(&mut self, from: &[u8], to: &[u8]) -> Result<()> {
        self.connection.prepare_cached(REMOVE_RANGE)?.execute([from, to])?;
        Ok(())
    }

    fn commit(mut self: Box<Self>) -> Result<()> {
        self.connection.prepare_cached("COMMIT")?.execute([])?;
        self.committed = true;
        Ok(())
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        if !self.committed {
            let _ = self.connection.execute_batch("ROLLBACK");
        }
    }
}

impl Reading<'_> {
    fn connection(&self) -> Result<&Connection, Failure> {
        self.connection.as_ref().ok_or_else(|| "the reader is closed".into())
    }
}

impl Read for Reading<'_> {
    fn one(&self, key: &[u8]) -> Result<Option<u64>> {
        one(self.connection()?, key)
    }

    fn value(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let mut statement = self.connection()?.prepare_cached(GET)?;
        Ok(statement.query_row([key], |row| row.get(0)).optional()?)
    }

    fn range(&self, from: &[u8], count: usize) -> Result<Found> {
        all(self.connection()?.prepare_cached(RANGE)?.query((from, count as i64))?)
    }

    fn scan(&self, backwards: bool) -> Result<Found> {
        let statement = if backwards { SCAN_BACKWARDS } else { SCAN };
        all(self.connection()?.prepare_cached(statement)?.query([])?)
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            let ended = connection.prepare_cached("COMMIT").and_then(|mut end| end.execute([]));
            if ended.is_ok() {
                lock(&self.sqlite.readers).push(connection);
            }
        }
    }
}
