//! Parts of experiments that need a process of their own: this program again.

use crate::lab::findings::{Lab, Stop};
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output, Stdio};

/// What stands between a part's words on its command line: nothing that a path is likely to contain.
pub(crate) const SEPARATOR: char = '\u{1f}';

/// A child that has ended.
pub(crate) struct Ended(Output);

/// Runs a part, and waits for it.
///
/// # Errors
/// The system's.
pub(crate) fn run(words: &[String]) -> Lab<Ended> {
    let part = words.join(&SEPARATOR.to_string());
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["lab", "--inside", &part]).stdin(Stdio::null());
    Ok(Ended(command.output()?))
}

impl Ended {
    /// What it printed, if it succeeded.
    ///
    /// # Errors
    /// That it failed, and how.
    pub(crate) fn printed(&self) -> Lab<String> {
        let Output { status, stdout, stderr } = &self.0;
        if !status.success() {
            let said = String::from_utf8_lossy(stderr);
            let message =
                format!("a process of this experiment failed ({status}): {}", said.trim());
            return Err(Stop::Failed(io::Error::other(message)));
        }
        Ok(String::from_utf8_lossy(stdout).into_owned())
    }

    /// The signal that ended it.
    pub(crate) fn signal(&self) -> Option<i32> {
        self.0.status.signal()
    }
}
