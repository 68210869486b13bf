//! Progress on long work, for people only.

use crate::output::say;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::time::Duration;

/// A bar, or a spinner where the end is not known; nothing where the standard error is no terminal.
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    /// Done since the bar was told; of pages: done when it was told.
    untold: u64,
}

/// The bar is told after so much work, since telling takes a lock.
const TOLD_EVERY: u64 = 64 << 10;

/// Or after so many pages.
const TOLD_PAGES: u64 = 256;

impl Progress {
    /// Progress of reading `total` bytes (`None`: nobody knows how many).
    pub(crate) fn of_bytes(total: Option<u64>) -> Progress {
        let (bar, template) = match total {
            Some(total) => (
                ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr()),
                "{bar:30} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left",
            ),
            None => (
                ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()),
                "{spinner} {bytes} read, {bytes_per_sec}",
            ),
        };
        Progress::new(bar, template)
    }

    /// Progress of `total` entries.
    pub(crate) fn of_entries(total: u64) -> Progress {
        let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
        Progress::new(bar, "{bar:30} {human_pos} of {human_len} entries, {eta} left")
    }

    /// Progress of pages, of a number that is told as it goes.
    pub(crate) fn of_pages() -> Progress {
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
        Progress::new(bar, "{bar:30} {human_pos} of {human_len} pages, {eta} left")
    }

    /// So much is done, of so much.
    pub(crate) fn set(&mut self, done: u64, total: u64) {
        if let Some(bar) = &self.bar
            && (done.abs_diff(self.untold) >= TOLD_PAGES || done == 0)
        {
            self.untold = done;
            bar.set_length(total);
            bar.set_position(done);
        }
    }

    /// Something that takes a while.
    pub(crate) fn of_work(what: &'static str) -> Progress {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        let progress = Progress::new(bar, "{spinner} {msg}, {elapsed}");
        if let Some(bar) = &progress.bar {
            bar.set_message(what);
            bar.enable_steady_tick(Duration::from_millis(100));
        }
        progress
    }

    fn new(bar: ProgressBar, template: &str) -> Progress {
        if !std::io::stderr().is_terminal() {
            return Progress { bar: None, untold: 0 };
        }
        // A template with a mistake would leave the default style.
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Progress { bar: Some(bar), untold: 0 }
    }

    /// So much more is done.
    pub(crate) fn add(&mut self, done: u64) {
        self.untold += done;
        if self.untold >= TOLD_EVERY
            && let Some(bar) = &self.bar
        {
            bar.inc(self.untold);
            self.untold = 0;
        }
    }

    /// Says something above the bar.
    pub(crate) fn say(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| say(text)),
            None => say(text),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
