//! Takes the pager's own source, over loom's atomics; with a planted bug where `PLANTED` names one.
//!
//! So no line of the pager knows of the model checker, and every planted bug is a change of the real code:
//! one that no longer applies fails the build.

use std::path::PathBuf;
use std::{env, fs};

/// A bug: its name, and what of the file is replaced by what.
type Planted = (&'static str, &'static [(&'static str, &'static str)]);

/// In `shared.rs`: the protocol.
const IN_PROTOCOL: &[Planted] = &[
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

/// In `pins.rs`: what the writer makes of the pins. A page that was born at b and freed at f is visible in a
/// pinned s where b <= s < f, and reused where there is none.
const IN_DECISION: &[Planted] = &[
    // b < s < f: not in the state that it was born in.
    ("pinned-not-at-birth", &[("range.1 < birth);", "range.1 <= birth);")]),
    // b <= s < f - 1: not in the last one that shows it.
    ("pinned-not-to-the-last", &[("&& range.0 < freed_at)", "&& range.0.0 + 1 < freed_at.0)")]),
    // As if all readers were at the newest state.
    ("newest-pin-only", &[("ranges.get(at).copied()", "ranges.last().copied()")]),
];

const PLANTED: [(&str, &[Planted]); 2] = [("shared.rs", IN_PROTOCOL), ("pins.rs", IN_DECISION)];

fn replace(source: &mut String, from: &str, to: &str) {
    assert_eq!(source.matches(from).count(), 1, "not once in the source: {from}");
    *source = source.replacen(from, to, 1);
}

fn main() {
    let pager = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("../../pager/src");
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap());
    let planted = env::var("PLANTED").unwrap_or_default();
    println!("cargo::rerun-if-env-changed=PLANTED");
    let known = || PLANTED.iter().flat_map(|(_, bugs)| bugs.iter()).map(|(name, _)| *name);
    assert!(planted.is_empty() || known().any(|name| name == planted), "unknown bug: {planted}");
    for (name, bugs) in PLANTED {
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
        if let Some((_, changes)) = bugs.iter().find(|(name, _)| *name == planted) {
            changes.iter().for_each(|(from, to)| replace(&mut source, from, to));
        }
        if name == "shared.rs" {
            replace(&mut source, "core::sync::atomic", "loom::sync::atomic");
            replace(&mut source, "core::hint::spin_loop()", "crate::lost_a_race()");
        }
        fs::write(out.join(name), source).unwrap();
    }
    let names: Vec<_> = known().collect();
    println!("cargo::rustc-env=PLANTED_BUGS={}", names.join(" "));
}
