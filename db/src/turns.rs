//! The writers' turn: one at a time, in the order of asking.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

#[derive(Default)]
struct Tickets {
    /// The ticket that the next to ask will get.
    next: u64,
    /// The ticket whose turn it is.
    serving: u64,
    /// How many wait for a turn to end, without one of their own.
    watching: usize,
}

/// Hands out turns, first come, first served.
#[derive(Default)]
pub(crate) struct Turns {
    tickets: Mutex<Tickets>,
    ended: Condvar,
}

impl Turns {
    fn lock(&self) -> MutexGuard<'_, Tickets> {
        // Two plain numbers: whole even where a thread died while it held them.
        self.tickets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the turn.
    pub(crate) fn wait(&self) -> Turn<'_> {
        let mut tickets = self.lock();
        let mine = tickets.next;
        tickets.next += 1;
        while tickets.serving != mine {
            tickets = self.ended.wait(tickets).unwrap_or_else(PoisonError::into_inner);
        }
        Turn { turns: self }
    }

    /// Takes the turn if nobody has it or waits for it.
    pub(crate) fn try_take(&self) -> Option<Turn<'_>> {
        let mut tickets = self.lock();
        if tickets.serving != tickets.next {
            return None;
        }
        tickets.next += 1;
        Some(Turn { turns: self })
    }

    /// Whether somebody waits for the turn that somebody has.
    pub(crate) fn waited_for(&self) -> bool {
        let tickets = self.lock();
        tickets.next > tickets.serving + 1
    }

    /// How many turns have ended.
    pub(crate) fn ended(&self) -> u64 {
        self.lock().serving
    }

    /// Waits until more than `ended` turns have ended, or nobody has the turn, but not for longer than
    /// `patience`: how many have; `None` where it lasts too long.
    pub(crate) fn wait_for_end(&self, ended: u64, patience: Duration) -> Option<u64> {
        let mut tickets = self.lock();
        tickets.watching += 1;
        let goes_on = |tickets: &mut Tickets| tickets.serving == ended && tickets.next != ended;
        let waited = self.ended.wait_timeout_while(tickets, patience, goes_on);
        let (mut tickets, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        tickets.watching -= 1;
        (!waited.timed_out()).then_some(tickets.serving)
    }
}

/// The turn; dropping it passes it on.
pub(crate) struct Turn<'t> {
    turns: &'t Turns,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut tickets = self.turns.lock();
        tickets.serving += 1;
        // A system call: only where it wakes somebody.
        let waited_for = tickets.serving != tickets.next || tickets.watching > 0;
        drop(tickets);
        if waited_for {
            self.turns.ended.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Turns;
    use std::sync::Mutex;
    use std::thread;

    #[test]
    fn one_at_a_time_in_order() {
        let turns = Turns::default();
        let order = Mutex::new(Vec::new());
        thread::scope(|scope| {
            let first = turns.wait();
            assert!(turns.try_take().is_none());
            for i in 0..8u64 {
                let (turns, order) = (&turns, &order);
                scope.spawn(move || {
                    let turn = turns.wait();
                    order.lock().unwrap().push(i);
                    assert!(turns.try_take().is_none());
                    drop(turn);
                });
                // The next thread starts when this one has its ticket.
                while turns.lock().next < i + 2 {
                    thread::yield_now();
                }
            }
            drop(first);
        });
        assert_eq!(*order.lock().unwrap(), (0..8).collect::<Vec<_>>());
        assert!(turns.try_take().is_some());
    }
}
