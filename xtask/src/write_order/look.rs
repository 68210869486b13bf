//! What a power loss left: mounts an image, and opens the database on it.

use super::device::{run_tool, word};
use super::log::Log;
use super::loss::Loss;
use super::{LOST, Told};
use crate::Result;
use crate::data::mix;
use crate::history::{Plan, State, open, state};
use mapleaf::WriteMode;
use std::path::{Path, PathBuf};

/// One image of so many is opened twice, and its ext4 checked.
const TWICE: u64 = 8;

/// What was looked at.
#[derive(Clone, Copy, Default)]
pub(super) struct Looked {
    at_flush: u64,
    between: u64,
    replayed: u64,
    /// Images that hold commits which nobody was told are safe.
    more: u64,
    /// Images without the file: power was lost before there was one.
    unmade: u64,
    commits: u64,
    safe: u64,
    shared: u64,
    entries: usize,
    flushes: usize,
    bytes_max: u64,
}

impl std::fmt::Display for Looked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Looked { at_flush, between, replayed, more, unmade, .. } = self;
        write!(f, "{} commits ({} known safe, {} by a ", self.commits, self.safe, self.shared)?;
        write!(f, "later one's barrier), ")?;
        write!(f, "{} log entries with {} flushes, ", self.entries, self.flushes)?;
        write!(f, "{} images opened: {at_flush} at a flush, ", at_flush + between)?;
        write!(f, "{between} between two; {replayed} replayed, {more} with more than was safe, ")?;
        write!(f, "{unmade} before the first commit; file of at most {} bytes", self.bytes_max)
    }
}

/// Looks at images, in the order of the log.
pub(super) struct Looker {
    image: PathBuf,
    mounted: PathBuf,
    plan: Plan,
    pub(super) told: Told,
    /// Entries of the log that the medium has.
    done: usize,
    looked: Looked,
}

impl Looker {
    pub(super) fn new(directory: &Path, plan: Plan) -> Looker {
        let (image, mounted) = (directory.join("image"), directory.join("image-mounted"));
        let (told, looked) = (Told::default(), Looked::default());
        Looker { image, mounted, plan, told, done: 0, looked }
    }

    /// Turns to another log, of which the medium has nothing yet.
    pub(super) fn begin(&mut self, log: &Log) {
        self.done = 0;
        self.looked.entries += log.entries.len();
        self.looked.flushes += log.boundaries().len();
    }

    /// Brings the medium to where so many entries are whole.
    pub(super) fn advance(&mut self, log: &Log, medium: &mut [u8], whole: usize) -> Result<()> {
        let entries = log.entries.get(self.done..whole).ok_or("losses are not in order")?;
        for entry in entries {
            log.apply(entry, entry.target.clone(), medium);
        }
        self.done = whole;
        Ok(())
    }

    /// Looks at one; the state that it holds.
    pub(super) fn look(&mut self, bytes: &[u8], loss: &Loss) -> Result<State> {
        std::fs::write(&self.image, bytes)?;
        std::fs::create_dir_all(&self.mounted)?;
        let (image, mounted) = (word(&self.image)?, word(&self.mounted)?);
        run_tool("mount", &["-t", "ext4", "-o", "loop", image, mounted])?;
        let number = self.looked.at_flush + self.looked.between;
        let twice = mix(number).is_multiple_of(TWICE);
        let opened =
            open_on(&self.mounted, &self.told, self.plan, loss.whole as u64, number, twice);
        // Before anything else: the next image is mounted there.
        run_tool("umount", &[mounted])?;
        let found = opened?;
        if twice {
            run_tool("e2fsck", &["-f", "-n", image])?;
        }
        let must = self.told.must_hold(loss.whole as u64);
        let looked = &mut self.looked;
        looked.replayed += u64::from(found.replayed);
        looked.more += u64::from(found.state != must);
        looked.unmade += u64::from(found.state == State::default());
        looked.bytes_max = looked.bytes_max.max(found.bytes);
        *if loss.is_at_flush() { &mut looked.at_flush } else { &mut looked.between } += 1;
        Ok(found.state)
    }

    /// All that was looked at.
    pub(super) fn looked(&self) -> Looked {
        let (commits, safe) = (self.told.commits, self.told.safe_commits);
        Looked { commits, safe, shared: self.told.shared, ..self.looked }
    }
}

/// What an image had.
struct Found {
    state: State,
    replayed: bool,
    bytes: u64,
}

fn open_on(
    mounted: &Path,
    told: &Told,
    plan: Plan,
    entries: u64,
    number: u64,
    twice: bool,
) -> Result<Found> {
    let path = mounted.join("t.leaf");
    let bytes = std::fs::metadata(&path).map_or(0, |file| file.len());
    let mode = if number.is_multiple_of(2) { WriteMode::Shadow } else { WriteMode::InPlace };
    let db = open(&path, mode)?;
    let found = state(&db)?;
    let must = told.must_hold(entries);
    if !told.lives.holds(found, must) {
        return Err(format!("{LOST} of {must:?}: found {found:?}").into());
    }
    let model = told.lives.model(plan, found)?;
    model.compare(&db)?;
    let replayed = db.stats().store.replayed_blocks > 0;
    drop(db);
    if twice {
        model.compare(&open(&path, mode)?)?;
    }
    Ok(Found { state: found, replayed, bytes })
}
