//! Findings as JSON, an object a line.

use crate::lab::findings::{Findings, Row, Table, Unit};
use serde_json::{Map, Value, json};

/// The first line: the machine.
pub(crate) fn machine(facts: &[(&'static str, String)], quick: bool) -> Value {
    let facts: Map<String, Value> =
        facts.iter().map(|(name, text)| (name.replace(' ', "_"), text.as_str().into())).collect();
    json!({ "machine": facts, "quick": quick })
}

/// The lines of an experiment: one a case, then one with the words.
pub(crate) fn found(experiment: &str, findings: &Findings) -> Vec<Value> {
    let rows =
        findings.tables.iter().flat_map(|table| table.rows.iter().map(move |row| (table, row)));
    let mut lines: Vec<Value> = rows.map(|(table, row)| case(experiment, table, row)).collect();
    lines.push(json!({ "experiment": experiment, "found": findings.words }));
    lines
}

/// The line of an experiment that was left out.
pub(crate) fn skipped(experiment: &str, reason: &str) -> Value {
    json!({ "experiment": experiment, "skipped": reason })
}

fn case(experiment: &str, table: &Table, row: &Row) -> Value {
    let unit = match table.unit {
        Unit::Nanoseconds => "ns",
        Unit::PerSecond => "per_second",
    };
    let mut line = Map::new();
    line.insert("experiment".into(), experiment.into());
    line.insert("table".into(), table.name.into());
    line.insert("case".into(), row.case.as_str().into());
    if let (Some(axis), Some(x)) = (table.axis, row.x) {
        line.insert(axis.key.into(), x.into());
    }
    line.insert("of".into(), table.of.into());
    line.insert("unit".into(), unit.into());
    line.insert("median".into(), row.value.median.into());
    line.insert("low".into(), row.value.low.into());
    line.insert("high".into(), row.value.high.into());
    line.insert("samples".into(), row.value.samples.into());
    line.insert("operations".into(), row.operations.into());
    for (key, _, count) in row.counts.named() {
        line.insert(key.into(), count.into());
    }
    line.into()
}
