//! Many real names: the paths of this machine's file tree, and made-up ones where they are few.

use crate::Result;
use crate::data::mix;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

/// How many names were found, and how many were made up.
#[derive(Clone, Copy)]
pub(crate) struct Counts {
    pub(crate) found: u64,
    pub(crate) made_up: u64,
}

/// Writes the paths under `/`, a line each, as `find` prints them, to `to`; makes some up until there
/// are `least`.
pub(crate) fn write_names(least: u64, to: &mut dyn Write) -> Result<Counts> {
    let mut find = Command::new("find");
    // Directories that nobody may read, or that go away meanwhile, are told on stderr.
    find.args(["/", "-xdev"]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut find = find.spawn()?;
    let mut lines = BufReader::new(find.stdout.take().ok_or("find has no output")?);
    let mut counts = Counts { found: 0, made_up: 0 };
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line)? > 0 {
        to.write_all(&line)?;
        line.clear();
        counts.found += 1;
    }
    find.wait()?;
    while counts.found + counts.made_up < least {
        let number = mix(counts.made_up);
        let (project, module) = (number % 97, number / 97 % 1009);
        writeln!(to, "/made-up/project-{project}/src/module_{module}/file-{number:x}.rs")?;
        counts.made_up += 1;
    }
    Ok(counts)
}
