//! Other programs: cargo, the mapleaf command, this program again.

use crate::Result;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The cargo that runs this program.
pub(crate) fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// The root of the repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

/// Builds the mapleaf command in release; its path.
pub(crate) fn build_command() -> Result<PathBuf> {
    let mut build = cargo();
    build.args(["build", "--quiet", "--release", "--package", "mapleaf-cli"]);
    if !build.status()?.success() {
        return Err("the mapleaf command does not build".into());
    }
    // This program was built in release too: it lies beside.
    let path = std::env::current_exe()?.with_file_name("mapleaf");
    if !path.exists() {
        return Err(format!("{} is not there: run `cargo xtask`", path.display()).into());
    }
    Ok(path)
}

/// Runs a command and gives back what it printed.
pub(crate) fn output(command: &mut Command) -> Result<Vec<u8>> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output()?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    Err(format!("{command:?} failed: {}", output.status).into())
}

/// This program again, to run a job of [`acceptance::child`](crate::acceptance::child) by itself.
pub(crate) fn child(words: &[&str]) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("child").args(words);
    Ok(command)
}
