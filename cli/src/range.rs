//! Keys and ranges of keys from the command line.

use crate::args;
use crate::failure::{Failure, Outcome};
use crate::text;
use mapleaf::KeyRange;
use std::ffi::OsStr;
use std::ops::Bound;

/// The bytes that an argument stands for; with `raw` its own.
pub(crate) fn bytes(name: &str, argument: &OsStr, raw: bool) -> Outcome<Vec<u8>> {
    let given = argument.as_encoded_bytes();
    if raw {
        return Ok(given.to_vec());
    }
    let parsed = text::unescape(given);
    parsed.map(|bytes| bytes.into_owned()).map_err(|bad| Failure::Usage(format!("{name}: {bad}")))
}

/// A range of keys.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Bounds {
    start: Bound<Vec<u8>>,
    end: Bound<Vec<u8>>,
}

impl Bounds {
    /// Every key.
    pub(crate) fn all() -> Bounds {
        Bounds { start: Bound::Unbounded, end: Bound::Unbounded }
    }

    /// The range that the arguments ask for.
    pub(crate) fn new(range: &args::Range, raw: bool) -> Outcome<Bounds> {
        if let Some(prefix) = &range.prefix {
            return Ok(Bounds::prefix(bytes("--prefix", prefix, raw)?));
        }
        let from = range.from.as_ref().map(|key| bytes("--from", key, raw)).transpose()?;
        let to = range.to.as_ref().map(|key| bytes("--to", key, raw)).transpose()?;
        Ok(Bounds {
            start: from.map_or(Bound::Unbounded, Bound::Included),
            end: to.map_or(Bound::Unbounded, Bound::Excluded),
        })
    }

    /// The keys that start with `prefix`: up to the next larger string that does not.
    fn prefix(prefix: Vec<u8>) -> Bounds {
        let mut end = prefix.clone();
        while end.last() == Some(&u8::MAX) {
            end.pop();
        }
        let end = match end.last_mut() {
            Some(last) => {
                *last += 1;
                Bound::Excluded(end)
            }
            None => Bound::Unbounded,
        };
        Bounds { start: Bound::Included(prefix), end }
    }

    /// Whether the range leaves no key out.
    pub(crate) fn is_all(&self) -> bool {
        self.end == Bound::Unbounded
            && match &self.start {
                Bound::Unbounded => true,
                Bound::Included(key) => key.is_empty(),
                Bound::Excluded(_) => false,
            }
    }
}

impl KeyRange for Bounds {
    fn start(&self) -> Bound<&[u8]> {
        self.start.as_ref().map(Vec::as_slice)
    }
    fn end(&self) -> Bound<&[u8]> {
        self.end.as_ref().map(Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_before_the_next_larger_string() {
        let end = |prefix: &[u8]| Bounds::prefix(prefix.to_vec()).end;
        assert_eq!(end(b"ab"), Bound::Excluded(b"ac".to_vec()));
        assert_eq!(end(b"a\xff\xff"), Bound::Excluded(b"b".to_vec()));
        assert_eq!(end(b"\xff"), Bound::Unbounded);
        assert_eq!(end(b""), Bound::Unbounded);
        assert!(Bounds::prefix(Vec::new()).is_all() && !Bounds::prefix(vec![255]).is_all());
    }
}
