//! `bench/budgets.toml`: the little of TOML that it needs.

use crate::Result;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// What operations may cost.
pub(super) struct Budgets {
    /// The compiler they were recorded with.
    pub(super) toolchain: String,
    /// How far instructions may lie above.
    pub(super) tolerance_percent: f64,
    numbers: BTreeMap<String, f64>,
}

/// How far instructions may lie above, in a newly recorded file.
const TOLERANCE_PERCENT: f64 = 3.0;

impl Budgets {
    /// Reads the file's text.
    pub(super) fn read(text: &str) -> Result<Budgets> {
        let mut section = String::new();
        let (mut toolchain, mut numbers) = (None, BTreeMap::new());
        for line in text.lines() {
            let line = line.split('#').next().unwrap_or("").trim();
            if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
                section = format!("{name}.");
            } else if let Some((name, value)) = line.split_once('=') {
                let (name, value) = (name.trim(), value.trim());
                if name == "toolchain" {
                    toolchain = Some(value.trim_matches('"').to_owned());
                } else {
                    let number = value.parse().map_err(|error| format!("{line}: {error}"))?;
                    numbers.insert(format!("{section}{name}"), number);
                }
            } else if !line.is_empty() {
                return Err(format!("budgets.toml: {line}").into());
            }
        }
        let tolerance = numbers.get("tolerance_percent").ok_or("no tolerance_percent")?;
        let toolchain = toolchain.ok_or("no toolchain")?;
        Ok(Budgets { toolchain, tolerance_percent: *tolerance, numbers })
    }

    /// The budget of this name.
    pub(super) fn of(&self, section: &str, name: &str) -> Result<f64> {
        let name = format!("{section}.{name}");
        let number = self.numbers.get(&name).copied();
        number.ok_or_else(|| format!("budgets.toml has no {name}").into())
    }
}

/// A file of these numbers: section, name, number, those of a section together.
pub(super) fn text(toolchain: &str, numbers: &[(&str, &str, f64)]) -> String {
    let mut text = format!(
        "# What operations may cost; `cargo xtask gates` fails where one costs more. After a change that is\n\
         # meant: `cargo xtask gates --record`, and say why in the commit. Counts are those of one compiler.\n\
         toolchain = \"{toolchain}\"\n\
         # Instructions may lie so far above: the C library chooses its copies by the machine.\n\
         tolerance_percent = {TOLERANCE_PERCENT}\n"
    );
    let mut sections: Vec<&str> = numbers.iter().map(|(section, _, _)| *section).collect();
    sections.sort_unstable();
    sections.dedup();
    for section in sections {
        let _ = write!(text, "\n# {}\n[{section}]\n", about(section));
        for (_, name, number) in numbers.iter().filter(|(of, _, _)| *of == section) {
            let _ = writeln!(text, "{name} = {}", (number * 10.0).round() / 10.0);
        }
    }
    text
}

fn about(section: &str) -> &'static str {
    match section {
        "instructions" => "An operation of tests/src/bin/counted.rs, under callgrind.",
        "calls" => "System calls of 20,000 gets, 300 `Eventual` commits, 20 `Sync` commits. Exact.",
        "barriers" => "Those of them that make something durable. Exact.",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_recorded_is_read() {
        let numbers =
            [("calls", "gets", 0.0), ("instructions", "get", 812.34), ("calls", "sync", 20.0)];
        let budgets = Budgets::read(&text("1.95.0", &numbers)).unwrap();
        assert_eq!(budgets.toolchain, "1.95.0");
        assert!((budgets.of("instructions", "get").unwrap() - 812.3).abs() < 1e-9);
        assert!((budgets.of("calls", "sync").unwrap() - 20.0).abs() < 1e-9);
        assert!(budgets.of("calls", "none").is_err());
        assert!(Budgets::read("nonsense").is_err());
    }
}
