//! A memory control group of this run's own, of version 1 or 2. (The bench and xtask use this file too.)
//!
//! Version 2 limits a group only where its parent hands the memory controller down (`cgroup.subtree_control`),
//! and a parent that has processes of its own cannot: for root the parents above are tried; whoever was given
//! a group of his own (`systemd-run --user --scope -p Delegate=yes`) and is alone in it steps aside, into a
//! second child, for as long as the group is there.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often its removal is tried: a process that has just ended is still in it for a moment.
const REMOVALS_MAX: usize = 100;

/// What was done to a parent, and is undone when the group goes.
#[derive(Default)]
struct Prepared {
    /// It hands the controller down since we asked it to.
    hands_down: bool,
    /// Where this process waits meanwhile.
    aside: Option<PathBuf>,
}

/// A control group with a limit; removed when dropped.
pub(crate) struct Group {
    dir: PathBuf,
    version: Version,
    prepared: Prepared,
}

/// Versions of control groups.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Version {
    One,
    Two,
}

/// A group below which one could be made.
#[derive(PartialEq, Eq, Debug)]
struct Place {
    dir: PathBuf,
    version: Version,
}

impl Group {
    /// Makes a group that may use `bytes` of memory, page cache included, and nothing on a swap device. Its
    /// name begins with `name`.
    ///
    /// # Errors
    /// In words: why there is none to be had.
    pub(crate) fn new(name: &str, bytes: u64) -> Result<Group, String> {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let mut refused = None;
        for place in places(&read("/proc/self/cgroup"), &read("/proc/self/mountinfo")) {
            match place.group(&format!("{name}-{}", std::process::id()), bytes) {
                Ok(group) => return Ok(group),
                Err(error) => {
                    refused = refused.or(Some(format!("{}: {error}", place.dir.display())));
                }
            }
        }
        let reason = refused.unwrap_or("this process is in no control group".into());
        Err(format!(
            "no memory control group can be made ({reason}); it takes root, or a group of one's own: \
             systemd-run --user --scope -p Delegate=yes"
        ))
    }

    /// The file that a process writes 0 to, to enter the group.
    pub(crate) fn entrance(&self) -> PathBuf {
        self.dir.join("cgroup.procs")
    }

    /// Gives back what the page cache holds in the group's name, as far as it can be dropped.
    pub(crate) fn empty(&self) {
        // What stays was used a moment ago, or is locked. Before Linux 5.19 version 2 has no such file.
        let _ = match self.version {
            Version::One => set(&self.dir.join("memory.force_empty"), "0"),
            Version::Two => fs::read_to_string(self.dir.join("memory.current"))
                .and_then(|bytes| set(&self.dir.join("memory.reclaim"), bytes.trim())),
        };
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.empty();
        remove(&self.dir);
        if let Some(parent) = self.dir.parent() {
            self.prepared.undo(parent);
        }
    }
}

impl Prepared {
    fn undo(&self, parent: &Path) {
        if self.hands_down {
            let _ = set(&parent.join("cgroup.subtree_control"), "-memory");
        }
        if let Some(aside) = &self.aside {
            let _ = set(&parent.join("cgroup.procs"), "0");
            remove(aside);
        }
    }
}

fn remove(dir: &Path) {
    for _ in 0..REMOVALS_MAX {
        match fs::remove_dir(dir) {
            Err(error) if error.kind() == ErrorKind::ResourceBusy => {
                std::thread::sleep(Duration::from_millis(10));
            }
            _ => return,
        }
    }
}

/// Writes a control file. Only where there is one: elsewhere a new file would look like a limit.
fn set(path: &Path, value: &str) -> io::Result<()> {
    OpenOptions::new().write(true).open(path)?.write_all(value.as_bytes())
}

/// Where a group could be made, nearest first: this process' groups and those above them, by what
/// `/proc/self/cgroup` and `/proc/self/mountinfo` say.
fn places(groups: &str, mounts: &str) -> Vec<Place> {
    let mut places = Vec::new();
    for line in groups.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else { continue };
        let version = match controllers {
            "" => Version::Two,
            _ if has_word(controllers, ',', "memory") => Version::One,
            _ => continue,
        };
        let Some((mount, root)) = mounts.lines().find_map(|line| mounted(line, version)) else {
            continue;
        };
        // Inside a container the mount may begin below the root that the path is told from.
        let inside = Path::new(path).strip_prefix(root).unwrap_or(Path::new(""));
        for part in inside.ancestors() {
            let dir = if part.as_os_str().is_empty() { mount.into() } else { mount.join(part) };
            places.push(Place { dir, version });
        }
    }
    places
}

/// Where a line of `mountinfo` mounts the memory groups of this version, and from which group on.
fn mounted(line: &str, version: Version) -> Option<(&Path, &str)> {
    let (before, after) = line.split_once(" - ")?;
    let mut fields = before.split(' ').skip(3);
    let (root, mount) = (fields.next()?, fields.next()?);
    let mut fields = after.split(' ');
    let wanted = match (fields.next()?, fields.nth(1)?) {
        ("cgroup2", _) => version == Version::Two,
        ("cgroup", options) => version == Version::One && has_word(options, ',', "memory"),
        _ => false,
    };
    wanted.then_some((Path::new(mount), root))
}

fn has_word(text: &str, separator: char, word: &str) -> bool {
    text.trim_end().split(separator).any(|other| other == word)
}

/// What version 2 takes before a group can be made below another.
#[derive(PartialEq, Eq, Debug)]
enum Step {
    /// Nothing: it hands the controller down already.
    Make,
    /// Asking it to hand the controller down.
    HandDown,
    /// It has no memory controller to hand down.
    Refuse,
}

/// By a group's `cgroup.controllers` and `cgroup.subtree_control`.
fn step(controllers: &str, handed_down: &str) -> Step {
    if has_word(handed_down, ' ', "memory") {
        Step::Make
    } else if has_word(controllers, ' ', "memory") {
        Step::HandDown
    } else {
        Step::Refuse
    }
}

/// Whether a group's `cgroup.procs` has this process and no other.
fn is_alone(processes: &str, own: u32) -> bool {
    processes.split_ascii_whitespace().eq([own.to_string().as_str()])
}

impl Place {
    fn group(&self, name: &str, bytes: u64) -> io::Result<Group> {
        let mut prepared = Prepared::default();
        if self.version == Version::Two {
            let read = |file| fs::read_to_string(self.dir.join(file));
            match step(&read("cgroup.controllers")?, &read("cgroup.subtree_control")?) {
                Step::Make => {}
                Step::HandDown => prepared = self.hand_down(name)?,
                Step::Refuse => return Err(io::Error::other("it has no memory controller")),
            }
        }
        self.remove_stale(name);
        // Removed again, and the parent left as it was, if anything is refused.
        let dir = self.dir.join(name);
        if let Err(error) = fs::create_dir(&dir) {
            prepared.undo(&self.dir);
            return Err(error);
        }
        let group = Group { dir, version: self.version, prepared };
        let (limit, (swap, no_swap)) = match self.version {
            Version::One => ("memory.limit_in_bytes", ("memory.swappiness", "0")),
            Version::Two => ("memory.max", ("memory.swap.max", "0")),
        };
        set(&group.dir.join(limit), &bytes.to_string())?;
        // Kernels without swap accounting have no such file, and count memory alone.
        let _ = set(&group.dir.join(swap), no_swap);
        Ok(group)
    }

    /// Removes groups of this kind whose process was killed: nobody else would.
    fn remove_stale(&self, name: &str) {
        let kind = name.trim_end_matches(|letter: char| letter.is_ascii_digit());
        for entry in fs::read_dir(&self.dir).into_iter().flatten().flatten() {
            let found = entry.file_name();
            if let Some(process) = found.to_str().and_then(|found| found.strip_prefix(kind))
                && process.parse::<u32>().is_ok()
                && !Path::new("/proc").join(process).exists()
            {
                let _ = fs::remove_dir(entry.path());
            }
        }
    }

    /// Has a group of version 2 hand its memory controller down; steps aside if this process is in the way.
    fn hand_down(&self, name: &str) -> io::Result<Prepared> {
        let control = self.dir.join("cgroup.subtree_control");
        match set(&control, "+memory") {
            Ok(()) => return Ok(Prepared { hands_down: true, aside: None }),
            Err(error) if error.kind() != ErrorKind::ResourceBusy => return Err(error),
            Err(_) => {}
        }
        if !is_alone(&fs::read_to_string(self.dir.join("cgroup.procs"))?, std::process::id()) {
            return Err(io::Error::other("it has other processes, and so no limited children"));
        }
        let aside = self.dir.join(format!("{name}-aside"));
        fs::create_dir(&aside)?;
        let moved = set(&aside.join("cgroup.procs"), "0").and_then(|()| set(&control, "+memory"));
        let prepared = Prepared { hands_down: moved.is_ok(), aside: Some(aside) };
        if let Err(error) = moved {
            prepared.undo(&self.dir);
            return Err(error);
        }
        Ok(prepared)
    }
}

#[cfg(test)]
mod tests {
    use super::{Place, Step, Version, is_alone, places, step};
    use std::path::Path;

    const MOUNTS: &str = "\
        24 1 0:22 / /sys rw shared:7 - sysfs sysfs rw\n\
        30 24 0:27 / /sys/fs/cgroup/unified rw,nosuid shared:9 - cgroup2 cgroup2 rw\n\
        31 24 0:28 / /sys/fs/cgroup/cpu,cpuacct rw shared:10 - cgroup cgroup rw,cpu,cpuacct\n\
        32 24 0:29 / /sys/fs/cgroup/memory rw shared:11 - cgroup cgroup rw,memory\n\
        nonsense\n1 2 3 - cgroup2\n";

    #[track_caller]
    fn found(groups: &str, mounts: &str, wanted: &[(Version, &str)]) {
        let wanted: Vec<Place> = wanted
            .iter()
            .map(|(version, dir)| Place { dir: dir.into(), version: *version })
            .collect();
        assert_eq!(places(groups, mounts), wanted);
    }

    #[test]
    fn groups_are_looked_for_where_they_are_mounted_and_upwards() {
        let groups = "4:memory:/a/b\n3:cpu,cpuacct:/c\n0::/d\nnonsense\n:\n";
        let wanted = [
            (Version::One, "/sys/fs/cgroup/memory/a/b"),
            (Version::One, "/sys/fs/cgroup/memory/a"),
            (Version::One, "/sys/fs/cgroup/memory"),
            (Version::Two, "/sys/fs/cgroup/unified/d"),
            (Version::Two, "/sys/fs/cgroup/unified"),
        ];
        found(groups, MOUNTS, &wanted);
        found(groups, "", &[]);
        found("", MOUNTS, &[]);
    }

    #[test]
    fn inside_a_container_paths_begin_at_its_own_root() {
        let mounts = "9 8 0:2 /docker/x /sys/fs/cgroup ro - cgroup2 cgroup rw,nsdelegate\n";
        let below = (Version::Two, "/sys/fs/cgroup/job");
        let root = (Version::Two, "/sys/fs/cgroup");
        found("0::/docker/x/job\n", mounts, &[below, root]);
        found("0::/docker/x\n", mounts, &[root]);
        // A name space of its own: the path is told from the container's root already.
        found("0::/\n", mounts, &[root]);
        found(
            "0::/user.slice/a.scope\n",
            &mounts.replace("/docker/x", "/"),
            &[
                (Version::Two, "/sys/fs/cgroup/user.slice/a.scope"),
                (Version::Two, "/sys/fs/cgroup/user.slice"),
                root,
            ],
        );
    }

    #[test]
    fn the_controller_must_be_handed_down_first() {
        assert_eq!(step("cpuset cpu io memory pids\n", "memory pids\n"), Step::Make);
        assert_eq!(step("cpu memory\n", "\n"), Step::HandDown);
        assert_eq!(step("cpu memory\n", "cpu\n"), Step::HandDown);
        assert_eq!(step("hugetlb\n", ""), Step::Refuse);
        assert_eq!(step("", ""), Step::Refuse);
        // A name that begins alike is another controller.
        assert_eq!(step("memory_other\n", ""), Step::Refuse);
    }

    #[test]
    fn only_whoever_is_alone_steps_aside() {
        assert!(is_alone("17\n", 17));
        assert!(!is_alone("17\n18\n", 17));
        assert!(!is_alone("18\n", 17));
        assert!(!is_alone("", 17));
    }

    #[test]
    fn groups_of_processes_that_are_gone_are_removed() {
        let directory = tempfile::tempdir().unwrap();
        let place = Place { dir: directory.path().into(), version: Version::One };
        // No process has a number this large.
        let own = format!("g-{}", std::process::id());
        let names = ["g-4294967295", &own, "g-x", "other-4294967295"];
        names.iter().for_each(|name| std::fs::create_dir(directory.path().join(name)).unwrap());
        place.remove_stale("g-12");
        let left = names.map(|name| directory.path().join(name).exists());
        assert_eq!(left, [false, true, true, true]);
    }

    #[test]
    fn a_directory_that_is_no_group_is_refused_and_left_as_it_was() {
        let directory = tempfile::tempdir().unwrap();
        let at = |path: &Path| std::fs::read_dir(path).unwrap().count();
        for version in [Version::One, Version::Two] {
            let place = Place { dir: directory.path().into(), version };
            assert!(place.group("g", 1 << 20).is_err());
            assert_eq!(at(directory.path()), 0, "{version:?}");
        }
    }
}
