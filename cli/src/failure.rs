//! How a command fails.

use std::io;
use std::path::Path;

/// Why a command failed: decides its exit code and its message.
#[derive(Debug)]
pub(crate) enum Failure {
    /// A key or tree is not there, or the store is damaged. (Where the message is empty, it has been
    /// printed.)
    No(String),
    /// The arguments mean nothing.
    Usage(String),
    /// A salvage or scrub came to nothing.
    Undone(String),
    /// Everything else.
    Other(String),
    /// Whoever read the output has gone.
    ClosedPipe,
}

/// What a command comes to.
pub(crate) type Outcome<T = ()> = Result<T, Failure>;

impl Failure {
    /// The exit code.
    pub(crate) fn code(&self) -> u8 {
        match self {
            Failure::ClosedPipe => 0,
            Failure::No(_) => 1,
            Failure::Usage(_) | Failure::Undone(_) => 2,
            Failure::Other(_) => 3,
        }
    }

    /// What to tell the user, if anything.
    pub(crate) fn message(&self) -> Option<&str> {
        match self {
            Failure::No(message)
            | Failure::Usage(message)
            | Failure::Undone(message)
            | Failure::Other(message) => {
                Some(message.as_str()).filter(|message| !message.is_empty())
            }
            Failure::ClosedPipe => None,
        }
    }

    /// An error of the operating system about a file.
    pub(crate) fn io(path: &Path, error: &io::Error) -> Failure {
        Failure::Other(format!("{}: {error}", path.display()))
    }

    /// An error in writing to the standard output.
    pub(crate) fn output(error: io::Error) -> Failure {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::ClosedPipe,
            _ => Failure::Other(format!("standard output: {error}")),
        }
    }

    /// An error of a tree in the store at `path`.
    pub(crate) fn tree(path: &Path, error: mapleaf::TreeError) -> Failure {
        Failure::Other(format!("{}: {error}", path.display()))
    }
}

impl From<mapleaf::Error> for Failure {
    fn from(error: mapleaf::Error) -> Failure {
        Failure::Other(error.to_string())
    }
}
