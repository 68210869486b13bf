//! A table in Markdown for each data set: a row a workload, a column a store.

use super::{bytes, names, time};
use crate::stage::Row;
use std::fmt::Write as _;

/// Tables of all rows. A cell is the median, how far the middle half of the chunks spreads around it in
/// per cent, and how many times as fast (or small) as the best setting of LMDB.
pub(crate) fn table(rows: &[Row], about: &dyn Fn(&str) -> String) -> String {
    let mut text = String::new();
    for set in names(rows, |row| row.dataset) {
        let of_set: Vec<Row> = rows.iter().filter(|row| row.dataset == set).cloned().collect();
        let stores = names(&of_set, |row| row.store);
        let _ = writeln!(text, "## {}\n", about(set));
        let _ = writeln!(text, "| workload | {} |", stores.join(" | "));
        let _ = writeln!(text, "|---|{}", "---:|".repeat(stores.len()));
        for (workload, threads) in names(&of_set, |row| (&row.workload, row.threads)) {
            let this = |row: &&Row| row.workload == *workload && row.threads == threads;
            let of_workload: Vec<&Row> = of_set.iter().filter(this).collect();
            let cells: Vec<String> = stores
                .iter()
                .map(|store| of_workload.iter().find(|row| row.store == *store))
                .map(|row| row.map_or("–".into(), |row| cell(row)))
                .collect();
            let threads = if threads > 1 { format!(", {threads} threads") } else { String::new() };
            let _ = writeln!(text, "| {workload}{threads} | {} |", cells.join(" | "));
        }
        text.push('\n');
    }
    text
}

fn cell(row: &Row) -> String {
    let mut parts = Vec::new();
    if let Some(spread) = row.nanoseconds {
        let around = (spread.high - spread.low) / 2.0 / spread.median * 100.0;
        parts.push(format!("{} ±{around:.0} %", time(spread.median)));
    }
    parts.extend(row.bytes.map(bytes));
    parts.extend(row.ratio.map(|ratio| format!("**{ratio:.2}x**")));
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use crate::measure::Spread;
    use crate::stage::tests::row;

    #[test]
    fn a_cell_has_median_spread_and_ratio() {
        let mut ours = row("mapleaf", 200.0);
        ours.nanoseconds = Some(Spread { median: 200.0, low: 190.0, high: 210.0 });
        ours.ratio = Some(2.5);
        let mut second = row("lmdb", 500.0);
        second.workload = "scan".into();
        let table = super::table(&[ours, second], &|set| set.to_owned());
        assert!(table.contains("| workload | mapleaf | lmdb |"), "{table}");
        assert!(table.contains("| get | 200 ns ±5 %, **2.50x** | – |"), "{table}");
        assert!(table.contains("| scan | – | 500 ns ±0 % |"), "{table}");
    }
}
