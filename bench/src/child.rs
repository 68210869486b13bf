//! Jobs in processes of their own: what a process has read, or has in memory, is then a store's alone, and
//! a process can be killed. The answer is one line: names and numbers.

use crate::data::{DataSet, Draw, Entries, Keys, shuffled};
use crate::machine;
use crate::peer::{Durability, Found, Options, Peer, Result, Store, TOGETHER_MAX, unsupported};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// A job of a child.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub(crate) enum Job {
    /// Makes a store with `entries`, in transactions.
    Load,
    /// Opens it and gets `count` of them, `together` at a time.
    Gets,
    /// Opens it, commits `count` batches and is killed.
    Die,
    /// Opens it and gets one.
    Open,
    /// Loads, closes, opens and reads all.
    Peak,
}

/// What a child is to do.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Task {
    /// The job.
    #[arg(value_enum)]
    pub(crate) job: Job,
    /// The store.
    #[arg(long)]
    pub(crate) store: String,
    /// What is in it.
    #[arg(long, value_enum)]
    pub(crate) set: DataSet,
    /// Where its files are.
    #[arg(long)]
    pub(crate) at: PathBuf,
    /// Entries of the store.
    #[arg(long)]
    pub(crate) entries: u64,
    /// How often.
    #[arg(long, default_value_t = 0)]
    pub(crate) count: usize,
    /// Keys that are looked up together.
    #[arg(long, default_value_t = 1)]
    pub(crate) together: usize,
    /// What is drawn.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Bytes of the store's own caches.
    #[arg(long, default_value_t = crate::stage::CACHE_BYTES)]
    pub(crate) cache_bytes: u64,
}

/// What a child has measured.
#[derive(Clone, Copy, Default, PartialEq, Debug)]
pub(crate) struct Answer {
    /// Nanoseconds: of a get, or of what was asked for.
    pub(crate) nanoseconds: f64,
    /// Bytes: read by a get, or in memory.
    pub(crate) bytes: f64,
}

/// Entries of one transaction of a load: few where memory is what is measured.
const TRANSACTION: usize = 1_000_000;
const TRANSACTION_PEAK: usize = 10_000;
/// Gets end after this, however many there were to be.
const LONGEST: Duration = Duration::from_secs(10);
/// Puts of one batch before death.
const BATCH: usize = 1000;
/// Versions of what a child stores: loaded, and put before death.
const LOADED: u32 = 1;
const PUT: u32 = 2;

impl Task {
    /// A process that does it.
    pub(crate) fn command(&self) -> Result<Command> {
        let mut command = Command::new(std::env::current_exe()?);
        let job = match self.job {
            Job::Load => "load",
            Job::Gets => "gets",
            Job::Die => "die",
            Job::Open => "open",
            Job::Peak => "peak",
        };
        command.args(["child", job, "--store", &self.store, "--set", self.set.name(), "--at"]);
        command.arg(&self.at);
        let numbers = [
            ("--entries", self.entries),
            ("--count", self.count as u64),
            ("--together", self.together as u64),
            ("--seed", self.seed),
            ("--cache-bytes", self.cache_bytes),
        ];
        numbers.iter().for_each(|(name, number)| {
            command.args([*name, &number.to_string()]);
        });
        Ok(command)
    }

    /// Runs a process and reads its answer. One that is to die must have been killed.
    pub(crate) fn ask(&self, command: &mut Command) -> Result<Answer> {
        use std::os::unix::process::ExitStatusExt as _;
        let output = command.stderr(std::process::Stdio::inherit()).output()?;
        if self.job == Job::Die && output.status.signal().is_some() {
            return Ok(Answer::default());
        }
        if output.status.signal() == Some(rustix::process::Signal::KILL.as_raw()) {
            return unsupported("live with so little memory: it was killed");
        }
        if !output.status.success() {
            return Err(format!("{}, {:?}: {}", self.store, self.job, output.status).into());
        }
        let line = String::from_utf8(output.stdout)?;
        let mut numbers = line.split_whitespace().map(str::parse::<f64>);
        let mut next = || numbers.next().ok_or("the child has not answered");
        Ok(Answer { nanoseconds: next()??, bytes: next()?? })
    }

    /// Does it in this process, and answers.
    pub(crate) fn run(&self, stores: &[Store]) -> Result<()> {
        let store = stores.iter().find(|store| store.name == self.store);
        let store = store.ok_or_else(|| format!("no such store: {}", self.store))?;
        let answer = match self.job {
            Job::Load => self.load(store, TRANSACTION)?,
            Job::Gets => self.gets(store)?,
            Job::Die => self.die(store)?,
            Job::Open => self.open(store)?,
            Job::Peak => self.peak(store)?,
        };
        println!("{} {}", answer.nanoseconds, answer.bytes);
        Ok(())
    }

    fn opened(&self, store: &Store) -> Result<Box<dyn Peer>> {
        (store.open)(&self.at, Options { set: self.set, cache_bytes: self.cache_bytes })
    }

    fn load(&self, store: &Store, transaction: usize) -> Result<Answer> {
        let peer = self.opened(store)?;
        // Where a store can, one barrier at the end is enough; no process dies here.
        let _ = peer.durability(Durability::Eventual);
        for numbers in shuffled(self.entries, self.seed).chunks(transaction) {
            let mut entries = Entries::default();
            numbers.iter().for_each(|number| entries.push(self.set, *number, LOADED));
            peer.put_all(&entries)?;
        }
        let _ = peer.durability(Durability::Durable);
        peer.settle()?;
        Ok(Answer::default())
    }

    fn expected(&self, numbers: &[u64]) -> Found {
        let worth = numbers.iter().map(|number| self.set.worth(*number, LOADED));
        Found { count: numbers.len() as u64, sum: worth.fold(0, u64::wrapping_add) }
    }

    /// A get's share. Slow stores stop early.
    fn gets(&self, store: &Store) -> Result<Answer> {
        let numbers = Draw::new(self.seed).many(self.count, self.entries);
        let turns: Vec<_> =
            numbers.chunks(TOGETHER_MAX).map(|turn| (turn, Keys::of(self.set, turn))).collect();
        let peer = self.opened(store)?;
        let reader = peer.read()?;
        let (before, start) = (machine::bytes_read()?, Instant::now());
        let (mut found, mut done) = (Found::default(), 0);
        for (turn, keys) in &turns {
            found = found.and(match self.together {
                1 => reader.get(keys)?,
                together => reader.get_many(keys, together)?,
            });
            done += turn.len();
            if start.elapsed() > LONGEST {
                break;
            }
        }
        let nanoseconds = start.elapsed().as_nanos() as f64 / done as f64;
        let bytes = (machine::bytes_read()? - before) as f64 / done as f64;
        crate::team::same(store.name, "gets of a child", found, self.expected(&numbers[..done]))?;
        Ok(Answer { nanoseconds, bytes })
    }

    fn die(&self, store: &Store) -> Result<Answer> {
        let peer = self.opened(store)?;
        let mut draw = Draw::new(self.seed);
        for _ in 0..self.count {
            let mut entries = Entries::default();
            let numbers = draw.many(BATCH, self.entries);
            numbers.iter().for_each(|number| entries.push(self.set, *number, PUT));
            peer.put_all(&entries)?;
        }
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL)?;
        Err("the kill has not killed".into())
    }

    /// What the last batch put must be there, where one was put before.
    fn open(&self, store: &Store) -> Result<Answer> {
        let numbers = Draw::new(self.seed).many(self.count * BATCH, self.entries);
        let number = numbers.last().copied().unwrap_or(0);
        let version = if numbers.is_empty() { LOADED } else { PUT };
        let start = Instant::now();
        let peer = self.opened(store)?;
        let found = peer.read()?.one(Keys::of(self.set, &[number]).get(0))?;
        let nanoseconds = start.elapsed().as_nanos() as f64;
        if found != Some(self.set.worth(number, version)) {
            return Err(format!("{}: what was acknowledged is not there", store.name).into());
        }
        Ok(Answer { nanoseconds, bytes: 0.0 })
    }

    fn peak(&self, store: &Store) -> Result<Answer> {
        self.load(store, TRANSACTION_PEAK)?;
        let peer = self.opened(store)?;
        let found = peer.read()?.scan(false)?;
        if found.count != self.entries {
            return Err(format!("{}: a scan misses entries", store.name).into());
        }
        Ok(Answer { nanoseconds: 0.0, bytes: machine::peak_bytes()? as f64 })
    }
}

/// A task with a store in its own directory below `at`.
pub(crate) fn task(job: Job, store: &Store, set: DataSet, at: &Path, entries: u64) -> Result<Task> {
    let at = at.join(store.name);
    std::fs::create_dir_all(&at)?;
    Ok(Task {
        job,
        store: store.name.into(),
        set,
        at,
        entries,
        count: 0,
        together: 1,
        seed: 1,
        cache_bytes: crate::stage::CACHE_BYTES,
    })
}
