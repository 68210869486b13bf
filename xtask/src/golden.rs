//! Writes the golden files that are not there yet.

use crate::Result;
use mapleaf_tests::golden::{CASES, path, write};

/// A file that is there is left alone: it stands for what earlier builds wrote.
pub(crate) fn run() -> Result<bool> {
    for case in &CASES {
        let path = path(case);
        if path.exists() {
            println!("{}: there, left alone", path.display());
            continue;
        }
        let bytes = write(case)?;
        std::fs::create_dir_all(path.parent().ok_or("path")?)?;
        std::fs::write(&path, &bytes)?;
        println!("{}: written, {} bytes", path.display(), bytes.len());
    }
    Ok(true)
}
