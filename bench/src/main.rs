//! mapleaf and its peers side by side, in one run, on one disk.
//!
//! Every workload is done in chunks, and the stores take turns chunk by chunk, so that what the machine
//! does meanwhile meets all of them. A figure is the median of its chunks. What the stores answer is
//! compared with what was stored. `docs/bench/README.md` says what each workload is.
//!
//! ```sh
//! cargo run --release -p mapleaf-bench -- [--quick] [--json FILE] [--plots DIR] [--stores a,b] ...
//! ```

mod child;
mod data;
mod floors;
mod growth;
mod machine;
mod measure;
mod model;
mod peer;
mod peers;
mod report;
mod sizes;
mod stage;
mod team;
mod workloads;
mod write_modes;

use clap::Parser as _;
use data::DataSet;
use peer::{Result, Store};
use sizes::Sizes;
use stage::{Row, Stage};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;
use workloads::Workload;

/// mapleaf and its peers side by side, in one run, on one disk.
#[derive(clap::Parser)]
#[command(after_help = "The default build has LMDB and redb beside mapleaf; \
    --features all (or one of them) adds others. --list says what a build has.")]
struct Args {
    /// Small sizes: to see that it works.
    #[arg(long)]
    quick: bool,
    /// Where the figures go, as JSON lines.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Where a table (results.md) and plots (SVG) go.
    #[arg(long, value_name = "DIR")]
    plots: Option<PathBuf>,
    /// Only these stores.
    #[arg(long, value_delimiter = ',', value_name = "NAME,...")]
    stores: Vec<String>,
    /// Only these workloads.
    #[arg(long, value_delimiter = ',', value_name = "NAME,...")]
    workloads: Vec<String>,
    /// Only these data sets.
    #[arg(long, value_delimiter = ',', value_enum, value_name = "NAME,...")]
    datasets: Vec<DataSet>,
    /// Entries of the data sets of small entries.
    #[arg(long, value_name = "N")]
    entries: Option<u64>,
    /// Where the files are made: on the disk to measure.
    #[arg(long, default_value = ".", value_name = "DIR")]
    dir: PathBuf,
    /// Says which stores and workloads there are.
    #[arg(long)]
    list: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(clap::Subcommand)]
enum Command {
    /// A job of the bench in a process of its own.
    #[command(hide = true)]
    Child(child::Task),
    /// What nothing can be faster than here: memory, and a bare durable write.
    Floors(floors::Floors),
    /// What it costs as data grows: depth, bytes and time from 10,000 entries on.
    Growth(growth::Growth),
    /// WriteMode::Shadow and InPlace on each file system, for each durability and size of folios. As root.
    WriteModes(write_modes::WriteModes),
    /// Table and plots from the JSON lines of a run that was made in parts.
    Report {
        /// The lines of each part.
        #[arg(required = true)]
        parts: Vec<PathBuf>,
    },
}

/// Fewest entries that every workload can work with.
const ENTRIES_MIN: u64 = 10_000;

impl Args {
    fn sizes(&self) -> Sizes {
        let mut sizes = if self.quick { Sizes::QUICK } else { Sizes::FULL };
        if let Some(entries) = self.entries {
            sizes.entries = entries.max(ENTRIES_MIN);
            sizes.entries_u64 = sizes.entries;
        }
        sizes
    }

    fn stores(&self) -> Result<Vec<Store>> {
        let all = peers::all();
        known(&self.stores, "store", &all.iter().map(|store| store.name).collect::<Vec<_>>())?;
        let wanted = |store: &Store| {
            self.stores.is_empty() || self.stores.iter().any(|name| name == store.name)
        };
        Ok(all.into_iter().filter(wanted).collect())
    }

    fn workloads(&self) -> Result<Vec<&'static Workload>> {
        let names: Vec<&str> = workloads::ALL.iter().map(|workload| workload.name).collect();
        known(&self.workloads, "workload", &names)?;
        let wanted = |workload: &&Workload| {
            self.workloads.is_empty() || self.workloads.iter().any(|name| name == workload.name)
        };
        Ok(workloads::ALL.iter().filter(wanted).collect())
    }
}

fn known(wanted: &[String], what: &str, names: &[&str]) -> Result<()> {
    match wanted.iter().find(|name| !names.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => Err(format!("no such {what}: {name}; there are {}", names.join(", ")).into()),
    }
}

fn list() {
    println!("stores of this build:");
    peers::all().iter().for_each(|store| println!("  {:<16} {}", store.name, store.settings));
    println!("workloads:");
    for workload in workloads::ALL {
        let sets: Vec<&str> = workload.sets.iter().map(|set| set.name()).collect();
        println!("  {:<22} {} [{}]", workload.name, workload.about, sets.join(", "));
    }
}

fn measure(args: &Args) -> Result<Vec<Row>> {
    let (stores, workloads, sizes) = (args.stores()?, args.workloads()?, args.sizes());
    let sets = if args.datasets.is_empty() { &DataSet::ALL[..] } else { &args.datasets };
    let mut rows = Vec::new();
    for set in sets {
        let wanted: Vec<&&Workload> = workloads.iter().filter(|w| w.sets.contains(set)).collect();
        if wanted.is_empty() {
            continue;
        }
        let mut stage = Stage::new(&stores, sizes, *set, &args.dir)?;
        for workload in wanted {
            let start = Instant::now();
            (workload.run)(&mut stage)
                .map_err(|error| format!("{} {}: {error}", set.name(), workload.name))?;
            let seconds = start.elapsed().as_secs_f64();
            eprintln!("{:<5} {:<22} {seconds:6.1} s", set.name(), workload.name);
            if let Some(path) = &args.json {
                // A long run that ends early has not been for nothing.
                std::fs::write(path, report::lines(&rows) + &report::lines(&stage.rows))?;
            }
        }
        rows.append(&mut stage.rows);
    }
    Ok(rows)
}

fn describe(set: &str, sizes: &Sizes) -> String {
    let entries = DataSet::named(set).map_or(0, |set| sizes.entries(set));
    let what = match set {
        "small" => "keys of 24 B, values of 150 B",
        "u64" => "keys and values of 8 B",
        "urls" => "URLs of 40 to 100 B, values of 32 B",
        "4k" => "keys of 16 B, values of 4 KiB",
        _ => "keys of 16 B, values of 100 KiB",
    };
    format!("`{set}`: {entries} entries, {what}")
}

fn run(args: &Args) -> Result<()> {
    match &args.command {
        Some(Command::Child(task)) => return task.run(&peers::all()),
        Some(Command::Floors(floors)) => return floors.run(),
        Some(Command::Growth(growth)) => return growth.run(&peers::all()),
        Some(Command::WriteModes(modes)) => return modes.run(),
        Some(Command::Report { parts }) => return report(args, &read(parts)?),
        None => {}
    }
    if args.list {
        list();
        return Ok(());
    }
    report(args, &measure(args)?)
}

fn read(parts: &[PathBuf]) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for part in parts {
        rows.extend(report::rows(&std::fs::read_to_string(part)?)?);
    }
    // Each set's in the order in which workloads run, whatever part they were in.
    let place = |row: &Row| {
        let set = DataSet::ALL.iter().position(|set| set.name() == row.dataset);
        // The threads' rows of other names follow the workload that they are of.
        let begins = |workload: &Workload| row.workload.starts_with(workload.name);
        (set, workloads::ALL.iter().rposition(begins))
    };
    rows.sort_by_key(place);
    // A store that was in several parts is there once, with the figures of the first.
    let mut once: Vec<Row> = Vec::new();
    for row in rows {
        let same = |other: &Row| {
            (&other.workload, other.dataset, other.store, other.threads)
                == (&row.workload, row.dataset, row.store, row.threads)
        };
        if !once.iter().any(same) {
            once.push(row);
        }
    }
    Ok(once)
}

fn report(args: &Args, rows: &[Row]) -> Result<()> {
    let sizes = args.sizes();
    let table = report::table(rows, &|set| describe(set, &sizes));
    print!("{table}");
    std::io::stdout().flush()?;
    if let Some(directory) = &args.plots {
        std::fs::create_dir_all(directory)?;
        std::fs::write(directory.join("results.md"), table)?;
        report::plots(rows, directory)?;
    }
    Ok(())
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("mapleaf-bench: {error}");
            ExitCode::FAILURE
        }
    }
}
