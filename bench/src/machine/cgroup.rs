//! A memory limit for a child process, page cache included: a control group (v1 `memory`, or v2).

use crate::peer::Result;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where v1 has its groups of memory.
const V1: &str = "/sys/fs/cgroup/memory";
/// Where v2 has its groups.
const V2: &str = "/sys/fs/cgroup";

/// A group with a limit; removed when dropped.
pub(crate) struct MemoryLimit {
    group: PathBuf,
    bytes: u64,
}

impl MemoryLimit {
    /// A new group of this process' own; `None` where this user cannot have one.
    pub(crate) fn new(bytes: u64) -> Option<MemoryLimit> {
        let (parent, limit) = match Path::new(V1).join("memory.limit_in_bytes").exists() {
            true => (V1, "memory.limit_in_bytes"),
            false => (V2, "memory.max"),
        };
        if parent == V2 {
            // Groups below have a limit only where this one hands the controller on. Systems do already.
            let _ = std::fs::write(Path::new(V2).join("cgroup.subtree_control"), "+memory");
        }
        let group = PathBuf::from(parent).join(format!("mapleaf-bench-{}", std::process::id()));
        std::fs::create_dir(&group).ok()?;
        let group = MemoryLimit { group, bytes };
        std::fs::write(group.group.join(limit), bytes.to_string()).ok()?;
        Some(group)
    }

    /// The command, run inside the group.
    pub(crate) fn inside(&self, command: &Command) -> Command {
        let mut shell = Command::new("sh");
        shell.args(["-c", "echo $$ > \"$0\" && exec \"$@\""]);
        shell.arg(self.group.join("cgroup.procs"));
        shell.arg(command.get_program()).args(command.get_args());
        shell
    }

    /// Gives back what the page cache holds in the group's name, so that the next child begins cold.
    pub(crate) fn empty(&self) -> Result<()> {
        let force = self.group.join("memory.force_empty");
        let reclaim = self.group.join("memory.reclaim");
        if force.exists() {
            std::fs::write(force, "0")?;
        } else if reclaim.exists() {
            // v2 gives back as much as it can, and says EAGAIN where that is less than was asked for.
            let _ = std::fs::write(reclaim, self.bytes.to_string());
        }
        Ok(())
    }
}

impl Drop for MemoryLimit {
    fn drop(&mut self) {
        let _ = self.empty();
        let _ = std::fs::remove_dir(&self.group);
    }
}
