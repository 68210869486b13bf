//! The report: one HTML file that needs no other.

use crate::lab::experiments::Experiment;
use crate::lab::findings::{Findings, Table};
use crate::lab::plot;
use crate::lab::terminal::{per_operation, shown_counts};
use crate::lab::units::figure;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// An experiment that was run, or left out.
pub(crate) struct Section {
    pub(crate) experiment: &'static Experiment,
    /// What was found, or why it was left out.
    pub(crate) result: Result<Findings, String>,
    pub(crate) took: Duration,
}

const HEAD: &str = r#"<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>mapleaf lab</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
body { font: 16px/1.5 system-ui, sans-serif; color: #222; background: #fff; max-width: 960px; margin: 2em auto; padding: 0 1em }
h2 { margin-top: 2.5em; border-top: 1px solid #ccc; padding-top: 0.7em }
h3 { margin: 1.6em 0 0.3em; font-size: 1.05em }
svg { max-width: 100%; height: auto; display: block }
.wide { overflow-x: auto }
table { border-collapse: collapse; font-size: 13px; margin: 0.6em 0 1em }
th, td { padding: 2px 10px; text-align: right; border-bottom: 1px solid #e4e4e4; white-space: nowrap }
th { font-weight: 600; vertical-align: bottom; white-space: normal }
th:first-child, td:first-child, td.text { text-align: left }
.left-out { background: #fff4d6; padding: 0.5em 1em }
.fine { color: #666; font-size: 13px }
</style></head><body>
"#;

/// Writes `dir/index.html`; its path.
///
/// # Errors
/// The system's.
pub(crate) fn write(
    dir: &Path,
    facts: &[(&'static str, String)],
    sections: &[Section],
) -> io::Result<PathBuf> {
    let path = dir.join("index.html");
    std::fs::write(&path, page(facts, sections).map_err(io::Error::other)?)?;
    Ok(path)
}

fn page(facts: &[(&'static str, String)], sections: &[Section]) -> Result<String, String> {
    let mut html = String::from(HEAD);
    html.push_str("<h1>Page faults and system calls on this machine</h1>\n<table>\n");
    for (name, text) in facts {
        html.push_str(&format!(
            "<tr><td>{}</td><td class=\"text\">{}</td></tr>\n",
            escaped(name),
            escaped(text)
        ));
    }
    html.push_str(
        "</table>\n<p>Medians; the spread is from 10 % to 90 % of the samples. Counts are the kernel's, an \
         operation each (<code>getrusage</code>, <code>/proc/self/io</code>); barriers and bytes to the \
         device are those of the whole disk, whoever asked.</p>\n<ol>\n",
    );
    for section in sections {
        let (name, question) = (section.experiment.name, escaped(section.experiment.question));
        html.push_str(&format!("<li><a href=\"#{name}\">{name}</a>: {question}</li>\n"));
    }
    html.push_str("</ol>\n");
    for section in sections {
        let (name, question) = (section.experiment.name, escaped(section.experiment.question));
        html.push_str(&format!("<h2 id=\"{name}\">{name}</h2>\n<p><em>{question}</em></p>\n"));
        match &section.result {
            Ok(findings) => found(&mut html, findings)?,
            Err(reason) => {
                html.push_str(&format!(
                    "<p class=\"left-out\">Left out: {}</p>\n",
                    escaped(reason)
                ));
            }
        }
        let seconds = section.took.as_secs_f64();
        html.push_str(&format!("<p class=\"fine\">mapleaf lab {name}, {seconds:.1} s</p>\n"));
    }
    html.push_str("</body></html>\n");
    Ok(html)
}

fn found(html: &mut String, findings: &Findings) -> Result<(), String> {
    for words in &findings.words {
        html.push_str(&format!("<p>{}</p>\n", escaped(words)));
    }
    for table in &findings.tables {
        html.push_str(&format!("<h3>{}</h3>\n", escaped(&table.title)));
        html.push_str(&plot::svg(table)?);
        rows(html, table);
    }
    Ok(())
}

/// The table: a column for each count that is not 0 everywhere.
fn rows(html: &mut String, table: &Table) {
    let counted = shown_counts(table);
    html.push_str("<div class=\"wide\"><table><tr><th></th>");
    if let Some(axis) = table.axis {
        html.push_str(&format!("<th>{}</th>", escaped(axis.label)));
    }
    html.push_str("<th>median</th><th>10 %</th><th>90 %</th><th>samples</th>");
    for (_, label) in &counted {
        html.push_str(&format!("<th>{label}</th>"));
    }
    html.push_str("</tr>\n");
    for row in &table.rows {
        let value = &row.value;
        html.push_str(&format!("<tr><td>{}</td>", escaped(&row.case)));
        if let (Some(axis), Some(x)) = (table.axis, row.x) {
            html.push_str(&format!("<td>{}</td>", axis.place(x)));
        }
        for part in [value.median, value.low, value.high] {
            html.push_str(&format!("<td>{}</td>", figure(part, table.unit)));
        }
        html.push_str(&format!("<td>{}</td>", value.samples));
        for (key, _, count) in row.counts.named() {
            if counted.iter().any(|(shown, _)| *shown == key) {
                html.push_str(&format!("<td>{}</td>", per_operation(key, count, row.operations)));
            }
        }
        html.push_str("</tr>\n");
    }
    html.push_str("</table></div>\n");
}

/// Text that HTML takes as text.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            letter => escaped.push(letter),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::{escaped, rows};
    use crate::lab::counters::Counts;
    use crate::lab::findings::Table;
    use crate::lab::meter::Measured;
    use crate::lab::samples::Summary;

    /// What stands between the tags of a row's cells.
    fn cells<'a>(line: &'a str, tag: &str) -> Vec<&'a str> {
        let opening = format!("<{tag}>");
        let parts = line.split(&opening).skip(1);
        parts.map(|part| part.split("</").next().unwrap_or(part)).collect()
    }

    #[test]
    fn each_count_stands_below_its_name() {
        let mut table = Table::new("t", "A table", "a page");
        let summary = Summary::of(vec![1.0]);
        // The second row has a count that comes before those of the first.
        let counts = [
            Counts { dirtied_bytes: 8192, ..Counts::default() },
            Counts { write_calls: 6, copied_bytes: 4096, ..Counts::default() },
        ];
        for counts in counts {
            table.add("case", Measured { summary, operations: 2, counts });
        }
        let mut html = String::new();
        rows(&mut html, &table);
        let lines: Vec<&str> = html.lines().collect();
        let names = cells(lines[0], "th");
        assert_eq!(names[5..], ["write calls", "bytes copied", "bytes dirtied"]);
        assert_eq!(cells(lines[1], "td")[5..], ["0", "0 B", "4 KiB"]);
        assert_eq!(cells(lines[2], "td")[5..], ["3", "2 KiB", "0 B"]);
    }

    #[test]
    fn text_is_text() {
        assert_eq!(escaped("a<b> & \"c\""), "a&lt;b&gt; &amp; &quot;c&quot;");
    }
}
