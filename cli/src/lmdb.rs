//! The text format of LMDB's `mdb_dump` and `mdb_load`.
//!
//! ```text
//! VERSION=3
//! format=bytevalue         or print
//! database=users           for a named database
//! type=btree
//! mapsize=1073741824       and other lines that mean nothing here
//! HEADER=END
//!  616461                  key: a space, then hexadecimal digits,
//!  31383135                value; or text with \NN for what is not printable
//! DATA=END                 then perhaps another header
//! ```

use crate::failure::Outcome;
use crate::output::Output;
use crate::text::{hex, unhex};

/// Ends a header.
pub(crate) const HEADER_END: &str = "HEADER=END";
/// Ends a database's entries.
pub(crate) const DATA_END: &str = "DATA=END";
/// The only version there is.
const VERSION: &str = "3";
/// Map size that a dump asks of `mdb_load` beside what the file holds.
const MAP_BYTES_MIN: u64 = 64 << 20;
/// Bytes that are encoded before they are written.
const CHUNK_BYTES: usize = 64 << 10;

/// How bytes are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Notation {
    /// `bytevalue`: hexadecimal digits.
    Hex,
    /// `print`: printable ASCII as it is, `\NN` else.
    Print,
}

/// The header of one database.
pub(crate) fn header(name: &str, notation: Notation, file_bytes: u64) -> String {
    let format = match notation {
        Notation::Hex => "bytevalue",
        Notation::Print => "print",
    };
    // LMDB's pages are less full than ours, and it keeps two of each that a load rewrites.
    let map_bytes = file_bytes.saturating_mul(4).max(MAP_BYTES_MIN).next_multiple_of(1 << 20);
    format!(
        "VERSION={VERSION}\nformat={format}\ndatabase={name}\ntype=btree\nmapsize={map_bytes}\n\
         {HEADER_END}\n"
    )
}

/// Appends bytes in a notation.
pub(crate) fn encode(out: &mut Vec<u8>, bytes: &[u8], notation: Notation) {
    match notation {
        Notation::Hex => hex(out, bytes),
        Notation::Print => {
            for &byte in bytes {
                if (byte.is_ascii_graphic() || byte == b' ') && byte != b'\\' {
                    out.push(byte);
                } else {
                    out.push(b'\\');
                    hex(out, &[byte]);
                }
            }
        }
    }
}

/// Writes a line of data: what `line` has already, then `bytes`. Leaves `line` empty.
pub(crate) fn write_line(
    output: &mut Output,
    line: &mut Vec<u8>,
    bytes: &[u8],
    notation: Notation,
) -> Outcome {
    output.write(b" ")?;
    output.write(line)?;
    for chunk in bytes.chunks(CHUNK_BYTES) {
        line.clear();
        encode(line, chunk, notation);
        output.write(line)?;
    }
    line.clear();
    output.write(b"\n")
}

/// What a header says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Header {
    /// Name of the database; `None` for the one without.
    pub(crate) database: Option<String>,
    /// How the lines of data are written.
    pub(crate) notation: Notation,
}

impl Header {
    /// A header that has said nothing yet.
    pub(crate) fn new() -> Header {
        Header { database: None, notation: Notation::Hex }
    }

    /// Reads one line of a header.
    pub(crate) fn read(&mut self, line: &[u8]) -> Result<(), String> {
        let line = std::str::from_utf8(line).map_err(|_| "the header is no text")?;
        let (name, value) = line.split_once('=').ok_or("the header has a line without \"=\"")?;
        match (name, value) {
            ("VERSION", VERSION) | ("type", "btree") => {}
            ("VERSION", _) => return Err(format!("version {value}, not {VERSION}")),
            ("type", _) => return Err(format!("type {value:?}, not \"btree\"")),
            ("format", "bytevalue") => self.notation = Notation::Hex,
            ("format", "print") => self.notation = Notation::Print,
            ("format", _) => {
                return Err(format!("format {value:?}, neither \"bytevalue\" nor \"print\""));
            }
            ("database", _) => self.database = Some(value.to_owned()),
            // Several values under one key: one would be lost.
            ("duplicates" | "dupsort", "1") => {
                return Err("a database with duplicate keys: each key has one value here".into());
            }
            // Sizes, and flags that order the keys otherwise.
            _ => {}
        }
        Ok(())
    }
}

/// Reads the bytes of one line of data (without its line end) into `out`.
pub(crate) fn decode(out: &mut Vec<u8>, line: &[u8], notation: Notation) -> Result<(), String> {
    out.clear();
    let digits = line.strip_prefix(b" ").ok_or("a line of data starts with a space")?;
    match notation {
        Notation::Hex => {
            let (pairs, rest) = digits.as_chunks::<2>();
            if !rest.is_empty() {
                return Err("an odd number of hexadecimal digits".into());
            }
            for [high, low] in pairs {
                out.push(unhex(*high, *low).ok_or("not a hexadecimal digit")?);
            }
        }
        Notation::Print => {
            const BAD: &str = "\"\\\" without two hexadecimal digits (mdb_dump -p of LMDB 0.9 writes \
                backslashes that nobody can read back: use mdb_dump without -p)";
            let mut rest = digits;
            while let Some((&byte, tail)) = rest.split_first() {
                let (byte, tail) = match (byte, tail) {
                    (b'\\', [b'\\', tail @ ..]) => (b'\\', tail),
                    (b'\\', [high, low, tail @ ..]) => (unhex(*high, *low).ok_or(BAD)?, tail),
                    (b'\\', _) => return Err(BAD.into()),
                    _ => (byte, tail),
                };
                out.push(byte);
                rest = tail;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use quickcheck::quickcheck;

    quickcheck! {
        fn comes_back(bytes: Vec<u8>, print: bool) -> bool {
            let notation = if print { Notation::Print } else { Notation::Hex };
            let mut line = vec![b' '];
            encode(&mut line, &bytes, notation);
            let mut back = vec![1];
            decode(&mut back, &line, notation).unwrap();
            line.is_ascii() && !line.contains(&b'\n') && back == bytes
        }
    }

    #[test]
    fn what_is_no_data_is_refused() {
        for (line, notation) in [
            (&b"61"[..], Notation::Hex),
            (b" 6", Notation::Hex),
            (b" 6g", Notation::Hex),
            (b" \\6", Notation::Print),
            (b" \\zz", Notation::Print),
            (b" a\\", Notation::Print),
            (b"", Notation::Print),
        ] {
            assert!(decode(&mut Vec::new(), line, notation).is_err(), "{}", line.escape_ascii());
        }
        let mut back = Vec::new();
        decode(&mut back, b" a\\\\\\0a b", Notation::Print).unwrap();
        assert_eq!(back, b"a\\\n b");
    }

    #[test]
    fn headers() {
        let mut read = Header::new();
        for line in header("users", Notation::Print, 5000).lines() {
            if line != HEADER_END {
                read.read(line.as_bytes()).unwrap();
            }
        }
        let wanted = Header { database: Some("users".into()), notation: Notation::Print };
        assert_eq!(read, wanted);
        for line in ["VERSION=2", "format=xml", "type=hash", "duplicates=1", "what", "\u{7}"] {
            assert!(Header::new().read(line.as_bytes()).is_err(), "{line}");
        }
        assert!(Header::new().read(b"\xff=1").is_err());
        assert!(Header::new().read(b"maxreaders=126").is_ok());
    }
}
