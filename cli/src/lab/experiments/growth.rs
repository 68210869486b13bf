//! Address space, and files that grow and shrink under a map.

use crate::lab::bench::Bench;
use crate::lab::child;
use crate::lab::findings::{Findings, Lab, Stop, Table};
use crate::lab::map::Map;
use crate::lab::units::{size, time};
use rustix::mm::Advice;
use rustix::process::{Resource, Rlimit, setrlimit};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Address space that is set aside: far more than the file is long.
const RESERVED: usize = if cfg!(target_pointer_width = "64") { 1 << 40 } else { 1 << 29 };
/// SIGBUS, on the machines that mapleaf's system calls are made for.
const SIGBUS: i32 = 7;

pub(super) fn run(bench: &Bench) -> Lab {
    let page = bench.scratch.page();
    let dir = bench.scratch.dir();
    let file = tempfile::tempfile_in(dir)?;
    file.set_len(page as u64)?;
    let mut table = Table::new("map", "Mapping and growing", "a call");
    let (mut maps, mut grown) = (bench.meter(), bench.meter());
    for _ in 0..bench.times(50, 200) {
        maps.sample(1, || Map::of(&file, RESERVED, false).map(drop).map_err(Stop::from))?;
    }
    let mapped =
        table.add(format!("map {} over a small file, unmap", size(RESERVED as f64)), maps.end());
    let map = Map::of(&file, RESERVED, false)?;
    let mut seen = 0;
    let rounds = bench.times(50, 200);
    for round in 1..=rounds {
        let word = 1000 + round as u64;
        let at = round * page;
        grown.sample(1, || Ok(file.set_len((at + page) as u64)?))?;
        file.write_all_at(&word.to_le_bytes(), at as u64)?;
        seen += usize::from(u64::from_le(map.word(at)) == word);
    }
    table.add("ftruncate to one page more", grown.end());
    let mut findings = Findings::default();
    findings.say(format!(
        "A map may be longer than its file: {} of address space are mapped and unmapped in {}. When the file \
         grows, the map shows the new page at once ({seen} of {rounds} times).",
        size(RESERVED as f64),
        time(mapped),
    ));
    let past = (rounds + 1) * page;
    let populated = map.advise(past..past + page, Advice::LinuxPopulateRead);
    let signal = child::run(&["bus-error".into(), dir.display().to_string()])?.signal();
    findings.say(format!(
        "A load from a page that the file does not have {}. MADV_POPULATE_READ for it is {}: it can be asked \
         beforehand.",
        match signal {
            Some(SIGBUS) => "ends the process with SIGBUS".to_string(),
            signal => format!("ended otherwise here (signal {signal:?})"),
        },
        match populated {
            Err(errno) => format!("an error ({errno})"),
            Ok(()) => "no error here".into(),
        },
    ));
    findings.tables = vec![table];
    Ok(findings)
}

/// The child: cuts a file under its map, and loads what is gone.
pub(super) fn child_part(words: &[&str]) -> Lab<()> {
    let [dir] = words else {
        return Err(Stop::Failed(std::io::Error::other("the words of this part")));
    };
    // Nobody needs a picture of this death.
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    let file: File = tempfile::tempfile_in(Path::new(dir))?;
    let page = mapleaf_sys_linux::host_page();
    file.set_len(2 * page as u64)?;
    let map = Map::of(&file, 2 * page, false)?;
    file.set_len(page as u64)?;
    println!("survived: {}", map.word(page));
    Ok(())
}
