//! `cargo xtask coverage`: which lines of the core its tests run.
//!
//! Built with LLVM's counters in a target directory of its own, the tests of the core, of `mapleaf` and of
//! `mapleaf-tests` are run, with the processes that they start. Code for tests only does not count, nor do
//! examples in documentation. A missing tool is named, not installed.

mod counts;
mod tested;

use crate::Result;
use crate::process::{cargo, output, root};
use counts::{File, Shares, add, print_row};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tested::TestOnly;

/// What is measured.
const CRATES: [&str; 2] = ["pager", "btree"];
/// Whose tests are run for it.
const PACKAGES: [&str; 4] = ["mapleaf-pager", "mapleaf-btree", "mapleaf", "mapleaf-tests"];
/// Lines of a crate that its tests must run, in percent.
const LINES_MIN: f64 = 95.0;

const USAGE: &str = "\
usage: cargo xtask coverage [--missed] [--branches] [--again]
  --missed     list the lines that no test runs
  --branches   count branches too, by a flag of the compiler that is not stable
  --again      report what the last run counted";

pub(crate) fn run(words: &[String]) -> Result<bool> {
    let (mut missed, mut branches, mut again) = (false, false, false);
    for word in words {
        match word.as_str() {
            "--missed" => missed = true,
            "--branches" => branches = true,
            "--again" => again = true,
            _ => return Err(USAGE.into()),
        }
    }
    let tools = Tools::find(branches)?;
    if !again && !tools.measure()? {
        return Ok(false);
    }
    let files = tools.counted()?;
    println!("{:<32} {:>20} {:>20} {:>20}", "", "lines", "regions", "branches");
    let mut enough = true;
    for name in CRATES {
        let mut total = Shares::default();
        for (path, file) in files.iter().filter(|(path, _)| path.starts_with(name)) {
            let shares = file.shares();
            add(&mut total, &shares);
            print_row(&path.display().to_string(), &shares);
            if missed && shares[0].hit < shares[0].all {
                println!("    {}", file.missed());
            }
        }
        print_row(name, &total);
        if total[0].all == 0 {
            return Err(format!("nothing was counted in {name}").into());
        }
        if total[0].percent() < LINES_MIN {
            println!("{name}: tests run fewer than {LINES_MIN} % of the lines");
            enough = false;
        }
    }
    Ok(enough)
}

/// cargo-llvm-cov, and the LLVM tools it is to use where rustup has none.
struct Tools {
    llvm: Option<[PathBuf; 2]>,
    branches: bool,
}

impl Tools {
    /// # Errors
    /// What is missing, and how to get it.
    fn find(branches: bool) -> Result<Tools> {
        let mut version = cargo();
        version.args(["llvm-cov", "--version"]).stdout(Stdio::null()).stderr(Stdio::null());
        if !version.status()?.success() {
            return Err("cargo-llvm-cov is missing: cargo install --locked cargo-llvm-cov".into());
        }
        if std::env::var_os("LLVM_COV").is_some() {
            return Ok(Tools { llvm: None, branches });
        }
        let rustc = String::from_utf8(output(Command::new("rustc").arg("-vV"))?)?;
        let field = |name: &str| rustc.lines().find_map(|line| line.strip_prefix(name));
        let host = field("host: ").ok_or("rustc -vV names no host")?;
        let llvm = field("LLVM version: ").and_then(|version| version.split('.').next());
        let llvm = llvm.ok_or("rustc -vV names no LLVM")?;
        let sysroot = output(Command::new("rustc").args(["--print", "sysroot"]))?;
        let sysroot = PathBuf::from(String::from_utf8(sysroot)?.trim());
        if sysroot.join("lib/rustlib").join(host).join("bin/llvm-cov").exists() {
            return Ok(Tools { llvm: None, branches });
        }
        let debian = ["cov", "profdata"];
        let debian = debian.map(|tool| PathBuf::from(format!("/usr/bin/llvm-{tool}-{llvm}")));
        if !debian.iter().all(|tool| tool.exists()) {
            let how = format!("rustup component add llvm-tools, or apt-get install llvm-{llvm}");
            return Err(format!("llvm-cov of LLVM {llvm} is missing: {how}").into());
        }
        Ok(Tools { llvm: Some(debian), branches })
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = cargo();
        command.arg("llvm-cov").args(words).current_dir(root());
        if let Some([cov, profdata]) = &self.llvm {
            command.env("LLVM_COV", cov).env("LLVM_PROFDATA", profdata);
        }
        if self.branches {
            command.env("RUSTC_BOOTSTRAP", "1");
        }
        command
    }

    /// Runs the tests; whether all passed.
    fn measure(&self) -> Result<bool> {
        // Else earlier runs would count too.
        output(&mut self.command(&["clean", "--profraw-only"]))?;
        let mut tests = self.command(&["--locked", "--no-report", "--no-fail-fast"]);
        tests.args(PACKAGES.iter().flat_map(|package| ["--package", package]));
        if self.branches {
            tests.arg("--branch");
        }
        Ok(tests.status()?.success())
    }

    /// A process that was killed may leave half of what it counted: that is left out.
    fn report(&self, form: &str) -> Command {
        self.command(&["report", "--failure-mode", "all", form])
    }

    /// What was counted, by path from the repository's root, without code for tests. Of all instances of a
    /// generic function, and all builds of a crate, the sum.
    fn counted(&self) -> Result<BTreeMap<PathBuf, File>> {
        let mut files: BTreeMap<PathBuf, File> = BTreeMap::new();
        let mut sources = TestOnly::default();
        let lcov = String::from_utf8(output(&mut self.report("--lcov"))?)?;
        let mut current = None;
        for line in lcov.lines() {
            if let Some(path) = line.strip_prefix("SF:") {
                current = measured(path);
            } else if let (Some(path), Some(counts)) = (&current, line.strip_prefix("DA:")) {
                let mut counts = counts.split(',').map(str::parse::<u64>);
                let (number, times) =
                    counts.next().zip(counts.next()).ok_or("DA without counts")?;
                let number = u32::try_from(number?)?;
                if !sources.is_test(path, number)? {
                    let file = files.entry(path.clone()).or_default();
                    *file.lines.entry(number).or_default() += times?;
                }
            }
        }
        let json = output(&mut self.report("--json"))?;
        count_regions(&serde_json::from_slice(&json)?, &mut files, &mut sources)?;
        Ok(files)
    }
}

/// Regions and branches, of llvm-cov's export: `place, times..., file, file it is expanded in, kind`.
fn count_regions(
    json: &serde_json::Value,
    files: &mut BTreeMap<PathBuf, File>,
    sources: &mut TestOnly,
) -> Result<()> {
    let array = |value: &serde_json::Value| value.as_array().cloned().unwrap_or_default();
    for function in array(&json["data"][0]["functions"]) {
        let Some(path) = function["filenames"][0].as_str().and_then(measured) else { continue };
        let Some(file) = files.get_mut(&path) else { continue };
        for (name, counts) in [("regions", 1), ("branches", 2)] {
            for found in array(&function[name]) {
                let at = |index: usize| found[index].as_u64().unwrap_or(0);
                // Code of the function's own file; for regions kind 0 is code, others are gaps and skips.
                let foreign = at(4 + counts) != 0 || (counts == 1 && at(7) != 0);
                if foreign || sources.is_test(&path, u32::try_from(at(0))?)? {
                    continue;
                }
                let place = [at(0), at(1), at(2), at(3)];
                if counts == 1 {
                    *file.regions.entry(place).or_default() += at(4);
                } else {
                    let ways = file.branches.entry(place).or_default();
                    *ways = [ways[0] + at(4), ways[1] + at(5)];
                }
            }
        }
    }
    Ok(())
}

/// A source file of a measured crate, from the repository's root.
fn measured(path: &str) -> Option<PathBuf> {
    let path = Path::new(path).strip_prefix(root()).ok()?;
    let mut own = CRATES.iter().map(|name| Path::new(name).join("src"));
    own.any(|sources| path.starts_with(sources)).then(|| path.to_owned())
}
