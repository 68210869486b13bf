//! Mappings that pass on to another pass on everything: a method with a default that is forgotten does nothing,
//! and nobody notices.

use std::collections::BTreeSet;
use std::path::Path;

/// Made of others, which are passed on.
const DERIVED: [&str; 2] = ["is_empty", "two_views"];

/// Names of the functions in the part of a file from `start` on.
fn functions(file: &str, start: &str) -> BTreeSet<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").join(file);
    let text = std::fs::read_to_string(&path).expect("a source file");
    let from = text.find(start).unwrap_or_else(|| panic!("{file} has no `{start}`"));
    let lines = text[from..].lines().take_while(|line| *line != "}");
    let named = lines
        .filter_map(|line| line.trim_start().trim_start_matches("unsafe ").strip_prefix("fn "));
    named.filter_map(|rest| rest.split('(').next()).map(str::to_owned).collect()
}

#[test]
fn every_method_of_a_mapping_is_passed_on() {
    let mut wanted = functions("pager/src/mapping.rs", "pub unsafe trait Mapping");
    assert!(wanted.len() > 20 && wanted.contains("tend"), "{wanted:?}");
    DERIVED.iter().for_each(|name| assert!(wanted.remove(*name), "{name}"));
    let wrappers = [
        ("pager/src/owned.rs", "unsafe impl Mapping for Box<dyn Mapping>"),
        ("db/src/observed.rs", "unsafe impl<M: Mapping> Mapping for Observed<M>"),
    ];
    for (file, start) in wrappers {
        let passed = functions(file, start);
        let missing: Vec<_> = wanted.difference(&passed).collect();
        assert!(missing.is_empty(), "{file} does not pass on {missing:?}");
    }
}
