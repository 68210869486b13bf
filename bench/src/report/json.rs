//! JSON lines: one object a row.

use crate::stage::Row;

/// One line a row, times as medians.
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
        });
        format!("{object}\n")
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
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
        ];
        expected.sort_unstable();
        assert_eq!(fields, expected);
        assert_eq!(value["ratio_to_lmdb"], 2.5);
        assert!(value["bytes_per_op"].is_null());
    }
}
