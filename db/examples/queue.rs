//! A durable first-in, first-out queue. A job that was taken comes back if its worker dies before it commits.
//!
//! A key is the job's number, big-endian, so that `pop_first` is the oldest. The next number is the tree's
//! tag: it goes on where it was though the queue ran empty.
//!
//! ```sh
//! cargo run -p mapleaf --example queue
//! ```

use mapleaf::{Database, Result, TreeHandle, WriteTxn};

const NAME: &str = "jobs";

/// A queue in a tree of a database that may have others.
struct Queue<'db> {
    db: &'db Database,
}

impl Queue<'_> {
    /// Adds jobs, all or none, durably: one barrier for all of them.
    fn push(&self, jobs: &[&[u8]]) -> Result<()> {
        let mut txn = self.db.write()?;
        let tree = txn.open_or_create(NAME)?;
        let first = txn.record(tree)?.tag;
        for (number, job) in (first..).zip(jobs) {
            // Behind all keys: cheaper than an insert.
            txn.tree(tree)?.append(&number.to_be_bytes(), job)?;
        }
        txn.set_tag(tree, first + jobs.len() as u64)?;
        txn.commit()?;
        Ok(())
    }

    /// Takes the oldest job. It is gone once the [`Taken`] is done with; dropped before, it is back.
    fn take(&self) -> Result<Option<Taken<'_>>> {
        let mut txn = self.db.write()?;
        let tree = txn.open_or_create(NAME)?;
        let job = txn.tree(tree)?.pop_first(|_, job| job.to_vec())?;
        Ok(job.map(|job| Taken { txn, tree, job }))
    }

    fn len(&self) -> Result<u64> {
        match self.db.read()?.tree(NAME) {
            Ok(tree) => Ok(tree.len()),
            Err(mapleaf::TreeError::NoSuchTree) => Ok(0),
            Err(error) => Err(error.into()),
        }
    }
}

/// A job in work.
struct Taken<'db> {
    txn: WriteTxn<'db>,
    tree: TreeHandle,
    job: Vec<u8>,
}

impl Taken<'_> {
    /// Also adds a job that follows from this one: in the same transaction, so never twice, never lost.
    fn follow_up(&mut self, job: &[u8]) -> Result<()> {
        let number = self.txn.record(self.tree)?.tag;
        self.txn.tree(self.tree)?.append(&number.to_be_bytes(), job)?;
        self.txn.set_tag(self.tree, number + 1)?;
        Ok(())
    }

    fn done(self) -> Result<()> {
        self.txn.commit()?;
        Ok(())
    }
}

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let scratch = tempfile::tempdir()?;
    let path = scratch.path().join("queue.leaf");
    // SAFETY: a file of our own, that nothing else opens.
    let db = unsafe { Database::open(&path) }?;
    let queue = Queue { db: &db };
    queue.push(&[b"resize 1.jpg", b"resize 2.jpg", b"mail ada"])?;
    println!("{} jobs wait", queue.len()?);

    let first = queue.take()?.ok_or("no job")?;
    println!("took {:?}, and the worker fails", String::from_utf8_lossy(&first.job));
    drop(first);

    let mut again = queue.take()?.ok_or("no job")?;
    println!("took {:?} again", String::from_utf8_lossy(&again.job));
    again.follow_up(b"mail grace: 1.jpg is there")?;
    again.done()?;

    // Another process goes on where this one ended.
    db.close()?;
    // SAFETY: as above.
    let db = unsafe { Database::open(&path) }?;
    let queue = Queue { db: &db };
    while let Some(taken) = queue.take()? {
        println!("did {:?}", String::from_utf8_lossy(&taken.job));
        taken.done()?;
    }
    queue.push(&[b"one more"])?;
    let number = db.read()?.tree(NAME)?.first()?.ok_or("no job")?.0.to_vec();
    println!(
        "the next job has number {:?}",
        u64::from_be_bytes(number.try_into().unwrap_or([0; 8]))
    );
    Ok(())
}
