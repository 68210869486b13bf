//! `cargo xtask write-order`: power loss below a real ext4 and a real mapping.
//!
//! A writer runs a history on an ext4 whose device logs every write and every flush (`device.rs`). From
//! the log, the device is made again as it could have been at a power loss (`log.rs`, `loss.rs`): at each
//! flush, and between two flushes with any of the writes in between there, absent or torn. Each such image
//! is mounted, so that ext4 replays its journal, and the database on it opened (`look.rs`). One of the
//! images is what the next writers start from, on such a device again: power is lost while they recover,
//! too.
//!
//! Invariants checked on every image:
//! - it holds every commit that was acknowledged as `Sync`, or that a `sync` or `checkpoint` followed,
//!   before the last flush that the image has whole;
//!   Every second writer has threads that share barriers (`WriteTxn::commit_group`);
//! - it is one committed state: every entry of every tree is what the commits up to that one wrote;
//! - `check` is clean; ext4 is (or the medium is not one that a disk could be).
//!
//! Everything is made in a mount namespace and a tmpfs of this run's own: however it ends, mounts, loop
//! devices and images go with it.

mod device;
mod log;
mod look;
mod loss;

use crate::data::mix;
use crate::history::{Ending, Lives, Orders, Plan, Planted, Said, State};
use crate::{Failure, Result};
use device::{Device, run_tool};
use log::Log;
use look::{Looked, Looker};
use mapleaf::WriteMode;
use mapleaf_tests::tools;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The device: small, since an image is made of it for each power loss.
const DEVICE_BYTES: u64 = 40 << 20;
/// Says that this process is the one in the namespace, and where its tmpfs is.
const INSIDE: &str = "MAPLEAF_WRITE_ORDER_INSIDE";
/// How often one database loses power: the second time after it came back from the first.
const GENERATIONS: u64 = 3;
/// Threads of every second writer; the others' is alone.
const THREADS: u64 = 3;
/// The writers between two power losses.
const LIVES: u64 = 3;

/// What is said of an acknowledged commit that is not there.
const LOST: &str = "commits are missing";

#[derive(Clone, Copy)]
struct Options {
    images: u64,
    seed: u64,
    /// Threads of each writer, where they are not drawn.
    threads: Option<u64>,
    planted: Planted,
}

/// `write-order [--images N] [--seed S] [--threads N] [--planted]`.
pub(crate) fn run(words: &[String]) -> Result<bool> {
    let mut options = Options {
        images: 1_000,
        seed: SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos() as u64,
        threads: None,
        planted: Planted::None,
    };
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        let mut number = || rest.next().and_then(|word| word.parse().ok()).ok_or(crate::USAGE);
        match word.as_str() {
            "--images" => options.images = number()?,
            "--seed" => options.seed = number()?,
            "--threads" => options.threads = Some(number()?),
            "--planted" => options.planted = Planted::Eventual,
            _ => return Err(crate::USAGE.into()),
        }
    }
    if let Some(scratch) = std::env::var_os(INSIDE) {
        return inside(Path::new(&scratch), options);
    }
    if let Some(missing) = missing() {
        return if tools::can_run("write-order", false, &missing) { Ok(false) } else { Ok(true) };
    }
    let scratch = tempfile::Builder::new().prefix("mapleaf-write-order-").tempdir()?;
    let mut again = Command::new("unshare");
    again.args(["--mount", "--propagation", "private"]).arg(std::env::current_exe()?);
    again.args(["write-order", "--images", &options.images.to_string()]);
    again.args(["--seed", &options.seed.to_string()]);
    if let Some(threads) = options.threads {
        again.args(["--threads", &threads.to_string()]);
    }
    if options.planted != Planted::None {
        again.arg("--planted");
    }
    let status = again.env(INSIDE, scratch.path()).status()?;
    // The directory is empty: what was mounted on it went with the namespace.
    std::fs::remove_dir(scratch.path())?;
    Ok(status.success())
}

/// What this machine lacks, or this user may not do.
fn missing() -> Option<String> {
    for program in ["qemu-storage-daemon", "setpriv", "unshare", "mkfs.ext4", "e2fsck", "losetup"] {
        if !tools::has(program) {
            return Some(program.into());
        }
    }
    for device in ["/dev/fuse", "/dev/loop-control"] {
        if !Path::new(device).exists() {
            return Some(device.into());
        }
    }
    let may_mount = run_tool("unshare", &["--mount", "--propagation", "private", "true"]);
    may_mount.err().map(|_| "the right to mount".into())
}

/// In the namespace.
fn inside(scratch: &Path, options: Options) -> Result<bool> {
    let Options { images, seed, planted, threads } = options;
    let fixed = threads.map(|threads| format!(" --threads {threads}")).unwrap_or_default();
    let again = format!("cargo xtask write-order --images {images} --seed {seed}{fixed}");
    println!("write-order: seed {seed}; again: {again}");
    let at = scratch.to_str().ok_or("a temporary path that is no text")?;
    run_tool("mount", &["-t", "tmpfs", "-o", "size=1g,mode=700", "none", at])?;
    let start = Instant::now();
    for (mode, half) in [(WriteMode::Shadow, images.div_ceil(2)), (WriteMode::InPlace, images / 2)]
    {
        let directory = scratch.join(format!("{mode:?}"));
        std::fs::create_dir(&directory)?;
        let found = campaign(&directory, mode, Options { images: half, ..options });
        std::fs::remove_dir_all(&directory)?;
        match (found, planted) {
            (Ok(looked), Planted::None) => println!("{mode:?}: {looked}"),
            (Ok(_), _) => return Err("the planted bug was not found".into()),
            // Not just any failure: this is what that bug looks like.
            (Err(found), Planted::Eventual) if found.to_string().contains(LOST) => {
                println!("{mode:?}: found, as planted: {found}");
            }
            (Err(found), _) => return Err(format!("{mode:?}: {found}\nagain: {again}").into()),
        }
    }
    println!("{:.0} s", start.elapsed().as_secs_f64());
    Ok(true)
}

/// Writes on one database, and loses power so many times.
fn campaign(directory: &Path, mode: WriteMode, options: Options) -> Result<Looked> {
    let seed = mix(options.seed ^ mode as u64);
    let plan = Plan { seed, keys: 1_500, batch_max: 150 };
    let base = directory.join("base");
    device::make_ext4(&base, DEVICE_BYTES)?;
    let mut looker = Looker::new(directory, plan);
    for generation in 0..GENERATIONS {
        let seed = mix(seed ^ mix(generation));
        let device = Device::start(directory, &base)?;
        write(&device, &mut looker.told, mode, Options { seed, ..options }, plan)?;
        let log = Log::read(&device.stop()?)?;
        let mut medium = std::fs::read(&base)?;
        let losses = loss::choose(&log, options.images.div_ceil(GENERATIONS), seed);
        looker.begin(&log);
        let chosen = seed as usize % losses.len().max(1);
        let mut next = None;
        for (nth, loss) in losses.iter().enumerate() {
            looker.advance(&log, &mut medium, loss.whole)?;
            let image = loss.image(&log, &medium);
            let found = looker.look(&image, loss).map_err(|failure| -> Failure {
                let kept =
                    if options.planted == Planted::None { keep(&image) } else { String::new() };
                let of = format!("generation {generation}, {} log entries", log.entries.len());
                format!("{of}, {loss:?}: {failure}{kept}").into()
            })?;
            if nth == chosen {
                next = Some((image, found, looker.told.must_hold(loss.whole as u64)));
            }
        }
        let (image, found, must) = next.ok_or("power was never lost")?;
        std::fs::write(&base, image)?;
        looker.told.back(found, must);
    }
    Ok(looker.looked())
}

/// Runs the writers, one after the other.
fn write(
    device: &Device,
    told: &mut Told,
    mode: WriteMode,
    options: Options,
    plan: Plan,
) -> Result<()> {
    let commits = (30 + options.images / 4) / (GENERATIONS * LIVES);
    for life in 1..=LIVES {
        let ending = match mix(options.seed ^ life) % 3 {
            0 => Ending::Close,
            1 => Ending::Drop,
            _ => Ending::Killed,
        };
        let drawn = if mix(options.seed ^ mix(life)).is_multiple_of(2) { THREADS } else { 1 };
        told.listen(&Orders {
            path: device.mounted().join("t.leaf"),
            mode,
            plan,
            life: told.lives.next(),
            threads: options.threads.unwrap_or(drawn),
            commits: commits + 1,
            ending,
            planted: options.planted,
            log: Some(device.log().into()),
        })?;
    }
    Ok(())
}

/// Leaves an image that must not be where the run's own files do not go with it; says where.
fn keep(image: &[u8]) -> String {
    let path = std::env::temp_dir().join("mapleaf-write-order.img");
    match std::fs::write(&path, image) {
        Ok(()) => format!("\nthe image: {}", path.display()),
        Err(error) => format!("\nthe image could not be kept: {error}"),
    }
}

/// What the writers said.
#[derive(Default)]
struct Told {
    lives: Lives,
    /// States that were said to survive power loss, and the entries that the device's log had then.
    safe: Vec<(State, u64)>,
    /// The newest that was acknowledged, and up to where commits may be there: one in flight of each thread.
    last: State,
    most: u64,
    commits: u64,
    safe_commits: u64,
    /// Commits whose barrier was that of a later one too.
    shared: u64,
}

impl Told {
    /// Power was lost and came back, with this state; the writers had said that `must` is safe.
    fn back(&mut self, found: State, must: State) {
        self.last = found;
        self.most = found.number;
        self.safe = vec![(must, 0)];
    }

    /// Runs a writer to its end.
    fn listen(&mut self, orders: &Orders) -> Result<()> {
        let mut writer = orders.command()?.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let mut kill_after = (orders.ending == Ending::Killed).then_some(orders.commits);
        for line in BufReader::new(writer.stdout.take().ok_or("no output")?).lines() {
            match Said::parse(&line?)? {
                Said::Open(at) => self.open(at, orders.threads)?,
                Said::Done { number, safe, entries, shared } => {
                    self.commits += 1;
                    self.shared += u64::from(shared);
                    // One of them was acknowledged. A writer that is killed may have been at the next.
                    self.most += 1;
                    self.lives.attempted(self.most);
                    // In the order of threads, not of numbers.
                    let number_max =
                        if self.last.life == orders.life { self.last.number } else { 0 };
                    self.last = State { number: number.max(number_max), life: orders.life };
                    if safe {
                        self.safe_commits += 1;
                        let known = self.safe.last().map_or(0, |(state, _)| state.number);
                        if number > known {
                            let state = State { number, life: orders.life };
                            self.safe.push((state, entries));
                        }
                    }
                    kill_after = kill_after.map(|left| left.saturating_sub(1));
                }
                Said::Opening | Said::Closing => {}
            }
            if kill_after.take_if(|left| *left == 0).is_some() {
                std::thread::sleep(Duration::from_micros(
                    mix(orders.plan.seed ^ orders.life) % 2_000,
                ));
                writer.kill()?;
            }
        }
        let status = writer.wait()?;
        if status.success() || orders.ending == Ending::Killed {
            return Ok(());
        }
        Err(format!("the writer failed: {status}").into())
    }

    /// A writer of so many threads has found this state: the last one, or one in flight when the last writer
    /// was killed.
    fn open(&mut self, at: State, threads: u64) -> Result<()> {
        if at.number > self.most || !self.lives.holds(at, self.last) {
            return Err(format!("opened {at:?} instead of {:?}", self.last).into());
        }
        self.last = at;
        self.most = at.number + threads;
        self.lives.begin(at, threads);
        Ok(())
    }

    /// What must be there after a loss that left the first `entries` of the device's log whole.
    fn must_hold(&self, entries: u64) -> State {
        let known = self.safe.partition_point(|(_, at)| *at <= entries);
        known.checked_sub(1).map_or(State::default(), |last| self.safe[last].0)
    }
}
