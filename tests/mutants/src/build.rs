//! A copy of the tree with all mutants in it, and its tests.

use crate::Result;
use crate::plant::{Source, blamed};
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Rounds of asking the compiler which mutants are none.
const ROUNDS_MAX: usize = 40;

/// Copies what git knows of the tree.
pub(crate) fn copy(root: &Path, target: &Path) -> Result<PathBuf> {
    let tree = target.join("tree");
    let files = Command::new("git").arg("-C").arg(root).args(["ls-files", "-z"]).output()?;
    for name in String::from_utf8(files.stdout)?.split_terminator('\0') {
        let (from, to) = (root.join(name), tree.join(name));
        // What has not changed keeps its time, so that it is not built again.
        if let Ok(bytes) = std::fs::read(from)
            && std::fs::read(&to).ok().as_ref() != Some(&bytes)
            && !name.starts_with("pager/src/")
        {
            std::fs::create_dir_all(to.parent().unwrap_or(&tree))?;
            std::fs::write(to, bytes)?;
        } else if name.starts_with("pager/src/") {
            std::fs::create_dir_all(to.parent().unwrap_or(&tree))?;
            write(&to, &std::fs::read_to_string(root.join(name))?, false)?;
        }
    }
    let lib = std::fs::read_to_string(root.join("pager/src/lib.rs"))?;
    let lib = lib.replacen("mod checkpoint;", "mod mutant;\nmod checkpoint;", 1);
    write(&tree.join("pager/src/lib.rs"), &lib, true)?;
    write(&tree.join("pager/src/mutant.rs"), include_str!("mutant.rs.txt"), true)?;
    Ok(tree)
}

/// Writes a file where that changes it; `planted` ones, or else those that nothing is planted in.
fn write(path: &Path, text: &str, planted: bool) -> Result<()> {
    let there = std::fs::read_to_string(path).unwrap_or_default();
    let name = path.file_name().unwrap_or_default();
    let keeps =
        !planted && (there.contains("crate::mutant") || name == "lib.rs" && !there.is_empty());
    if there != text && !keeps {
        std::fs::write(path, text)?;
    }
    Ok(())
}

fn cargo(tree: &Path, target: &Path) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(tree).env("CARGO_TARGET_DIR", target).env("RUSTFLAGS", "--cap-lints=allow");
    cargo.env("CARGO_PROFILE_DEV_DEBUG", "0").stdin(Stdio::null());
    cargo
}

/// Tells sources apart.
fn stamp(sources: &[Source]) -> u64 {
    let mut hasher = std::hash::DefaultHasher::new();
    for source in sources {
        source.planted(&BTreeSet::new()).hash(&mut hasher);
    }
    hasher.finish()
}

/// Plants all mutants, but those that do not compile: their numbers.
pub(crate) fn plant(tree: &Path, target: &Path, sources: &[Source]) -> Result<BTreeSet<usize>> {
    // Kept for the same sources: asking again would build everything again.
    let kept = target.join("unviable");
    let stamp = stamp(sources).to_string();
    let known = std::fs::read_to_string(&kept).unwrap_or_default();
    let known = known.split_once('\n').filter(|(of, _)| *of == stamp).map_or("", |(_, ids)| ids);
    let mut unviable: BTreeSet<usize> = known.lines().filter_map(|id| id.parse().ok()).collect();
    for round in 0..ROUNDS_MAX {
        let mut planted = BTreeMap::new();
        for source in sources {
            let text = source.planted(&unviable);
            write(&tree.join("pager/src").join(&source.path), &text, true)?;
            planted.insert(format!("pager/src/{}", source.path), (source, text));
        }
        if !known.is_empty() {
            return Ok(unviable);
        }
        let mut check = cargo(tree, target);
        check.args(["check", "-j1", "--locked", "-p", "mapleaf-pager", "--message-format=json"]);
        let output = check.output()?;
        if output.status.success() {
            let ids: String = unviable.iter().map(|id| format!("{id}\n")).collect();
            std::fs::write(&kept, format!("{stamp}\n{ids}"))?;
            return Ok(unviable);
        }
        let before = unviable.len();
        let mut lost = String::new();
        for line in String::from_utf8(output.stdout)?.lines() {
            let message: serde_json::Value = serde_json::from_str(line)?;
            let message = &message["message"];
            if message["level"] != "error" {
                continue;
            }
            let mut found = Vec::new();
            for span in message["spans"].as_array().into_iter().flatten() {
                let number = |name: &str| span[name].as_u64().unwrap_or(0) as usize;
                let place = number("byte_start")..number("byte_end");
                if let Some((source, text)) = planted.get(span["file_name"].as_str().unwrap_or(""))
                {
                    let found_here = blamed(text, place, source);
                    if span["is_primary"] == true || found.is_empty() {
                        found.extend(found_here);
                    }
                }
            }
            if found.is_empty() {
                lost = message["rendered"].to_string();
            }
            unviable.extend(found);
        }
        eprintln!("round {round}: {} do not compile", unviable.len());
        if unviable.len() == before {
            return Err(format!("an error that no mutant is to blame for: {lost}").into());
        }
    }
    Err("mutants that do not compile keep turning up".into())
}

/// Tests to run, the fast and telling ones first: name, program, arguments.
pub(crate) struct Test {
    pub(crate) name: &'static str,
    pub(crate) program: PathBuf,
    pub(crate) arguments: &'static [&'static str],
    pub(crate) folder: &'static str,
    /// Programs of the model campaign, three quarters as many of crashes; as many as by themselves, if none.
    pub(crate) programs: Option<u32>,
}

/// Slow tests of the space by itself.
pub(crate) const SPACE_TESTS: &str = "lib, space";

const SLOW: [&str; 6] = [
    "space::tests::churn::an_old_reader",
    "space::tests::churn::what_is_packed",
    "space::tests::churn::large",
    "space::tests::hostile",
    "space::tests::churn::readers",
    "space::tests::model",
];
const FAST: &[&str] = &[
    "--skip", SLOW[0], "--skip", SLOW[1], "--skip", SLOW[2], "--skip", SLOW[3], "--skip", SLOW[4],
    "--skip", SLOW[5],
];

/// Of each test program the arguments of its runs; names as cargo has them.
const RUNS: [(&str, &str, &[&str]); 23] = [
    ("memory", "memory", &[]),
    ("held", "held", &[]),
    ("beside", "beside", &[]),
    ("closing", "closing", &[]),
    ("durable", "durable", &[]),
    ("refusals", "refusals", &[]),
    ("making", "making", &[]),
    ("promises", "promises", &[]),
    ("checkpoints", "checkpoints", &[]),
    ("savepoints", "savepoints", &[]),
    ("repairing", "repairing", &[]),
    ("misuse", "misuse", &[]),
    ("later", "later", &[]),
    ("forged", "forged", &[]),
    ("verify", "verify", &[]),
    ("lent", "lent", &[]),
    ("review", "review", &[]),
    ("damaged_metas", "damaged_metas", &[]),
    ("lib", "mapleaf_pager", FAST),
    ("model", "model", &[]),
    ("crash", "crash", &[]),
    (SPACE_TESTS, "mapleaf_pager", &SLOW),
    ("concurrent", "concurrent", &[]),
];
const HEAVY: [(&str, &str, &[&str]); 7] = [
    ("db closing", "db closing", &[]),
    ("db damaged", "db damaged", &[]),
    ("tests crash", "tests crash", &[]),
    ("crash, long", "crash", &[]),
    ("model, long", "model", &[]),
    ("btree model", "btree suite", &["model::"]),
    ("btree repair", "btree suite", &["repair::"]),
];

/// Builds the tests; campaigns of `programs`, but the heavy ones.
pub(crate) fn tests(tree: &Path, target: &Path, heavy: bool, programs: u32) -> Result<Vec<Test>> {
    let mut found = BTreeMap::new();
    let mut build = |package: &str, prefix: &str, more: &[&str]| -> Result<()> {
        let mut build = cargo(tree, target);
        build
            .args(["test", "--no-run", "-j1", "--locked", "--message-format=json", "-p", package])
            .args(more);
        let output = build.stderr(Stdio::inherit()).output()?;
        for line in String::from_utf8(output.stdout)?.lines() {
            let message: serde_json::Value = serde_json::from_str(line)?;
            if let (Some(program), Some(name)) =
                (message["executable"].as_str(), message["target"]["name"].as_str())
            {
                found.insert(format!("{prefix}{name}"), PathBuf::from(program));
            }
        }
        if output.status.success() {
            Ok(())
        } else {
            Err(format!("{package} does not build").into())
        }
    };
    build("mapleaf-pager", "", &["--tests"])?;
    if heavy {
        build("mapleaf-btree", "btree ", &["--test", "suite"])?;
        build("mapleaf-tests", "tests ", &["--test", "crash"])?;
        build("mapleaf", "db ", &["--test", "closing", "--test", "damaged"])?;
    }
    let runs = if heavy { &HEAVY[..] } else { &RUNS[..] };
    let test = |&(name, binary, arguments): &(&'static str, &str, &'static [&'static str])| {
        let program = found.get(binary).ok_or_else(|| format!("no test {binary}"))?.clone();
        let folder = match binary.split_once(' ') {
            Some(("tests", _)) => "tests",
            Some(("db", _)) => "db",
            Some(_) => "btree",
            None => "pager",
        };
        Ok(Test { name, program, arguments, folder, programs: (!heavy).then_some(programs) })
    };
    runs.iter().map(test).collect()
}
