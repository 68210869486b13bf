//! A device that logs: qemu-storage-daemon's `blklogwrites`, exported as a file by FUSE, behind a loop
//! device, under a mounted ext4.
//!
//! QEMU's FUSE export (seen in 10.0.2) mixes up the data of writes that reach it at the same time, so it
//! must get one request at a time: the loop device does buffered I/O (a single worker, which waits for
//! each write; FUSE without a write-back cache passes each on at once), and nothing is read ahead. `stop`
//! has ext4 checked: were this to fail, it would be seen there.

use crate::Result;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long the daemon may take to export, and the loop device to go.
const PATIENCE: Duration = Duration::from_secs(10);

/// Runs a program; an error with what it said unless it succeeds.
pub(super) fn run_tool(program: &str, words: &[&str]) -> Result<()> {
    let output = Command::new(program).args(words).stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    Err(format!("{program} {words:?}: {}", String::from_utf8_lossy(&said).trim()).into())
}

/// A path as a word of a command.
pub(super) fn word(path: &Path) -> Result<&str> {
    path.to_str().ok_or_else(|| format!("{} is no text", path.display()).into())
}

/// A file with an empty ext4: nothing is left for its threads to initialise later.
pub(super) fn make_ext4(path: &Path, bytes: u64) -> Result<()> {
    std::fs::File::create(path)?.set_len(bytes)?;
    let extended = "lazy_itable_init=0,lazy_journal_init=0,nodiscard";
    run_tool(
        "mkfs.ext4",
        &["-q", "-F", "-b", "4096", "-m", "0", "-J", "size=4", "-E", extended, word(path)?],
    )
}

/// The device, mounted. Dropping it takes it down.
pub(super) struct Device {
    daemon: Child,
    export: PathBuf,
    mounted: PathBuf,
    log: PathBuf,
    disk: PathBuf,
}

impl Device {
    /// Starts with a copy of `base`.
    pub(super) fn start(directory: &Path, base: &Path) -> Result<Device> {
        let [export, mounted, log, disk] =
            ["export", "mounted", "log", "disk"].map(|name| directory.join(name));
        std::fs::copy(base, &disk)?;
        std::fs::File::create(&log)?;
        std::fs::File::create(&export)?;
        std::fs::create_dir_all(&mounted)?;
        // It dies with this process.
        let mut daemon = Command::new("setpriv");
        daemon.args(["--pdeathsig", "KILL", "qemu-storage-daemon"]);
        let (disk_file, log_file) = (word(&disk)?, word(&log)?);
        for node in [
            format!("driver=file,node-name=disk,filename={disk_file}"),
            format!("driver=file,node-name=log,filename={log_file}"),
            "driver=blklogwrites,node-name=logged,file=disk,log=log,log-sector-size=512".into(),
        ] {
            daemon.args(["--blockdev", &node]);
        }
        let export_to = format!(
            "type=fuse,id=e,node-name=logged,mountpoint={},writable=on,growable=off",
            word(&export)?
        );
        let daemon = daemon.args(["--export", &export_to]).stdin(Stdio::null()).spawn()?;
        let device = Device { daemon, export, mounted, log, disk };
        device.mount()?;
        Ok(device)
    }

    fn mount(&self) -> Result<()> {
        let outside = std::fs::metadata(&self.log)?.dev();
        let until = Instant::now() + PATIENCE;
        let fuse = loop {
            let dev = std::fs::metadata(&self.export)?.dev();
            if dev != outside {
                break dev;
            }
            if Instant::now() > until {
                return Err("qemu-storage-daemon exports nothing".into());
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        let (major, minor) = (rustix::fs::major(fuse), rustix::fs::minor(fuse));
        std::fs::write(format!("/sys/class/bdi/{major}:{minor}/read_ahead_kb"), "0")?;
        let (export, mounted) = (word(&self.export)?, word(&self.mounted)?);
        run_tool("mount", &["-t", "ext4", "-o", "loop", export, mounted])?;
        let dev = std::fs::metadata(&self.mounted)?.dev();
        let (major, minor) = (rustix::fs::major(dev), rustix::fs::minor(dev));
        let direct = std::fs::read_to_string(format!("/sys/dev/block/{major}:{minor}/loop/dio"))?;
        if direct.trim() != "0" {
            return Err("the loop device does direct I/O: more than one request at a time".into());
        }
        Ok(())
    }

    /// Where it is mounted.
    pub(super) fn mounted(&self) -> &Path {
        &self.mounted
    }

    /// The log, while it is written.
    pub(super) fn log(&self) -> &Path {
        &self.log
    }

    /// Unmounts, checks the ext4, ends the daemon; where the log is.
    pub(super) fn stop(self) -> Result<PathBuf> {
        run_tool("umount", &[word(&self.mounted)?])?;
        run_tool("e2fsck", &["-f", "-n", word(&self.disk)?])?;
        Ok(self.log.clone())
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        // Whatever is there. What fails here goes with the namespace.
        for at in [&self.mounted, &self.export] {
            let _ = word(at).and_then(|at| run_tool("umount", &["-l", at]));
        }
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}
