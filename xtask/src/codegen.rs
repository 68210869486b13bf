//! `cargo xtask codegen`: what the searches of a page compile to (x86-64). A compiler that turns their
//! conditional moves into branches, or their vector compares into a loop, costs a third of a lookup and
//! breaks no test.
//!
//! Looked at: the functions of btree/src/codegen.rs, as a program without link-time optimisation gets them.
//! In each
//! - no conditional jump rests on a number that was loaded from the page (what a head is compared with is
//!   a coin toss; that a loop ends is not);
//! - the instructions that it is meant to be made of are there.
//!
//! Three functions of that file branch on heads: unless all are objected to, the check itself is broken.

use crate::Result;
use crate::process::{cargo, root};
use std::collections::BTreeSet;

/// A function and what its code must have.
struct Wanted {
    name: &'static str,
    /// Starts of instructions, and how many at least begin with one.
    uses: &'static [(&'static str, usize)],
    /// It may branch once a block on what it found there.
    branches_on_finds: bool,
    /// It must be objected to.
    canary: bool,
}

const CMOV: (&str, usize) = ("cmov", 1);
/// Of the four that a block of 64 bytes takes on the smallest vectors the compiler leaves one to scalars.
const VECTORS: (&str, usize) = ("pcmpeq", 3);
/// Eight fingerprints are compared by one sum; two of them, or one on vectors, are a block.
const SUM: (&str, usize) = ("add", 2);

const fn wanted(name: &'static str, uses: &'static [(&'static str, usize)]) -> Wanted {
    Wanted { name, uses, branches_on_finds: false, canary: false }
}

const FUNCTIONS: [Wanted; 12] = [
    wanted("codegen_lower_bound", &[CMOV]),
    wanted("codegen_upper_bound", &[CMOV]),
    wanted("codegen_fixed_bound", &[CMOV]),
    wanted("codegen_fixed_bound_long", &[CMOV]),
    wanted("codegen_block_of", &[("adc", 1)]),
    wanted("codegen_equal_bits", &[VECTORS]),
    Wanted { branches_on_finds: true, ..wanted("codegen_find_equal", &[VECTORS]) },
    wanted("codegen_equal_bytes", &[SUM]),
    Wanted { branches_on_finds: true, ..wanted("codegen_find_byte", &[SUM]) },
    Wanted { canary: true, ..wanted("codegen_canary_bound", &[]) },
    Wanted { canary: true, ..wanted("codegen_canary_bytes", &[]) },
    Wanted { canary: true, ..wanted("codegen_canary_scan", &[VECTORS]) },
];

pub(crate) fn run() -> Result<bool> {
    if !cfg!(target_arch = "x86_64") {
        return Err("codegen is looked at on x86-64".into());
    }
    let scratch = tempfile::tempdir()?;
    let mut build = cargo();
    build.args(["rustc", "--quiet", "--release", "--package", "mapleaf-btree", "--lib", "--"]);
    build.args(["--cfg", "mapleaf_codegen", "-C", "debuginfo=0", "--emit", "asm"]);
    // Else vectors come at the link, where this would not see them.
    build.env("CARGO_PROFILE_RELEASE_LTO", "false");
    // Of its own: what is there from another run would not be written again.
    build.env("CARGO_TARGET_DIR", scratch.path()).current_dir(root());
    if !build.status()?.success() {
        return Err("mapleaf-btree does not build".into());
    }
    let written =
        std::fs::read_dir(scratch.path().join("release/deps"))?.filter_map(|entry| entry.ok());
    let mut written = written.map(|entry| entry.path());
    let assembly = written.find(|path| path.extension().is_some_and(|end| end == "s"));
    let text = std::fs::read_to_string(assembly.ok_or("no assembly was written")?)?;
    let mut bad = 0;
    for wanted in &FUNCTIONS {
        let code = function(&text, wanted.name).ok_or(format!("{} is not there", wanted.name))?;
        let objection = objection(&code, wanted);
        let right = objection.is_some() == wanted.canary;
        let said = objection.unwrap_or_else(|| "as it should be".into());
        let canary = match (wanted.canary, right) {
            (true, true) => " (planted: found)",
            (true, false) => " (planted: NOT FOUND)",
            _ => "",
        };
        println!("{}: {said}{canary}", wanted.name);
        bad += u32::from(!right);
    }
    Ok(bad == 0)
}

/// The instructions of the function in whose mangled name this is.
fn function<'t>(text: &'t str, name: &str) -> Option<Vec<&'t str>> {
    let mut lines = text.lines();
    // Mangled, a name has its length before it.
    let named = format!("{}{name}", name.len());
    lines.find(|line| line.ends_with(':') && line.contains(&named))?;
    let body = lines.take_while(|line| !line.trim_start().starts_with(".Lfunc_end"));
    Some(body.map(str::trim).filter(|line| !line.starts_with('.') && !line.is_empty()).collect())
}

/// What is wrong with the code, if anything.
fn objection(code: &[&str], wanted: &Wanted) -> Option<String> {
    for (start, least) in wanted.uses {
        let found = code.iter().filter(|line| line.starts_with(start)).count();
        if found < *least {
            return Some(format!("{found} times {start}, at least {least} expected"));
        }
    }
    if wanted.branches_on_finds {
        return None;
    }
    branch_on_loaded(code).map(|jump| format!("branches on what it loaded: {jump}"))
}

/// A conditional jump whose flags come from a number that was loaded (not from the stack).
fn branch_on_loaded<'c>(code: &[&'c str]) -> Option<&'c str> {
    let mut loaded = BTreeSet::new();
    let mut flags_loaded = false;
    for line in code {
        let (operation, operands) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let parts = operands_of(operands);
        let from_memory = |part: &str| part.contains('(') && !part.contains("%rsp");
        let is_loaded = |part: &&str| from_memory(part) || loaded.contains(&register(part));
        if operation.starts_with('j') && operation != "jmp" {
            if flags_loaded {
                return Some(line);
            }
            continue;
        }
        let touched = parts.iter().any(is_loaded);
        if sets_flags(operation) {
            flags_loaded = touched;
        }
        // What a conditional move or `set` makes of the flags is a choice, not a number of the page.
        let address_only = operation.starts_with("lea");
        let Some(target) = parts.last().filter(|part| part.starts_with('%')) else { continue };
        let compares = operation.starts_with("cmp") || operation.starts_with("test");
        let clears = operation.starts_with("xor") && parts.first() == parts.last();
        let chooses = operation.starts_with("set") || clears;
        if touched && !address_only && !compares && !chooses {
            loaded.insert(register(target));
        } else if operation.starts_with("mov") || operation.starts_with("lea") || chooses {
            loaded.remove(&register(target));
        }
    }
    None
}

fn sets_flags(operation: &str) -> bool {
    let without = ["mov", "lea", "cmov", "set", "push", "pop", "not", "p", "j", "bswap", "call"];
    !without.iter().any(|start| operation.starts_with(start))
}

/// Operands of an instruction, cut at commas that are not inside an address.
fn operands_of(text: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0, 0);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'(' => depth += 1,
            b')' => depth -= 1,
            b',' if depth == 0 => {
                parts.push(text[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(text[start..].trim());
    parts
}

/// A register's name, whatever part of it is meant.
fn register(part: &str) -> String {
    let name = part.trim_start_matches('%');
    if let Some(number) = name.strip_prefix('r').filter(|rest| rest.starts_with(char::is_numeric)) {
        return format!("r{}", number.trim_end_matches(['d', 'w', 'b']));
    }
    match name.trim_start_matches(['r', 'e']) {
        short if name.starts_with('x') || short.len() < 2 => name.to_owned(),
        short => match short.strip_suffix(['l', 'h']) {
            Some("a" | "b" | "c" | "d") => format!("{}x", &short[..1]),
            Some(two) => two.to_owned(),
            None => short.to_owned(),
        },
    }
}
