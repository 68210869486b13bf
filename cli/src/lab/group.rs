//! A memory control group of this run's own, of version 1 or 2.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often its removal is tried: a process that has just ended is still in it for a moment.
const REMOVALS_MAX: usize = 100;

/// A control group with a limit; removed when dropped.
pub(crate) struct Group {
    dir: PathBuf,
}

impl Group {
    /// Makes a group that may use `bytes` of memory, page cache included.
    ///
    /// # Errors
    /// In words: why there is none to be had.
    pub(crate) fn new(bytes: u64) -> Result<Group, String> {
        let text = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let mut refused = None;
        for (dir, limit) in places(&text) {
            match within(&dir, limit, bytes) {
                Ok(group) => return Ok(group),
                Err(error) => refused = refused.or(Some(format!("{}: {error}", dir.display()))),
            }
        }
        let reason = refused.unwrap_or("this process is in no memory control group".into());
        Err(format!(
            "no memory control group can be made ({reason}); it takes root, or a group of one's own"
        ))
    }

    /// The file that a process writes 0 to, to enter the group.
    pub(crate) fn entrance(&self) -> PathBuf {
        self.dir.join("cgroup.procs")
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        for _ in 0..REMOVALS_MAX {
            if fs::remove_dir(&self.dir).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Where a group could be made, nearest first, and what its limit is called there. In version 2 a group with
/// processes can have no limited children: then its parents are tried.
fn places(text: &str) -> Vec<(PathBuf, &'static str)> {
    let mut places = Vec::new();
    for line in text.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else { continue };
        let (mount, limit) = if controllers.split(',').any(|name| name == "memory") {
            ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
        } else if controllers.is_empty() {
            ("/sys/fs/cgroup", "memory.max")
        } else {
            continue;
        };
        let mut dir = Path::new(path);
        loop {
            let inside = dir.strip_prefix("/").unwrap_or(dir);
            places.push((Path::new(mount).join(inside), limit));
            match dir.parent() {
                Some(parent) => dir = parent,
                None => break,
            }
        }
    }
    places
}

fn within(parent: &Path, limit: &str, bytes: u64) -> io::Result<Group> {
    let dir = parent.join(format!("mapleaf-lab-{}", std::process::id()));
    fs::create_dir(&dir)?;
    // Removed again if the limit is refused.
    let group = Group { dir };
    fs::write(group.dir.join(limit), bytes.to_string())?;
    Ok(group)
}

#[cfg(test)]
mod tests {
    use super::places;

    #[test]
    fn groups_are_looked_for_upwards() {
        let found = places("4:memory:/a/b\n3:cpu:/c\n0::/d\nnonsense\n");
        let paths: Vec<_> = found.iter().map(|(dir, _)| dir.to_str().unwrap()).collect();
        let wanted = [
            "/sys/fs/cgroup/memory/a/b",
            "/sys/fs/cgroup/memory/a",
            "/sys/fs/cgroup/memory/",
            "/sys/fs/cgroup/d",
            "/sys/fs/cgroup/",
        ];
        assert_eq!(paths, wanted);
        assert_eq!(found[0].1, "memory.limit_in_bytes");
        assert_eq!(found[3].1, "memory.max");
    }
}
