//! An experiment at a terminal: its tables with a bar each, and what they say.

use crate::figures::counted;
use crate::lab::counters::Counts;
use crate::lab::findings::{Findings, Row, Table};
use crate::lab::scale::Decades;
use crate::lab::units::{digits, figure, size};

/// Characters of the longest bar.
const BAR: usize = 24;
/// Characters of a line of words.
const LINE: usize = 100;

/// Least count an operation, and bytes an operation, that are shown.
const COUNT_SHOWN: f64 = 0.001;
const BYTES_SHOWN: f64 = 40.0;

/// The lines of what was found.
pub(crate) fn lines(findings: &Findings) -> Vec<String> {
    let mut lines = Vec::new();
    for table in &findings.tables {
        lines.extend(table_lines(table));
        lines.push(String::new());
    }
    for words in &findings.words {
        lines.extend(wrapped(words, LINE).into_iter().map(|line| format!("  {line}")));
        lines.push(String::new());
    }
    lines
}

fn table_lines(table: &Table) -> Vec<String> {
    let decades = Decades::around(table.rows.iter().map(|row| row.value.median));
    let names: Vec<String> = table.rows.iter().map(|row| name(table, row)).collect();
    let widest = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
    let counted = shown_counts(table);
    let mut lines = vec![format!("  {}", table.title)];
    lines.push(format!(
        "  {:widest$}  {:>9}  {:>19}  {:BAR$}  counted by the kernel, {}",
        "",
        "median",
        "10 % to 90 %",
        format!("{} to {}", figure(decades.low, table.unit), figure(decades.high, table.unit)),
        table.of,
    ));
    for (row, name) in table.rows.iter().zip(names) {
        let value = &row.value;
        let spread =
            format!("{} to {}", figure(value.low, table.unit), figure(value.high, table.unit));
        let line = format!(
            "  {name:widest$}  {:>9}  {spread:>19}  {:BAR$}  {}",
            figure(value.median, table.unit),
            bar(decades.place(value.median)),
            counts(row, &counted),
        );
        lines.push(line.trim_end().to_string());
    }
    lines
}

/// What a case is called beside the others.
pub(crate) fn name(table: &Table, row: &Row) -> String {
    match (row.x, table.axis) {
        (Some(x), Some(axis)) => format!("{}, {}: {}", row.case, axis.label, axis.place(x)),
        _ => row.case.clone(),
    }
}

/// The counts worth a column: their keys and labels. Not what is next to nothing in each row, as are the
/// traces of other programs.
pub(crate) fn shown_counts(table: &Table) -> Vec<(&'static str, &'static str)> {
    let parts = |key: &str| {
        let of_row = |row: &Row| {
            let named = row.counts.named();
            let found = named.iter().find(|(name, _, _)| *name == key);
            found.map_or(0.0, |(_, _, count)| *count as f64 / row.operations.max(1) as f64)
        };
        table.rows.iter().map(of_row).fold(0.0, f64::max)
    };
    let least = |key: &str| if key.ends_with("_bytes") { BYTES_SHOWN } else { COUNT_SHOWN };
    let all = Counts::default().named();
    let shown = all.iter().filter(|(key, _, _)| parts(key) >= least(key));
    shown.map(|(key, label, _)| (*key, *label)).collect()
}

/// A row's counts an operation, of those that are worth it.
fn counts(row: &Row, counted: &[(&str, &str)]) -> String {
    let named = row.counts.named();
    let shown =
        named.iter().filter(|(key, label, count)| *count > 0 && counted.contains(&(*key, *label)));
    let texts: Vec<String> = shown
        .map(|(key, label, count)| {
            format!("{label} {}", per_operation(key, *count, row.operations))
        })
        .collect();
    texts.join(", ")
}

/// A count an operation: bytes with their unit.
pub(crate) fn per_operation(key: &str, count: u64, operations: u64) -> String {
    let part = count as f64 / operations.max(1) as f64;
    if key.ends_with("_bytes") {
        size(part)
    } else if part > 0.0 && part < 0.01 {
        format!("{part:.3}")
    } else {
        digits(part)
    }
}

/// A bar of this part of the full length; eighths of a character.
fn bar(part: f64) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = (part.clamp(0.0, 1.0) * (BAR * 8) as f64).round() as usize;
    // Never nothing: the case was measured.
    let eighths = eighths.max(1);
    format!("{}{}", "█".repeat(eighths / 8), EIGHTHS[eighths % 8])
}

/// How often it was measured, all in all.
pub(crate) fn measured(findings: &Findings) -> String {
    let samples: usize =
        findings.tables.iter().flat_map(|table| &table.rows).map(|row| row.value.samples).sum();
    counted(samples as u64, "sample", "samples")
}

/// Words in lines of at most `width` characters.
fn wrapped(words: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in words.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.into()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::{bar, wrapped};

    #[test]
    fn bars_grow_by_eighths() {
        assert_eq!(bar(0.0), "▏");
        assert_eq!(bar(1.0).chars().count(), super::BAR);
        assert_eq!(bar(0.5 / super::BAR as f64), "▌");
    }

    #[test]
    fn words_are_wrapped_between_words() {
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(wrapped("", 7), [""]);
    }
}
