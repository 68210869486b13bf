//! Looking at a whole store while nothing changes: for checks.

use crate::running::Host;
use crate::snapshot::Snapshot;
use crate::space::SpaceUse;
use crate::store::{Parts, Writer};
use crate::{Error, PageId, Result};
use spin::MutexGuard;

/// What a page is used for besides trees.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum PageUse {
    /// A meta.
    Meta,
    /// The log ring.
    Log,
    /// The structures that keep free pages.
    Space,
    /// Reusable.
    Free,
    /// Freed, but visible to a pinned state.
    Pinned,
}

/// The newest state, held still: no write transaction can begin while this lives.
pub struct Inspection<'s> {
    parts: Parts<'s>,
    snapshot: Snapshot<'s>,
    writer: spin::Mutex<MutexGuard<'s, Writer>>,
}

impl<'s> Inspection<'s> {
    pub(crate) fn begin(parts: Parts<'s>) -> Result<Inspection<'s>> {
        let mut writer = parts.core.writer.try_lock().ok_or(Error::WriterBusy)?;
        let snapshot = parts.snapshot(0)?;
        writer.state = parts.core.latest.lock().state;
        let (base, next) = (writer.state.txn, writer.next);
        writer.run.begin(next, base, crate::tail::Tail::default());
        Ok(Inspection { parts, snapshot, writer: spin::Mutex::new(writer) })
    }

    /// The state's pages.
    #[must_use]
    pub fn snapshot(&self) -> &Snapshot<'s> {
        &self.snapshot
    }

    /// Calls `with` for every stretch of pages that no tree should reach, with its first page and
    /// length. Every page that no tree reaches is named once in a sound store.
    ///
    /// # Errors
    /// [`Corrupt`](Error::Corrupt): a space page is damaged.
    pub fn visit(&self, with: &mut dyn FnMut(PageId, u32, PageUse)) -> Result<()> {
        let mut writer = self.writer.lock();
        let Writer { run, state, .. } = &mut **writer;
        with(PageId(0), 2, PageUse::Meta);
        if state.log.pages > 0 {
            with(state.log.start, state.log.pages, PageUse::Log);
        }
        let Parts { view, shared, core } = self.parts;
        let host = Host { view, shared, core, ring: PageId(0)..PageId(0), run };
        state.space.visit(&host, &mut |page, pages, used| {
            let used = match used {
                SpaceUse::Space => PageUse::Space,
                SpaceUse::Free => PageUse::Free,
                SpaceUse::Pinned => PageUse::Pinned,
            };
            with(page, pages, used);
        })
    }
}
