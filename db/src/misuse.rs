//! Code that must not compile, each beside code that must.
//!
//! Of a pair only the line in question differs, so that the first fails for that line alone.
#![cfg(doctest)]

/// A value does not outlive its snapshot.
/// ```compile_fail,E0505
/// let db = mapleaf::Database::in_memory()?;
/// let snap = db.read()?;
/// let users = snap.tree("users");
/// let value = users.and_then(|users| users.get(b"ada"));
/// drop(snap);
/// let _ = value.is_ok();
/// # Ok::<(), mapleaf::Error>(())
/// ```
/// ```
/// let db = mapleaf::Database::in_memory()?;
/// let snap = db.read()?;
/// let users = snap.tree("users");
/// let value = users.and_then(|users| users.get(b"ada"));
/// let _ = value.is_ok();
/// drop(snap);
/// # Ok::<(), mapleaf::Error>(())
/// ```
struct ValueOutlivesSnapshot;

/// A value does not outlive its owned snapshot.
/// ```compile_fail,E0505
/// let snap = mapleaf::Database::in_memory()?.read_owned()?;
/// let value = snap.tree("users").and_then(|users| users.get(b"ada"));
/// drop(snap);
/// let _ = value.is_ok();
/// # Ok::<(), mapleaf::Error>(())
/// ```
/// ```
/// let snap = mapleaf::Database::in_memory()?.read_owned()?;
/// let value = snap.tree("users").and_then(|users| users.get(b"ada"));
/// let _ = value.is_ok();
/// drop(snap);
/// # Ok::<(), mapleaf::Error>(())
/// ```
struct ValueOutlivesOwnedSnapshot;

/// A snapshot does not outlive its database.
/// ```compile_fail,E0505
/// let db = mapleaf::Database::in_memory()?;
/// let snap = db.read()?;
/// drop(db);
/// let _ = snap.txn();
/// # Ok::<(), mapleaf::Error>(())
/// ```
/// ```
/// let db = mapleaf::Database::in_memory()?;
/// let snap = db.read_owned()?;
/// drop(db);
/// let _ = snap.txn();
/// # Ok::<(), mapleaf::Error>(())
/// ```
struct SnapshotOutlivesDatabase;

/// A write transaction does not outlive its database.
/// ```compile_fail,E0505
/// let db = mapleaf::Database::in_memory()?;
/// let txn = db.write()?;
/// drop(db);
/// txn.commit()?;
/// # Ok::<(), mapleaf::Error>(())
/// ```
/// ```
/// let db = mapleaf::Database::in_memory()?;
/// let txn = db.write()?;
/// txn.commit()?;
/// drop(db);
/// # Ok::<(), mapleaf::Error>(())
/// ```
struct TransactionOutlivesDatabase;

/// A tree does not outlive its transaction.
/// ```compile_fail,E0505
/// let db = mapleaf::Database::in_memory()?;
/// let mut txn = db.write()?;
/// let mut users = txn.tree("users")?;
/// txn.commit()?;
/// users.insert(b"ada", b"1815")?;
/// # Ok::<(), mapleaf::Error>(())
/// ```
/// ```
/// let db = mapleaf::Database::in_memory()?;
/// let mut txn = db.write()?;
/// let mut users = txn.tree("users")?;
/// users.insert(b"ada", b"1815")?;
/// txn.commit()?;
/// # Ok::<(), mapleaf::Error>(())
/// ```
struct TreeOutlivesTransaction;

/// A value read in a transaction does not outlive a change of it.
/// ```compile_fail,E0502
/// let db = mapleaf::Database::in_memory()?;
/// let mut txn = db.write()?;
/// let mut users = txn.tree("users")?;
/// let value = users.get(b"ada")?;
/// users.insert(b"ada", b"1815")?;
/// let _ = value.is_some();
/// # Ok::<(), mapleaf::Error>(())
/// ```
/// ```
/// let db = mapleaf::Database::in_memory()?;
/// let mut txn = db.write()?;
/// let mut users = txn.tree("users")?;
/// let value = users.get(b"ada")?;
/// let _ = value.is_some();
/// users.insert(b"ada", b"1815")?;
/// # Ok::<(), mapleaf::Error>(())
/// ```
struct ValueOutlivesChange;

/// An iterator of a transaction does not outlive its commit.
/// ```compile_fail,E0505
/// let db = mapleaf::Database::in_memory()?;
/// let mut txn = db.write()?;
/// let users = txn.open_or_create("users")?;
/// let mut entries = txn.tree_ref(users)?.iter();
/// txn.commit()?;
/// let _ = entries.next();
/// # Ok::<(), mapleaf::Error>(())
/// ```
/// ```
/// let db = mapleaf::Database::in_memory()?;
/// let mut txn = db.write()?;
/// let users = txn.open_or_create("users")?;
/// let mut entries = txn.tree_ref(users)?.iter();
/// let _ = entries.next();
/// txn.commit()?;
/// # Ok::<(), mapleaf::Error>(())
/// ```
struct IteratorOutlivesCommit;

/// Two trees cannot be open to change at the same time.
/// ```compile_fail,E0499
/// let db = mapleaf::Database::in_memory()?;
/// let mut txn = db.write()?;
/// let mut one = txn.tree("one")?;
/// let mut two = txn.tree("two")?;
/// one.insert(b"a", b"1")?;
/// two.insert(b"a", b"1")?;
/// # Ok::<(), mapleaf::Error>(())
/// ```
/// ```
/// let db = mapleaf::Database::in_memory()?;
/// let mut txn = db.write()?;
/// let mut one = txn.tree("one")?;
/// one.insert(b"a", b"1")?;
/// let mut two = txn.tree("two")?;
/// two.insert(b"a", b"1")?;
/// # Ok::<(), mapleaf::Error>(())
/// ```
struct TwoTreesAtATime;

/// Opening through a mapping is a promise that the caller makes.
/// ```compile_fail,E0133
/// let _ = mapleaf::Database::open("/nonexistent/app.leaf");
/// ```
/// ```
/// let _ = mapleaf::Database::open_buffered("/nonexistent/app.leaf");
/// ```
struct OpenIsAPromise;
