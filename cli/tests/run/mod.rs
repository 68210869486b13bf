//! Running the command.

#![allow(dead_code, unreachable_pub)] // Each test program uses a part of it.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// A directory with a store in it.
pub struct Store {
    dir: TempDir,
}

/// What a run of the command printed, and its exit code.
#[derive(Debug, PartialEq, Eq)]
pub struct Ran {
    pub out: Vec<u8>,
    pub err: String,
    pub code: i32,
}

impl Ran {
    /// The standard output; the command must have succeeded without a word.
    #[track_caller]
    pub fn quiet(self) -> String {
        assert_eq!((self.code, self.err.as_str()), (0, ""), "{self:?}");
        String::from_utf8(self.out).unwrap()
    }

    /// The standard error of a command that must have failed with this code and printed nothing else.
    #[track_caller]
    pub fn failed(self, code: i32) -> String {
        assert_eq!((self.code, &self.out[..]), (code, &b""[..]), "{self:?}");
        self.err
    }

    /// The standard output as JSON.
    #[track_caller]
    pub fn json(self) -> serde_json::Value {
        assert_eq!(self.code, 0, "{self:?}");
        serde_json::from_slice(&self.out).unwrap()
    }
}

impl Store {
    pub fn new() -> Store {
        Store { dir: tempfile::tempdir().unwrap() }
    }

    /// A file beside the store.
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn path(&self) -> PathBuf {
        self.file("s.leaf")
    }

    /// The command on this store, not yet run.
    pub fn command(&self, args: &[&str]) -> Command {
        command(&self.path(), args)
    }

    /// Runs the command on this store.
    pub fn run(&self, args: &[&str]) -> Ran {
        self.run_with(args, b"")
    }

    /// Runs the command with this standard input.
    pub fn run_with(&self, args: &[&str], input: &[u8]) -> Ran {
        feed(&mut self.command(args), input)
    }

    /// Loads TSV.
    #[track_caller]
    pub fn load(&self, tree: &str, tsv: &[u8]) {
        let ran = self.run_with(&["load", "--tree", tree, "--json"], tsv);
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{ran:?}");
    }
}

/// The command on a store.
pub fn command(store: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mapleaf"));
    command.arg(store).args(args);
    command
}

/// Runs a program with this standard input.
pub fn feed(command: &mut Command, input: &[u8]) -> Ran {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || {
        // It may fail before it has read everything.
        let _ = stdin.write_all(&input);
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    Ran {
        out: output.stdout,
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
        code: output.status.code().unwrap_or(-1),
    }
}
