//! JSON lines: one object a row.

use crate::measure::Spread;
use crate::peer::Result;
use crate::stage::Row;

/// One line a row: times as medians, and the quarters beside them.
pub(crate) fn lines(rows: &[Row]) -> String {
    let line = |row: &Row| {
        let object = serde_json::json!({
            "workload": row.workload,
            "dataset": row.dataset,
            "store": row.store,
            "threads": row.threads,
            "ns_per_op": row.nanoseconds.map(|spread| spread.median),
            "ratio_to_lmdb": row.ratio,
            "bytes_per_op": row.bytes,
            "ns_quarters": row.nanoseconds.map(|spread| [spread.low, spread.high]),
        });
        format!("{object}\n")
    };
    rows.iter().map(line).collect()
}

/// The rows of such lines. Their names are kept for as long as the process lives.
pub(crate) fn rows(lines: &str) -> Result<Vec<Row>> {
    let row = |line: &str| -> Result<Row> {
        let object: serde_json::Value = serde_json::from_str(line)?;
        let text = |name: &str| {
            let text = object[name].as_str().ok_or_else(|| format!("no {name} in {line}"));
            text.map(str::to_owned)
        };
        let number = |name: &str| object[name].as_f64();
        let quarter = |at: usize| object["ns_quarters"][at].as_f64();
        let spread = |median| Spread {
            median,
            low: quarter(0).unwrap_or(median),
            high: quarter(1).unwrap_or(median),
        };
        Ok(Row {
            workload: text("workload")?,
            dataset: text("dataset")?.leak(),
            store: text("store")?.leak(),
            threads: object["threads"].as_u64().unwrap_or(1) as usize,
            nanoseconds: number("ns_per_op").map(spread),
            bytes: number("bytes_per_op"),
            ratio: number("ratio_to_lmdb"),
        })
    };
    lines.lines().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::rows;
    use crate::measure::Spread;
    use crate::stage::tests::row;

    #[test]
    fn a_line_has_all_fields() {
        let mut row = row("mapleaf", 2.0);
        row.ratio = Some(2.5);
        let value: serde_json::Value = serde_json::from_str(&super::lines(&[row])).unwrap();
        let fields: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
        let mut expected = [
            "workload",
            "dataset",
            "store",
            "threads",
            "ns_per_op",
            "ratio_to_lmdb",
            "bytes_per_op",
            "ns_quarters",
        ];
        expected.sort_unstable();
        assert_eq!(fields, expected);
        assert_eq!(value["ratio_to_lmdb"], 2.5);
        assert!(value["bytes_per_op"].is_null());
    }

    #[test]
    fn lines_are_read_back() {
        let mut first = row("mapleaf", 2.0);
        first.ratio = Some(2.5);
        first.nanoseconds = Some(Spread { median: 2.0, low: 1.0, high: 4.0 });
        let mut second = row("lmdb", 5.0);
        (second.nanoseconds, second.bytes, second.threads) = (None, Some(7.0), 4);
        let lines = super::lines(&[first, second]);
        assert_eq!(super::lines(&rows(&lines).unwrap()), lines);
        assert!(rows("{\"dataset\":\"small\"}").is_err());
    }
}
