//! `cargo xtask loom`: every interleaving of the readers' protocol; then the same with planted bugs.
//!
//! Without names all bugs that tests/loom can plant; `none` for none of them.

use crate::Result;
use crate::process::{cargo, root};
use std::process::{Command, Stdio};

pub(crate) fn run(names: &[String]) -> Result<bool> {
    let mut release = model(None);
    if !release.status()?.success() {
        return Ok(false);
    }
    let known = crate::process::output(model(None).arg("planted"))?;
    let known = String::from_utf8(known)?;
    let mut missed = 0;
    for name in known.split_whitespace() {
        if !names.is_empty() && !names.iter().any(|wanted| wanted == name) {
            continue;
        }
        // Built first: a bug that does not compile was not found by anybody.
        let mut build = cargo();
        build.args(["build", "--quiet", "--release", "--locked"]).env("PLANTED", name);
        if !build.current_dir(root().join("tests/loom")).status()?.success() {
            return Err(format!("{name} does not build").into());
        }
        let found = model(Some(name)).stdout(Stdio::null()).stderr(Stdio::null()).status()?;
        println!("{name}: {}", if found.success() { "NOT FOUND" } else { "found" });
        missed += u32::from(found.success());
    }
    Ok(missed == 0)
}

fn model(planted: Option<&str>) -> Command {
    let mut model = cargo();
    model.args(["run", "--quiet", "--release", "--locked", "--"]);
    model.current_dir(root().join("tests/loom")).env("PLANTED", planted.unwrap_or(""));
    model
}
