//! A file system with one file, `t.leaf`, that loses what it is told to lose: `faulty MOUNT BACKING`.
//!
//! BACKING is the medium: what was written to it is what a power loss would leave. Prints `ready`, then
//! answers each line of its input with `ok`; ends with its input.
//!
//! | line | from then on |
//! |---|---|
//! | `writes fail` | no byte reaches the medium: `EIO` to whoever writes pages back |
//! | `reads fail FROM TO` | reads that touch these bytes: `EIO` |
//! | `pass` | all is well again |

use fuser::{
    FileAttr, FileType, Filesystem, KernelConfig, MountOption, ReplyAttr, ReplyEmpty, ReplyEntry,
    ReplyOpen, ReplyWrite, Request, TimeOrNow,
};
use std::error::Error;
use std::ffi::{OsStr, c_int};
use std::fs::File;
use std::io::{BufRead as _, Write as _};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

const NAME: &str = "t.leaf";
const ROOT: u64 = 1;
const FILE: u64 = 2;
/// The kernel is the only one who changes anything: what it knows stays right.
const FOR_EVER: Duration = Duration::from_secs(3600);
/// `FOPEN_KEEP_CACHE`: opening the file again finds the pages that were read before.
const KEEP_CACHE: u32 = 1 << 1;
/// `FUSE_WRITEBACK_CACHE`: `write` ends in the page cache, as on a disk.
const WRITEBACK_CACHE: u32 = 1 << 16;

#[derive(Default)]
struct Faults {
    writes_fail: bool,
    reads_fail: Range<u64>,
}

struct Faulty {
    medium: File,
    faults: Arc<Mutex<Faults>>,
}

impl Faulty {
    fn attributes(&self, ino: u64) -> FileAttr {
        let size =
            if ino == FILE { self.medium.metadata().map_or(0, |data| data.len()) } else { 0 };
        let (kind, perm) =
            if ino == FILE { (FileType::RegularFile, 0o644) } else { (FileType::Directory, 0o755) };
        let time = SystemTime::UNIX_EPOCH;
        FileAttr {
            ino,
            size,
            blocks: size.div_ceil(512),
            atime: time,
            mtime: time,
            ctime: time,
            crtime: time,
            kind,
            perm,
            nlink: 1,
            uid: 0,
            gid: 0,
            rdev: 0,
            blksize: 4096,
            flags: 0,
        }
    }

    fn writes_fail(&self) -> bool {
        self.faults.lock().is_ok_and(|faults| faults.writes_fail)
    }
}

impl Filesystem for Faulty {
    fn init(&mut self, _: &Request<'_>, config: &mut KernelConfig) -> Result<(), c_int> {
        config.add_capabilities(WRITEBACK_CACHE).map_err(|_| libc::ENOSYS)
    }

    fn lookup(&mut self, _: &Request<'_>, parent: u64, name: &OsStr, reply: ReplyEntry) {
        if parent == ROOT && name == NAME {
            reply.entry(&FOR_EVER, &self.attributes(FILE), 0);
        } else {
            reply.error(libc::ENOENT);
        }
    }

    fn getattr(&mut self, _: &Request<'_>, ino: u64, _: Option<u64>, reply: ReplyAttr) {
        reply.attr(&FOR_EVER, &self.attributes(ino));
    }

    fn setattr(
        &mut self,
        _: &Request<'_>,
        ino: u64,
        _mode: Option<u32>,
        _uid: Option<u32>,
        _gid: Option<u32>,
        size: Option<u64>,
        _atime: Option<TimeOrNow>,
        _mtime: Option<TimeOrNow>,
        _ctime: Option<SystemTime>,
        _fh: Option<u64>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _flags: Option<u32>,
        reply: ReplyAttr,
    ) {
        match size.map_or(Ok(()), |size| self.medium.set_len(size)) {
            Ok(()) => reply.attr(&FOR_EVER, &self.attributes(ino)),
            Err(_) => reply.error(libc::EIO),
        }
    }

    fn open(&mut self, _: &Request<'_>, _ino: u64, _flags: i32, reply: ReplyOpen) {
        reply.opened(0, KEEP_CACHE);
    }

    fn read(
        &mut self,
        _: &Request<'_>,
        _ino: u64,
        _fh: u64,
        offset: i64,
        size: u32,
        _flags: i32,
        _lock_owner: Option<u64>,
        reply: fuser::ReplyData,
    ) {
        let range = offset as u64..offset as u64 + u64::from(size);
        let bad = self.faults.lock().map_or(0..0, |faults| faults.reads_fail.clone());
        if range.start < bad.end && bad.start < range.end {
            return reply.error(libc::EIO);
        }
        let mut bytes = vec![0; size as usize];
        let mut done = 0;
        while let Some(rest) = bytes.get_mut(done..)
            && let Ok(count @ 1..) = self.medium.read_at(rest, range.start + done as u64)
        {
            done += count;
        }
        reply.data(bytes.get(..done).unwrap_or(&[]));
    }

    fn write(
        &mut self,
        _: &Request<'_>,
        _ino: u64,
        _fh: u64,
        offset: i64,
        data: &[u8],
        _write_flags: u32,
        _flags: i32,
        _lock_owner: Option<u64>,
        reply: ReplyWrite,
    ) {
        if self.writes_fail() || self.medium.write_all_at(data, offset as u64).is_err() {
            reply.error(libc::EIO);
        } else {
            reply.written(data.len() as u32);
        }
    }

    fn fsync(&mut self, _: &Request<'_>, _ino: u64, _fh: u64, _data: bool, reply: ReplyEmpty) {
        // What failed was reported when it was written back.
        reply.ok();
    }

    fn fallocate(
        &mut self,
        _: &Request<'_>,
        _ino: u64,
        _fh: u64,
        offset: i64,
        length: i64,
        _mode: i32,
        reply: ReplyEmpty,
    ) {
        let len = self.attributes(FILE).size.max((offset + length) as u64);
        match self.medium.set_len(len) {
            Ok(()) => reply.ok(),
            Err(_) => reply.error(libc::EIO),
        }
    }
}

fn obey(line: &str, faults: &Mutex<Faults>) -> Result<(), Box<dyn Error>> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let mut faults = faults.lock().map_err(|_| "the file system is gone")?;
    match words[..] {
        ["writes", "fail"] => faults.writes_fail = true,
        ["reads", "fail", from, to] => faults.reads_fail = from.parse()?..to.parse()?,
        ["pass"] => *faults = Faults::default(),
        _ => return Err(format!("no such command: {line}").into()),
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut words = std::env::args_os().skip(1);
    let (mount, backing) = (words.next().ok_or("no mount")?, words.next().ok_or("no backing")?);
    let mut how = File::options();
    let medium = how.read(true).write(true).create(true).truncate(false).open(backing)?;
    let faults = Arc::new(Mutex::new(Faults::default()));
    let faulty = Faulty { medium, faults: Arc::clone(&faults) };
    let options = [MountOption::FSName("faulty".into()), MountOption::RW];
    let session = fuser::spawn_mount2(faulty, mount, &options)?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "ready")?;
    out.flush()?;
    for line in std::io::stdin().lock().lines() {
        obey(&line?, &faults)?;
        writeln!(out, "ok")?;
        out.flush()?;
    }
    drop(session);
    Ok(())
}
