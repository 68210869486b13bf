//! The standard output: buffered, and quiet when nobody reads it any more.

use crate::failure::{Failure, Outcome};
use std::io::{BufWriter, StdoutLock, Write};

/// Bytes gathered before they are written.
const BUFFER_BYTES: usize = 256 << 10;

/// Buffered standard output.
pub(crate) struct Output {
    to: BufWriter<StdoutLock<'static>>,
}

impl Output {
    /// The standard output.
    pub(crate) fn new() -> Output {
        Output { to: BufWriter::with_capacity(BUFFER_BYTES, std::io::stdout().lock()) }
    }

    /// Writes bytes.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Outcome {
        self.to.write_all(bytes).map_err(Failure::output)
    }

    /// Writes a line.
    pub(crate) fn line(&mut self, text: &str) -> Outcome {
        self.write(text.as_bytes())?;
        self.write(b"\n")
    }

    /// Writes what is gathered; a command's last step.
    pub(crate) fn end(mut self) -> Outcome {
        self.to.flush().map_err(Failure::output)
    }
}

/// Says something to the user, on the standard error.
pub(crate) fn say(text: &str) {
    // Nobody may be listening; there is no one else to tell.
    let _ = writeln!(std::io::stderr(), "{text}");
}
