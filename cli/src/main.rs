//! The `mapleaf` command; see the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    mapleaf_cli::run_command()
}
