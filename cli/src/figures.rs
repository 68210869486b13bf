//! Figures for people.

use indicatif::{HumanBytes, HumanCount};
use std::time::Duration;

/// A count with separators between thousands.
pub(crate) fn count(number: u64) -> String {
    HumanCount(number).to_string()
}

/// "1 page", "12 pages".
pub(crate) fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

/// A size in the unit that fits.
pub(crate) fn bytes(number: u64) -> String {
    HumanBytes(number).to_string()
}

/// A time in seconds, and what was done each second.
pub(crate) fn rate(done: u64, took: Duration) -> String {
    let seconds = took.as_secs_f64();
    if seconds < 0.001 {
        return "in less than a millisecond".into();
    }
    format!("in {seconds:.2} s, {} a second", count((done as f64 / seconds) as u64))
}
