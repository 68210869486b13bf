//! The thread that makes checkpoints beside the writer, and looks at how a file that was just opened is used.

use crate::observe::{self, Step};
use crate::store::Store;
use mapleaf_pager::Error;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

/// Between two checkpoints of which the first failed.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(200);

/// Till then the mapping has seen how it is used, or reads as if it were used much.
const ATTENDED: Duration = Duration::from_secs(60);

/// Between two looks at how the mapping is used: an eighth of the time since the opening, within these bounds.
const ATTEND_PAUSE: (Duration, Duration) = (Duration::from_millis(2), Duration::from_secs(1));

#[derive(Default)]
struct Wishes {
    due: bool,
    stop: bool,
    /// The last checkpoint failed.
    error: Option<Error>,
}

#[derive(Default)]
struct Bell {
    wishes: Mutex<Wishes>,
    rung: Condvar,
}

impl Bell {
    fn lock(&self) -> MutexGuard<'_, Wishes> {
        // Three plain values: whole even where a thread died while it held them.
        self.wishes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread, from the first time that there is something for it to do. Dropping it waits for the checkpoint in progress,
/// if any.
pub(crate) struct Background {
    store: Arc<Store>,
    bell: Arc<Bell>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Background {
    /// Starts the thread, where the mapping wants to look at how it is used.
    pub(crate) fn start(store: Arc<Store>) -> Background {
        let attended = store.attend(false);
        let background = Background { store, bell: Arc::default(), thread: Mutex::default() };
        if attended && !background.started() {
            let _ = background.store.attend(true);
        }
        background
    }

    /// Starts the thread, if there is none; whether there is one. Where the system has none to give, commits make
    /// their checkpoints themselves, when the log is full.
    fn started(&self) -> bool {
        // A handle or none: whole even where a thread died while it held it.
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if thread.is_none() {
            let (store, bell) = (Arc::clone(&self.store), Arc::clone(&self.bell));
            *thread = Builder::new().name("mapleaf".into()).spawn(move || run(&store, &bell)).ok();
        }
        thread.is_some()
    }

    /// Says that a checkpoint is due.
    pub(crate) fn wake(&self) {
        let mut wishes = self.bell.lock();
        if !wishes.due {
            wishes.due = true;
            self.bell.rung.notify_one();
            drop(wishes);
            if !self.started() {
                self.bell.lock().due = false;
            }
        }
    }

    /// Why the last checkpoint failed, if it did.
    pub(crate) fn error(&self) -> Option<Error> {
        self.bell.lock().error
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.bell.lock().stop = true;
        self.bell.rung.notify_one();
        let thread = self.thread.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // A panic there has been reported; there is nothing to add.
            let _ = thread.join();
        }
    }
}

/// When the mapping is to look at how it is used.
struct Attention {
    opened: Instant,
    wanted: bool,
}

impl Attention {
    /// Has it look; how long to wait before it is to look again.
    fn pay(&mut self, store: &Store) -> Option<Duration> {
        let since = self.opened.elapsed();
        self.wanted = self.wanted && store.attend(since >= ATTENDED);
        self.wanted.then(|| (since / 8).clamp(ATTEND_PAUSE.0, ATTEND_PAUSE.1))
    }
}

fn run(store: &Store, bell: &Bell) {
    let mut attention = Attention { opened: Instant::now(), wanted: true };
    let mut pause = attention.pay(store);
    let mut wishes = bell.lock();
    while !wishes.stop {
        if !wishes.due {
            wishes = match pause {
                None => bell.rung.wait(wishes).unwrap_or_else(PoisonError::into_inner),
                Some(pause) => {
                    let rung = bell.rung.wait_timeout(wishes, pause);
                    rung.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        let due = core::mem::take(&mut wishes.due);
        drop(wishes);
        pause = attention.pay(store);
        if !due {
            wishes = bell.lock();
            continue;
        }
        // What was freed till now can be claimed once the checkpoint is made.
        store.tend();
        let result = if store.checkpoint_due() {
            observe::step(Step::Checkpoint, || match store.checkpoint_aside() {
                // A commit makes one itself just now.
                Ok(_) | Err(Error::CheckpointBusy) => Ok(()),
                Err(error) => Err(error),
            })
        } else {
            Ok(())
        };
        wishes = bell.lock();
        wishes.error = result.err();
        if wishes.error.is_some() && !wishes.stop {
            // A full disk is full for a while: no use in trying after each commit.
            let rung = bell.rung.wait_timeout(wishes, PAUSE_AFTER_ERROR);
            wishes = rung.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
