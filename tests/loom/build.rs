//! Takes the pager's own source, over loom's atomics; with a planted bug where `PLANTED` names one.
//!
//! So no line of the pager knows of the model checker, and every planted bug is a change of the real code:
//! one that no longer applies fails the build.

use std::path::PathBuf;
use std::{env, fs};

/// A bug: its name, and what of `shared.rs` is replaced by what.
type Planted = (&'static str, &'static [(&'static str, &'static str)]);

const PLANTED: &[Planted] = &[
    (
        "reader-without-fence",
        &[(
            "slot.store(record.txn);\n                fence(Ordering::SeqCst);",
            "slot.store(record.txn);",
        )],
    ),
    (
        // Either of the two is enough while the same thread publishes and then scans.
        "writer-without-fence",
        &[
            (
                "index, Ordering::SeqCst);\n        fence(Ordering::SeqCst);",
                "index, Ordering::SeqCst);",
            ),
            ("pins: &mut Pins) {\n        fence(Ordering::SeqCst);", "pins: &mut Pins) {"),
        ],
    ),
    (
        "index-before-record",
        &[
            (
                "        fence(Ordering::Release);\n        let put",
                "        self.word(INDEX).store(index, Ordering::SeqCst);\n        let put",
            ),
            (
                "        self.word(INDEX).store(index, Ordering::SeqCst);\n        fence",
                "        fence",
            ),
        ],
    ),
    (
        "index-published-relaxed",
        &[(
            "self.word(INDEX).store(index, Ordering::SeqCst);",
            "self.word(INDEX).store(index, Ordering::Relaxed);",
        )],
    ),
    (
        "reader-does-not-look-again",
        &[("if self.word(INDEX).load(Ordering::SeqCst) == index {", "let _ = index;\n{")],
    ),
    (
        "unpinned-relaxed",
        &[(
            "state.store(generation | FREE, Ordering::Release);",
            "state.store(generation | FREE, Ordering::Relaxed);",
        )],
    ),
    ("half-written-slot-pins-nothing", &[("} else if after & 3 != FREE {", "} else if false {")]),
    ("highest-slot-forgotten", &[("highest.fetch_max(at as u32 + 1, Ordering::SeqCst);", "")]),
];

fn replace(source: &mut String, from: &str, to: &str) {
    assert_eq!(source.matches(from).count(), 1, "not once in the source: {from}");
    *source = source.replacen(from, to, 1);
}

fn main() {
    let pager = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("../../pager/src");
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap());
    let planted = env::var("PLANTED").unwrap_or_default();
    println!("cargo::rerun-if-env-changed=PLANTED");
    for name in ["shared.rs", "pins.rs"] {
        let path = pager.join(name);
        println!("cargo::rerun-if-changed={}", path.display());
        let mut source = fs::read_to_string(path).unwrap();
        if let Some(tests) = source.find("#[cfg(test)]") {
            source.truncate(tests);
        }
        // `include!` takes no inner docs.
        source = source
            .lines()
            .filter(|line| !line.starts_with("//!"))
            .map(|line| format!("{line}\n"))
            .collect();
        if name == "shared.rs" {
            if let Some((_, changes)) = PLANTED.iter().find(|(name, _)| *name == planted) {
                changes.iter().for_each(|(from, to)| replace(&mut source, from, to));
            } else {
                assert!(planted.is_empty(), "no such planted bug: {planted}");
            }
            replace(&mut source, "core::sync::atomic", "loom::sync::atomic");
            replace(&mut source, "core::hint::spin_loop()", "crate::lost_a_race()");
        }
        fs::write(out.join(name), source).unwrap();
    }
    let names: Vec<_> = PLANTED.iter().map(|(name, _)| *name).collect();
    println!("cargo::rustc-env=PLANTED_BUGS={}", names.join(" "));
}
