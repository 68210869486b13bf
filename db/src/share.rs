//! A database's share of the address space, by how many are open.
//!
//! A mapping that may grow sets addresses aside for it, which cost nothing but are not without end: 128 TiB on
//! most machines of 64 bits, which 64 files with 1 TiB and a twin each would take, and leave the rest of the
//! program no memory. So the first databases get what hardly any outgrows, and the others less.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Databases that get the whole of it.
const WHOLE_MAX: usize = 16;
/// The part that the others get.
const PART: u64 = 32;

/// Databases open in this process.
static OPEN: AtomicUsize = AtomicUsize::new(0);

/// A database that is open; dropping it makes its share whole for another.
pub(crate) struct Share(());

impl Share {
    /// One more database.
    pub(crate) fn take() -> Share {
        OPEN.fetch_add(1, Ordering::Relaxed);
        Share(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        OPEN.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What the next database gets of `whole` bytes.
pub(crate) fn next_of(whole: u64) -> u64 {
    share(whole, OPEN.load(Ordering::Relaxed))
}

fn share(whole: u64, open: usize) -> u64 {
    if open < WHOLE_MAX { whole } else { whole / PART }
}

#[cfg(test)]
mod tests {
    use super::share;

    /// Else a program with a database for each of its customers has no addresses left for anything else.
    #[test]
    fn a_thousand_databases_leave_half_of_the_addresses() {
        // With a twin each.
        let taken: u64 = (0..1000).map(|open| 2 * share(1 << 40, open)).sum();
        assert!(taken < 1 << 47, "{taken}");
        assert_eq!(share(1 << 40, 0), 1 << 40);
        assert!(share(1 << 40, 999) >= 32 << 30);
    }
}
