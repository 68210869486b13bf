//! Figures with their units, for people.

use crate::lab::findings::Unit;

/// A time, three digits of it: "48.2 ns", "1.51 us", "3.65 ms".
pub(crate) fn time(nanoseconds: f64) -> String {
    let units = [(1.0, "ns"), (1e3, "us"), (1e6, "ms"), (1e9, "s")];
    scaled(nanoseconds, &units)
}

/// A rate: "15.5 k/s".
pub(crate) fn rate(per_second: f64) -> String {
    scaled(per_second, &[(1.0, "/s"), (1e3, "k/s"), (1e6, "M/s"), (1e9, "G/s")])
}

/// A size in binary units: "4 KiB".
pub(crate) fn size(bytes: f64) -> String {
    let units = [
        (1.0, "B"),
        (1024.0, "KiB"),
        (1048576.0, "MiB"),
        (1073741824.0, "GiB"),
        (1099511627776.0, "TiB"),
    ];
    scaled(bytes, &units)
}

/// A figure of a table.
pub(crate) fn figure(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Nanoseconds => time(value),
        Unit::PerSecond => rate(value),
    }
}

/// How many times as much: "31 times", "0.62 times".
pub(crate) fn times(ratio: f64) -> String {
    format!("{} times", digits(ratio))
}

fn scaled(value: f64, units: &[(f64, &str)]) -> String {
    let fits = |(size, _): &&(f64, &str)| value.abs() >= *size;
    let (size, name) =
        units.iter().rev().find(fits).or(units.first()).copied().unwrap_or((1.0, ""));
    let separator = if name.starts_with('/') || name.ends_with("/s") { "" } else { " " };
    format!("{}{separator}{name}", digits(value / size))
}

/// Three digits, no zeros at the end of a fraction.
pub(crate) fn digits(value: f64) -> String {
    let decimals = match value.abs() {
        value if value >= 99.95 => 0,
        value if value >= 9.995 => 1,
        _ => 2,
    };
    let text = format!("{value:.decimals$}");
    if decimals == 0 {
        return text;
    }
    text.trim_end_matches('0').trim_end_matches('.').to_string()
}

#[cfg(test)]
mod tests {
    use super::{rate, size, time};

    #[test]
    fn three_digits_and_a_unit() {
        let times =
            [(48.24, "48.2 ns"), (1514.0, "1.51 us"), (3_648_000.0, "3.65 ms"), (0.0, "0 ns")];
        for (value, text) in times {
            assert_eq!(time(value), text);
        }
        assert_eq!(time(2.1e9), "2.1 s");
        assert_eq!(rate(15_492.0), "15.5k/s");
        assert_eq!((size(4096.0), size(1.5 * 1048576.0)), ("4 KiB".into(), "1.5 MiB".into()));
        assert_eq!(size(0.0), "0 B");
    }
}
