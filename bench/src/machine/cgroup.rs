//! A memory limit for a child process, page cache included: a control group (v1 `memory`, or v2).

// One text for all that limit memory; the command, which is published, owns it.
#[path = "../../../cli/src/lab/group.rs"]
mod group;

use group::Group;
use std::process::Command;

/// A group with a limit; removed when dropped.
pub(crate) struct MemoryLimit {
    group: Group,
}

impl MemoryLimit {
    /// A new group of this process' own; an error, in words, where this user cannot have one.
    pub(crate) fn new(bytes: u64) -> Result<MemoryLimit, String> {
        Ok(MemoryLimit { group: Group::new("mapleaf-bench", bytes)? })
    }

    /// The command, run inside the group.
    pub(crate) fn inside(&self, command: &Command) -> Command {
        let mut shell = Command::new("sh");
        shell.args(["-c", "echo $$ > \"$0\" && exec \"$@\""]);
        shell.arg(self.group.entrance());
        shell.arg(command.get_program()).args(command.get_args());
        shell
    }

    /// Gives back what the page cache holds in the group's name, so that the next child begins cold.
    pub(crate) fn empty(&self) {
        self.group.empty();
    }
}
