//! The figures, for people and for programs.

use crate::jobs::Figure;
use std::fmt::Write as _;

/// The peer whose figure is set against the best of LMDB's.
const OURS: &str = "mapleaf";
const PEER_PREFIX: &str = "LMDB";

/// How many times as fast (or small) mapleaf is as the best setting of LMDB.
fn ratio(figure: &Figure) -> f64 {
    let of = |ours: bool| {
        let wanted = |name: &str| if ours { name == OURS } else { name.starts_with(PEER_PREFIX) };
        let numbers =
            figure.peers.iter().filter(|(name, _)| wanted(name)).map(|(_, number)| *number);
        numbers.fold(f64::INFINITY, f64::min)
    };
    of(false) / of(true)
}

/// A table in Markdown.
pub(crate) fn markdown(entries: u64, figures: &[Figure]) -> String {
    let mut text = format!(
        "\n{entries} entries, keys of 24 bytes, values of 150; medians of interleaved chunks\n\n"
    );
    let names = figures.first().map_or(&[][..], |figure| &figure.peers[..]);
    let names: Vec<&str> = names.iter().map(|(name, _)| *name).collect();
    let _ = writeln!(text, "| job | unit | {} | mapleaf against LMDB's best |", names.join(" | "));
    let _ = writeln!(text, "|---|---|{}---:|", "---:|".repeat(names.len()));
    for figure in figures {
        let numbers: Vec<String> =
            figure.peers.iter().map(|(_, number)| format!("{number:.1}")).collect();
        let _ = writeln!(
            text,
            "| {} | {} | {} | {:.2}x |",
            figure.job,
            figure.unit,
            numbers.join(" | "),
            ratio(figure)
        );
    }
    text
}

/// The same as JSON.
pub(crate) fn json(entries: u64, figures: &[Figure]) -> String {
    let jobs: Vec<serde_json::Value> = figures
        .iter()
        .map(|figure| {
            let peers: serde_json::Map<String, serde_json::Value> =
                figure.peers.iter().map(|(name, n)| ((*name).to_string(), (*n).into())).collect();
            serde_json::json!({
                "job": figure.job, "unit": figure.unit, "medians": peers, "ratio": ratio(figure),
            })
        })
        .collect();
    format!("{:#}\n", serde_json::json!({ "entries": entries, "jobs": jobs }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ratio_is_against_the_best_peer() {
        let peers =
            vec![("mapleaf", 2.0), ("mapleaf in place", 1.0), ("LMDB", 8.0), ("LMDB W", 5.0)];
        let figure = Figure { job: "j", unit: "ns", peers };
        assert!((ratio(&figure) - 2.5).abs() < 1e-9);
        let table = markdown(10, std::slice::from_ref(&figure));
        assert!(table.contains("| j | ns | 2.0 | 1.0 | 8.0 | 5.0 | 2.50x |"), "{table}");
        assert!(json(10, &[figure]).contains("\"ratio\": 2.5"));
    }
}
