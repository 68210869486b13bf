//! The figures, for people and for programs.

mod json;
mod markdown;
mod plots;

pub(crate) use json::{lines, rows};
pub(crate) use markdown::table;
pub(crate) use plots::plots;

use crate::stage::Row;

/// Names of one column of the rows, each once, in their order.
fn names<'r, T: PartialEq>(rows: &'r [Row], of: impl Fn(&'r Row) -> T) -> Vec<T> {
    let mut names = Vec::new();
    for row in rows {
        let name = of(row);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// Nanoseconds in the unit in which they are short.
pub(crate) fn time(nanoseconds: f64) -> String {
    short(nanoseconds, &["ns", "us", "ms", "s"], 1000.0)
}

/// Bytes in the unit in which they are short.
pub(crate) fn bytes(bytes: f64) -> String {
    short(bytes, &["B", "KiB", "MiB", "GiB"], 1024.0)
}

fn short(mut number: f64, units: &[&str], step: f64) -> String {
    let mut units = units.iter();
    let mut unit = units.next().unwrap_or(&"");
    while number >= step {
        let Some(next) = units.next() else { break };
        unit = next;
        number /= step;
    }
    let digits = if number >= 100.0 { 0 } else { 1 };
    format!("{number:.digits$} {unit}")
}

#[cfg(test)]
mod tests {
    #[test]
    fn numbers_are_short() {
        assert_eq!(super::time(349.4), "349 ns");
        assert_eq!(super::time(34_900.0), "34.9 us");
        assert_eq!(super::time(9e12), "9000 s");
        assert_eq!(super::bytes(4096.0), "4.0 KiB");
    }
}
