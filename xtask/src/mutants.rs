//! `cargo xtask mutants`: which changes of the pager's code would no test notice? See `tests/mutants`.

use crate::Result;
use crate::process::{cargo, root};

pub(crate) fn run(words: &[String]) -> Result<bool> {
    let mut mutants = cargo();
    mutants.args(["run", "--quiet", "--release", "--locked", "--manifest-path"]);
    mutants.arg(root().join("tests/mutants/Cargo.toml")).arg("--").args(words);
    Ok(mutants.status()?.success())
}
