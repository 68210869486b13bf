//! Which machine the figures are of.

use crate::lab::scratch::Scratch;
use crate::lab::units::size;
use std::fs;
use std::os::unix::fs::MetadataExt;

/// Facts about the machine, for people: name and text.
pub(crate) fn facts(scratch: &Scratch) -> Vec<(&'static str, String)> {
    let mut facts = vec![("kernel", line_of("/proc/sys/kernel/osrelease"))];
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    facts.push(("processor", format!("{}, {threads} in use", processor())));
    facts.push(("memory", size(mapleaf_sys_linux::memory_limit() as f64)));
    facts.push(("file system", file_system(scratch)));
    let page = scratch.page();
    facts.push(("page", size(page as f64)));
    let pages = scratch.pages();
    facts.push(("file", format!("{} ({pages} pages)", size(scratch.bytes() as f64))));
    let huge = line_of("/sys/kernel/mm/transparent_hugepage/enabled");
    facts.push(("large pages", chosen(&huge).to_string()));
    if let Some(bytes) = read_ahead(scratch) {
        facts.push(("read-ahead", size(bytes as f64)));
    }
    facts.push(("build", if cfg!(debug_assertions) { "debug" } else { "release" }.into()));
    facts
}

fn line_of(path: &str) -> String {
    fs::read_to_string(path).map_or("unknown".into(), |text| text.trim().to_string())
}

/// Of `always [madvise] never` the one in brackets.
fn chosen(text: &str) -> &str {
    let inside = text.split_once('[').and_then(|(_, rest)| rest.split_once(']'));
    inside.map_or(text, |(chosen, _)| chosen)
}

fn processor() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("model name"));
    let name = line.and_then(|line| line.split_once(": ")).map(|(_, name)| name.trim());
    name.unwrap_or(std::env::consts::ARCH).to_string()
}

/// The type of the file system that the file lies on; of ext4 also whether it has a journal, which commits take
/// part in.
fn file_system(scratch: &Scratch) -> String {
    let Some((major, minor)) = device_of(scratch) else { return "unknown".into() };
    let device = format!("{major}:{minor}");
    // proc_pid_mountinfo(5): field 3 is the device, the type follows a lone hyphen.
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let line = mounts.lines().find(|line| line.split(' ').nth(2) == Some(&device));
    let kind =
        line.and_then(|line| line.split_once(" - ")).and_then(|(_, rest)| rest.split(' ').next());
    let kind = kind.unwrap_or("unknown");
    let disk = fs::read_link(format!("/sys/dev/block/{device}")).unwrap_or_default();
    let disk = disk.file_name().unwrap_or_default().to_string_lossy();
    let journal = fs::read_to_string(format!("/sys/fs/{kind}/{disk}/journal_task"));
    format!("{kind}{}", journal.map_or("", |task| journal_of(&task)))
}

/// By the number of the thread that writes the journal.
fn journal_of(task: &str) -> &'static str {
    if task.trim().parse::<u32>().is_ok() { ", with a journal" } else { ", without a journal" }
}

/// Major and minor number of the device that the file lies on.
pub(crate) fn device_of(scratch: &Scratch) -> Option<(u32, u32)> {
    let device = scratch.file().metadata().ok()?.dev();
    Some((rustix::fs::major(device), rustix::fs::minor(device)))
}

/// What the kernel reads ahead at most.
fn read_ahead(scratch: &Scratch) -> Option<u64> {
    let (major, minor) = device_of(scratch)?;
    let path = format!("/sys/class/bdi/{major}:{minor}/read_ahead_kb");
    Some(fs::read_to_string(path).ok()?.trim().parse::<u64>().ok()? << 10)
}

#[cfg(test)]
mod tests {
    use super::{chosen, journal_of};

    #[test]
    fn a_journal_has_a_thread() {
        assert_eq!(journal_of("20471\n"), ", with a journal");
        assert_eq!(journal_of("<none>\n"), ", without a journal");
    }

    #[test]
    fn the_choice_is_in_brackets() {
        assert_eq!(chosen("always [madvise] never"), "madvise");
        assert_eq!(chosen("unknown"), "unknown");
    }
}
