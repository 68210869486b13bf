//! Redo records: what a transaction did to its trees, as the log keeps it.
//!
//! | operation | bytes behind the first |
//! |---|---|
//! | 1 bind | slot u8, name: from here on the slot means this tree |
//! | 2 put | slot u8, key_len u16, key, value |
//! | 3 remove | slot u8, key |
//! | 4 remove range | slot u8, start u8, end u8 (0 unbounded, 1 included, 2 excluded), start_len u16, start, end |
//! | 5 clear | slot u8 |
//! | 6 tag | slot u8, tag u64 |
//! | 7 create | tag u64, name |
//! | 8 rename | from_len u8, from, to |
//! | 9 drop | name |
//! | 128 create, fixed width | tag u64, bytes of a key u16, of a value u32, name |
//!
//! A transaction binds a slot before it first uses it, and again after a rollback to a savepoint,
//! which takes the log back too. Numbers are little-endian.

use crate::error::{Error, Result};
use crate::writer::TREES_MAX;
use crate::{
    CheckReport, CheckVisitor, Finding, FixedWidth, OpenTrees, ReachSet, TreeOptions, Writer, check,
};
use core::borrow::BorrowMut;
use core::ops::Bound;
use mapleaf_pager::{
    Damage, Inspection, PageId, PageUse, Part, Redo, RedoLog, Replay, Unsupported, WriteTxn,
};

/// Operations, the first byte of a record.
mod op {
    pub(super) const BIND: u8 = 1;
    pub(super) const PUT: u8 = 2;
    pub(super) const REMOVE: u8 = 3;
    pub(super) const REMOVE_RANGE: u8 = 4;
    pub(super) const CLEAR: u8 = 5;
    pub(super) const TAG: u8 = 6;
    pub(super) const CREATE: u8 = 7;
    pub(super) const RENAME: u8 = 8;
    pub(super) const DROP: u8 = 9;
    /// From here on: what a feature bit of the file announces.
    pub(super) const CREATE_FIXED: u8 = 128;
}

/// Kinds of bounds in a record.
const UNBOUNDED: u8 = 0;
const INCLUDED: u8 = 1;
const EXCLUDED: u8 = 2;

/// Where the changes of one open tree are logged.
pub(crate) struct TreeLog<'t> {
    pub(crate) slot: u8,
    pub(crate) name: &'t [u8],
    /// Whether the slot was bound to the name in this transaction's log.
    pub(crate) bound: &'t mut bool,
}

impl TreeLog<'_> {
    pub(crate) fn reborrow(&mut self) -> TreeLog<'_> {
        TreeLog { slot: self.slot, name: self.name, bound: self.bound }
    }

    fn bind(&mut self, txn: &mut WriteTxn<'_>) {
        if !*self.bound {
            txn.redo(&[Part::Bytes(&[op::BIND, self.slot]), Part::Bytes(self.name)]);
            *self.bound = true;
        }
    }

    /// Logs an entry that was stored; `key` is in two parts, `key_len` bytes in all.
    pub(crate) fn put(
        &mut self,
        txn: &mut WriteTxn<'_>,
        key: [Part<'_>; 2],
        key_len: usize,
        value: Part<'_>,
    ) {
        self.bind(txn);
        // A key takes less than a quarter of a page, which is 2^16 bytes at most.
        let [low, high] = (key_len as u16).to_le_bytes();
        let [first, second] = key;
        txn.redo(&[Part::Bytes(&[op::PUT, self.slot, low, high]), first, second, value]);
    }

    /// Logs an entry that is removed.
    pub(crate) fn remove(&mut self, txn: &mut WriteTxn<'_>, key: [Part<'_>; 2]) {
        self.bind(txn);
        let [first, second] = key;
        txn.redo(&[Part::Bytes(&[op::REMOVE, self.slot]), first, second]);
    }

    /// Logs that the entries of a range were removed.
    pub(crate) fn remove_range(
        &mut self,
        txn: &mut WriteTxn<'_>,
        start: Bound<&[u8]>,
        end: Bound<&[u8]>,
    ) {
        self.bind(txn);
        let ((start_kind, start), (end_kind, end)) = (bound_parts(start), bound_parts(end));
        let [low, high] = (start.len() as u16).to_le_bytes();
        let head = [op::REMOVE_RANGE, self.slot, start_kind, end_kind, low, high];
        txn.redo(&[Part::Bytes(&head), Part::Bytes(start), Part::Bytes(end)]);
    }

    /// Logs that all entries were removed.
    pub(crate) fn clear(&mut self, txn: &mut WriteTxn<'_>) {
        self.bind(txn);
        txn.redo(&[Part::Bytes(&[op::CLEAR, self.slot])]);
    }

    /// Logs a new tag.
    pub(crate) fn tag(&mut self, txn: &mut WriteTxn<'_>, tag: u64) {
        self.bind(txn);
        txn.redo(&[Part::Bytes(&[op::TAG, self.slot]), Part::Bytes(&tag.to_le_bytes())]);
    }
}

/// Logs a new tree.
pub(crate) fn log_create(txn: &mut WriteTxn<'_>, name: &[u8], options: TreeOptions) {
    let (tag, name) = (options.tag.to_le_bytes(), Part::Bytes(name));
    let Some(FixedWidth { key_bytes, value_bytes, .. }) = options.fixed else {
        return txn.redo(&[Part::Bytes(&[op::CREATE]), Part::Bytes(&tag), name]);
    };
    let (key_bytes, value_bytes) = (key_bytes.to_le_bytes(), u32::from(value_bytes).to_le_bytes());
    let sizes = [Part::Bytes(&key_bytes), Part::Bytes(&value_bytes)];
    txn.redo(&[Part::Bytes(&[op::CREATE_FIXED]), Part::Bytes(&tag), sizes[0], sizes[1], name]);
}

/// Logs a tree's new name. Names are at most 255 bytes.
pub(crate) fn log_rename(txn: &mut WriteTxn<'_>, from: &[u8], to: &[u8]) {
    let head = [op::RENAME, from.len() as u8];
    txn.redo(&[Part::Bytes(&head), Part::Bytes(from), Part::Bytes(to)]);
}

/// Logs that a tree was dropped.
pub(crate) fn log_drop(txn: &mut WriteTxn<'_>, name: &[u8]) {
    txn.redo(&[Part::Bytes(&[op::DROP]), Part::Bytes(name)]);
}

/// A bound of any length, cut to what a record holds: no key is that long, so that it stays on the
/// same side of every key.
fn bound_parts(bound: Bound<&[u8]>) -> (u8, &[u8]) {
    let cut = |key| <[u8]>::get(key, ..usize::from(u16::MAX)).unwrap_or(key);
    match bound {
        Bound::Unbounded => (UNBOUNDED, &[]),
        Bound::Included(key) => (INCLUDED, cut(key)),
        Bound::Excluded(key) => (EXCLUDED, cut(key)),
    }
}

fn bound_of(kind: u8, key: &[u8]) -> Result<Bound<&[u8]>> {
    match kind {
        UNBOUNDED => Ok(Bound::Unbounded),
        INCLUDED => Ok(Bound::Included(key)),
        EXCLUDED => Ok(Bound::Excluded(key)),
        _ => Err(NOT_APPLICABLE),
    }
}

const NOT_APPLICABLE: Error = Error::corrupt(PageId::NONE, Damage::Redo);

/// A tree that a slot of the log means, and where the writer had it open last.
#[derive(Clone, Copy, Debug)]
struct Meant<'r> {
    name: &'r str,
    at: usize,
}

/// What the slots of a log mean, for [`apply`]. A transaction starts without any.
///
/// The log's slots are those of the writer that wrote it. The one that replays opens trees as it has room for
/// them: names and trees of transactions before, or that the log has since renamed or dropped, are not in its way.
#[derive(Clone, Copy, Debug)]
pub struct LogSlots<'r> {
    meant: [Option<Meant<'r>>; TREES_MAX],
}

impl Default for LogSlots<'_> {
    fn default() -> Self {
        LogSlots::new()
    }
}

impl<'r> LogSlots<'r> {
    /// No slot means a tree.
    #[must_use]
    pub const fn new() -> LogSlots<'r> {
        LogSlots { meant: [None; TREES_MAX] }
    }

    fn named(&mut self, name: &str) -> impl Iterator<Item = &mut Option<Meant<'r>>> {
        self.meant.iter_mut().filter(move |slot| slot.is_some_and(|meant| meant.name == name))
    }

    /// Where the writer has the tree that a slot means open.
    fn open(
        &mut self,
        slot: u8,
        writer: &mut Writer<'_, impl BorrowMut<OpenTrees>>,
    ) -> Result<usize> {
        let meant = self.meant.get_mut(usize::from(slot)).and_then(Option::as_mut);
        let meant = meant.ok_or(NOT_APPLICABLE)?;
        meant.at = writer.open_unlent(meant.name, meant.at)?;
        Ok(meant.at)
    }
}

/// Applies one redo record (as the log hands it back) to the transaction; `slots` are those of its transaction
/// in the log, with what the records before this one have told.
///
/// Costs what the operation cost when it was first done.
///
/// # Errors
/// [`Damage::Redo`](mapleaf_pager::Damage::Redo) where the record does not fit the state before it;
/// the transaction's own errors as they are.
pub fn apply<'r>(
    writer: &mut Writer<'_, impl BorrowMut<OpenTrees>>,
    slots: &mut LogSlots<'r>,
    record: &'r [u8],
) -> Result<()> {
    try_apply(writer, slots, record).map_err(|error| match error {
        Error::Pager(_) => error,
        _ => NOT_APPLICABLE,
    })
}

/// Applies a redo record to what is left of the state before it: what it takes away may be gone
/// already, and a tree that it names is made where it is missing. False where it came to nothing.
///
/// A record is a result, not a call, so that applying all of a log's to a part of the state gives the
/// same part of the state behind it.
///
/// # Errors
/// The transaction's own, but for those that say that a record does not apply.
pub fn apply_to_remains<'r>(
    writer: &mut Writer<'_, impl BorrowMut<OpenTrees>>,
    slots: &mut LogSlots<'r>,
    record: &'r [u8],
) -> Result<bool> {
    if let [op::BIND, _, name @ ..] = record
        && let Ok(name) = text(name)
    {
        writer.tree_named(name, TreeOptions::default())?;
    }
    match try_apply(writer, slots, record) {
        Ok(()) => Ok(true),
        Err(Error::NoSuchTree | Error::TreeExists | NOT_APPLICABLE) => Ok(false),
        // The tree was made anew without its sizes, or with those of another of its name.
        Err(Error::WrongWidth { .. } | Error::WidthTooLarge { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

fn try_apply<'r>(
    writer: &mut Writer<'_, impl BorrowMut<OpenTrees>>,
    slots: &mut LogSlots<'r>,
    record: &'r [u8],
) -> Result<()> {
    let (&operation, rest) = record.split_first().ok_or(NOT_APPLICABLE)?;
    match operation {
        op::CREATE => {
            let (tag, name) = take_u64(rest)?;
            writer.create_unlent(text(name)?, TreeOptions::default().tag(tag)).map(drop)
        }
        #[cfg(feature = "fixed-width")]
        op::CREATE_FIXED => {
            let (tag, rest) = take_u64(rest)?;
            let (key_bytes, rest) = rest.split_first_chunk().ok_or(NOT_APPLICABLE)?;
            let (value_bytes, name) = rest.split_first_chunk().ok_or(NOT_APPLICABLE)?;
            let value_bytes = u16::try_from(u32::from_le_bytes(*value_bytes));
            let key_bytes = u16::from_le_bytes(*key_bytes);
            let options = TreeOptions::default().tag(tag);
            let options = options.fixed_width(key_bytes, value_bytes.map_err(|_| NOT_APPLICABLE)?);
            writer.create_unlent(text(name)?, options).map(drop)
        }
        op::RENAME => {
            let (&from_len, names) = rest.split_first().ok_or(NOT_APPLICABLE)?;
            let names = names.split_at_checked(usize::from(from_len));
            let (from, to) = names.ok_or(NOT_APPLICABLE)?;
            let (from, to) = (text(from)?, text(to)?);
            writer.rename(from, to)?;
            slots.named(from).flatten().for_each(|meant| meant.name = to);
            Ok(())
        }
        op::DROP => match writer.drop_tree(text(rest)?)? {
            true => {
                slots.named(text(rest)?).for_each(|slot| *slot = None);
                Ok(())
            }
            false => Err(NOT_APPLICABLE),
        },
        op::BIND => {
            let (&slot, name) = rest.split_first().ok_or(NOT_APPLICABLE)?;
            let meant = slots.meant.get_mut(usize::from(slot)).ok_or(NOT_APPLICABLE)?;
            *meant = Some(Meant { name: text(name)?, at: usize::from(slot) });
            slots.open(slot, writer).map(drop)
        }
        _ => {
            let (&slot, rest) = rest.split_first().ok_or(NOT_APPLICABLE)?;
            let at = slots.open(slot, writer)?;
            apply_to_tree(writer, operation, at, rest)
        }
    }
}

fn apply_to_tree(
    writer: &mut Writer<'_, impl BorrowMut<OpenTrees>>,
    operation: u8,
    at: usize,
    rest: &[u8],
) -> Result<()> {
    match operation {
        op::PUT => {
            let (key_len, rest) = take_u16(rest)?;
            let (key, value) = rest.split_at_checked(key_len).ok_or(NOT_APPLICABLE)?;
            writer.tree_at(at)?.insert(key, value).map(drop)
        }
        op::REMOVE => match writer.tree_at(at)?.remove(rest)? {
            true => Ok(()),
            false => Err(NOT_APPLICABLE),
        },
        op::REMOVE_RANGE => {
            let ([start_kind, end_kind], rest) = rest.split_first_chunk().ok_or(NOT_APPLICABLE)?;
            let (start_len, rest) = take_u16(rest)?;
            let (start, end) = rest.split_at_checked(start_len).ok_or(NOT_APPLICABLE)?;
            let bounds = (bound_of(*start_kind, start)?, bound_of(*end_kind, end)?);
            writer.tree_at(at)?.remove_range(bounds).map(drop)
        }
        op::CLEAR => writer.tree_at(at)?.clear(),
        op::TAG => match take_u64(rest)? {
            (tag, []) => writer.set_tag_at(at, tag),
            _ => Err(NOT_APPLICABLE),
        },
        _ => Err(NOT_APPLICABLE),
    }
}

fn take_u16(bytes: &[u8]) -> Result<(usize, &[u8])> {
    let (number, rest) = bytes.split_first_chunk().ok_or(NOT_APPLICABLE)?;
    Ok((usize::from(u16::from_le_bytes(*number)), rest))
}

fn take_u64(bytes: &[u8]) -> Result<(u64, &[u8])> {
    let (number, rest) = bytes.split_first_chunk().ok_or(NOT_APPLICABLE)?;
    Ok((u64::from_le_bytes(*number), rest))
}

fn text(bytes: &[u8]) -> Result<&str> {
    core::str::from_utf8(bytes).map_err(|_| NOT_APPLICABLE)
}

/// What the tree layer does when a store is opened: applies the log, and proves unknown bytes
/// sound.
#[derive(Clone, Copy, Default, Debug)]
#[non_exhaustive]
pub struct Replayer {
    /// Records applied.
    pub records: u64,
    /// What the proof counted.
    pub report: CheckReport,
}

impl Replayer {
    // Of its own, as what it calls: the writer's copies are off the stack before, which may be small.
    #[inline(never)]
    fn apply_all(
        &mut self,
        writer: &mut Writer<'_, impl BorrowMut<OpenTrees>>,
        log: RedoLog<'_>,
    ) -> mapleaf_pager::Result<()> {
        let mut slots = LogSlots::new();
        for step in log {
            match step? {
                Redo::Record(record) => {
                    apply(writer, &mut slots, record).map_err(pager_error)?;
                    self.records += 1;
                }
                Redo::Begin(_) => slots = LogSlots::new(),
            }
        }
        Ok(())
    }

    /// A replayer that has replayed nothing.
    #[must_use]
    pub fn new() -> Replayer {
        Replayer::default()
    }
}

/// The pager's error; the tree layer's own cannot come of a replay or a proof.
fn pager_error(error: Error) -> mapleaf_pager::Error {
    match error {
        Error::Pager(error) => error,
        Error::WorkAreaTooSmall { .. } => mapleaf_pager::Error::InvalidArgument,
        Error::UnsupportedTree { flags } => {
            mapleaf_pager::Error::Unsupported(Unsupported::Features { unknown: u64::from(flags) })
        }
        _ => mapleaf_pager::Error::corrupt(PageId::NONE, Damage::Redo),
    }
}

impl Replay for Replayer {
    fn replay<'s>(
        &mut self,
        txn: WriteTxn<'s>,
        log: RedoLog<'s>,
    ) -> mapleaf_pager::Result<WriteTxn<'s>> {
        // The writer stays in its place: a small machine's stack has no room for two.
        let mut begun = Writer::replaying(txn);
        let writer = begun.as_mut().map_err(|error| pager_error(*error))?;
        self.apply_all(writer, log)?;
        writer.write_back().map_err(pager_error)?;
        match begun {
            Ok(Writer { txn, .. }) => Ok(txn),
            Err(error) => Err(pager_error(error)),
        }
    }

    fn prove(&mut self, inspection: &Inspection<'_>, work: &mut [u8]) -> mapleaf_pager::Result<()> {
        let snapshot = inspection.snapshot();
        let mut first = FirstDamage { inspection, found: None };
        let checked = check(snapshot, snapshot.page_count(), work, &mut first);
        self.report = checked.map_err(pager_error)?;
        match first.found {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }
}

/// Remembers the first damage, and accounts for what the pager uses.
struct FirstDamage<'i, 's> {
    inspection: &'i Inspection<'s>,
    found: Option<mapleaf_pager::Error>,
}

impl FirstDamage<'_, '_> {
    fn note(&mut self, page: PageId, damage: Damage) {
        self.found.get_or_insert(mapleaf_pager::Error::corrupt(page, damage));
    }
}

impl CheckVisitor for FirstDamage<'_, '_> {
    fn damage(&mut self, finding: &Finding<'_>) {
        self.note(finding.page, finding.damage);
    }

    fn window(&mut self, reach: &mut ReachSet<'_>) -> Result<()> {
        let inspection = self.inspection;
        inspection.visit(&mut |page, pages, _: PageUse| {
            if let Some(twice) = reach.mark_run(page, pages) {
                self.note(twice, Damage::Shared);
            }
        })?;
        if let Some(lost) = reach.unmarked().next() {
            self.note(lost, Damage::Lost);
        }
        Ok(())
    }
}
