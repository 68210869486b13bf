//! Which lines of a source file are there for tests only.

use crate::Result;
use crate::process::root;
use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

/// What is behind `#[cfg(test)]`, in the files that were asked about.
#[derive(Default)]
pub(super) struct TestOnly {
    files: HashMap<PathBuf, Vec<RangeInclusive<u32>>>,
}

impl TestOnly {
    /// Whether the line, counted from 1, of a file with a path from the root is for tests only.
    pub(super) fn is_test(&mut self, path: &Path, line: u32) -> Result<bool> {
        if path.components().any(|part| part.as_os_str() == "tests") {
            return Ok(true);
        }
        if !self.files.contains_key(path) {
            let text = std::fs::read_to_string(root().join(path))?;
            self.files.insert(path.to_owned(), test_items(&text));
        }
        Ok(self.files[path].iter().any(|lines| lines.contains(&line)))
    }
}

/// Items behind `#[cfg(test)]`, as rustfmt lays them out: to the first line that ends one at the same depth.
fn test_items(text: &str) -> Vec<RangeInclusive<u32>> {
    let mut items = Vec::new();
    let mut lines = (1..).zip(text.lines());
    while let Some((first, line)) = lines.next() {
        let Some(indent) = line.strip_suffix("#[cfg(test)]") else { continue };
        let ends = |line: &str| {
            let own = line.strip_prefix(indent).filter(|rest| !rest.starts_with(' '));
            own.is_some_and(|rest| rest == "}" || rest.ends_with(';') || rest.ends_with("{}"))
        };
        let last = lines.find(|(_, line)| ends(line)).map_or(u32::MAX, |(number, _)| number);
        items.push(first..=last);
    }
    items
}

#[cfg(test)]
mod tests {
    use super::test_items;

    #[test]
    fn items_for_tests_end_where_their_depth_does() {
        let text = "\
#[cfg(test)]
extern crate std;
fn used() {}
impl Used {
    #[cfg(test)]
    fn seen(&self) {
        ();
    }
    fn used(&self) {}
}
#[cfg(test)]
mod tests {
    fn a() {
    }
}
fn used_too() {}
";
        assert_eq!(test_items(text), [1..=2, 5..=8, 11..=15]);
    }
}
