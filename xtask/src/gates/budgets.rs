//! `bench/budgets.toml`: the little of TOML that it needs.

use super::Gate;
use crate::Result;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// What operations may cost.
pub(super) struct Budgets {
    /// The compiler they were recorded with.
    pub(super) toolchain: String,
    numbers: BTreeMap<String, f64>,
}

impl Budgets {
    /// Reads the file's text.
    pub(super) fn read(text: &str) -> Result<Budgets> {
        let mut section = String::new();
        let (mut toolchain, mut numbers) = (None, BTreeMap::new());
        for line in text.lines() {
            let line = line.split('#').next().unwrap_or("").trim();
            if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
                section = name.to_owned();
            } else if let Some((name, value)) = line.split_once('=') {
                let (name, value) = (name.trim(), value.trim());
                if name == "toolchain" {
                    toolchain = Some(value.trim_matches('"').to_owned());
                } else {
                    let number = value.parse().map_err(|error| format!("{line}: {error}"))?;
                    numbers.insert(format!("{section}.{name}"), number);
                }
            } else if !line.is_empty() {
                return Err(format!("budgets.toml: {line}").into());
            }
        }
        Ok(Budgets { toolchain: toolchain.ok_or("budgets.toml: no toolchain")?, numbers })
    }

    /// The budget of this name.
    pub(super) fn of(&self, section: &str, name: &str) -> Result<f64> {
        let name = format!("{section}.{name}");
        let number = self.numbers.get(&name).copied();
        number.ok_or_else(|| format!("budgets.toml has no {name}").into())
    }
}

/// A file of these numbers, those of a section together.
pub(super) fn text(toolchain: &str, gates: &[Gate]) -> String {
    let mut text = format!(
        "# What operations cost; `cargo xtask gates` fails where one costs more. After a change that is meant:\n\
         # `cargo xtask gates --record`, and say why in the commit. Counts are those of one compiler.\n\
         toolchain = \"{toolchain}\"\n"
    );
    let mut sections: Vec<_> = gates.iter().map(|gate| gate.section).collect();
    sections.sort_unstable();
    sections.dedup();
    for section in sections {
        let _ = write!(text, "\n# {}\n[{}]\n", section.about(), section.name());
        for gate in gates.iter().filter(|gate| gate.section == section) {
            let _ = writeln!(text, "{} = {}", gate.name, (gate.found * 10.0).round() / 10.0);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::Section;
    use super::*;

    #[test]
    fn what_is_recorded_is_read() {
        let gate = |section, name, found| Gate { section, name, found };
        let gates = [
            gate(Section::Calls, "gets", 0.0),
            gate(Section::Instructions, "get", 812.34),
            gate(Section::Calls, "sync", 20.0),
        ];
        let budgets = Budgets::read(&text("1.95.0", &gates)).unwrap();
        assert_eq!(budgets.toolchain, "1.95.0");
        assert!((budgets.of("instructions", "get").unwrap() - 812.3).abs() < 1e-9);
        assert!((budgets.of("calls", "sync").unwrap() - 20.0).abs() < 1e-9);
        assert!(budgets.of("calls", "none").is_err());
        assert!(Budgets::read("nonsense").is_err());
    }
}
