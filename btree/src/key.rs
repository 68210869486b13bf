//! A key as it lies in the file: in parts, since a page stores its keys' common prefix once.

use core::cmp::Ordering;
use core::fmt;
use core::hash::{Hash, Hasher};

/// A key borrowed from the mapping: the page's prefix and the entry's suffix.
///
/// Compares, hashes and copies without being assembled. (A spilled tail will be a third part.)
#[derive(Clone, Copy, Default)]
pub struct Key<'a> {
    prefix: &'a [u8],
    suffix: &'a [u8],
}

impl<'a> Key<'a> {
    /// A key of two parts; either may be empty.
    #[must_use]
    pub const fn new(prefix: &'a [u8], suffix: &'a [u8]) -> Key<'a> {
        Key { prefix, suffix }
    }

    /// The parts, in order; their concatenation is the key. Any may be empty.
    #[must_use]
    pub const fn parts(&self) -> [&'a [u8]; 3] {
        [self.prefix, self.suffix, &[]]
    }

    /// Length in bytes.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.prefix.len() + self.suffix.len()
    }

    /// Whether this is the empty key.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The key as one slice where it lies in one piece.
    #[must_use]
    pub const fn as_slice(&self) -> Option<&'a [u8]> {
        if self.prefix.is_empty() {
            Some(self.suffix)
        } else if self.suffix.is_empty() {
            Some(self.prefix)
        } else {
            None
        }
    }

    /// Copies the key to the start of `buffer` and returns what was written; `None` where the
    /// buffer is shorter than the key.
    pub fn copy_to<'b>(&self, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
        let target = buffer.get_mut(..self.len())?;
        let (head, tail) = target.split_at_mut(self.prefix.len());
        head.copy_from_slice(self.prefix);
        tail.copy_from_slice(self.suffix);
        Some(target)
    }

    /// The key as a vector. Allocates.
    #[cfg(feature = "alloc")]
    #[must_use]
    pub fn to_vec(&self) -> alloc::vec::Vec<u8> {
        [self.prefix, self.suffix].concat()
    }

    /// The first `len` bytes of the key (all of it where it is shorter).
    #[must_use]
    pub fn truncated(&self, len: usize) -> Key<'a> {
        match self.prefix.get(..len) {
            Some(prefix) => Key { prefix, suffix: &[] },
            None => {
                let rest = (len - self.prefix.len()).min(self.suffix.len());
                Key { prefix: self.prefix, suffix: &self.suffix[..rest] }
            }
        }
    }

    /// Compares with a byte string, byte by byte.
    #[must_use]
    pub fn cmp_bytes(&self, other: &[u8]) -> Ordering {
        let cut = self.prefix.len().min(other.len());
        let (head, rest) = other.split_at(cut);
        self.prefix.cmp(head).then_with(|| self.suffix.cmp(rest))
    }

    /// Whether the key starts with `prefix`.
    #[must_use]
    pub fn starts_with(&self, prefix: &[u8]) -> bool {
        let cut = self.prefix.len().min(prefix.len());
        let (head, rest) = prefix.split_at(cut);
        self.prefix.starts_with(head) && self.suffix.starts_with(rest)
    }

    /// Length in bytes of what both keys start with.
    #[must_use]
    pub fn common_len(&self, other: &Key<'_>) -> usize {
        let mut mine = self.parts().into_iter().flatten();
        let mut others = other.parts().into_iter().flatten();
        let mut len = 0;
        while let (Some(a), Some(b)) = (mine.next(), others.next()) {
            if a != b {
                break;
            }
            len += 1;
        }
        len
    }
}

impl<'a> From<&'a [u8]> for Key<'a> {
    fn from(bytes: &'a [u8]) -> Key<'a> {
        Key::new(&[], bytes)
    }
}

impl PartialEq for Key<'_> {
    fn eq(&self, other: &Key<'_>) -> bool {
        self.len() == other.len() && self.cmp(other).is_eq()
    }
}

impl Eq for Key<'_> {}

impl Ord for Key<'_> {
    fn cmp(&self, other: &Key<'_>) -> Ordering {
        // The shorter prefix against the same length of the other key, then the rest with the rest.
        if self.prefix.len() <= other.prefix.len() {
            let (head, rest) = other.prefix.split_at(self.prefix.len());
            self.prefix
                .cmp(head)
                .then_with(|| Key::new(rest, other.suffix).cmp_bytes(self.suffix).reverse())
        } else {
            other.cmp(self).reverse()
        }
    }
}

impl PartialOrd for Key<'_> {
    fn partial_cmp(&self, other: &Key<'_>) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq<[u8]> for Key<'_> {
    fn eq(&self, other: &[u8]) -> bool {
        self.len() == other.len() && self.cmp_bytes(other).is_eq()
    }
}

impl PartialEq<&[u8]> for Key<'_> {
    fn eq(&self, other: &&[u8]) -> bool {
        *self == **other
    }
}

impl<const N: usize> PartialEq<[u8; N]> for Key<'_> {
    fn eq(&self, other: &[u8; N]) -> bool {
        *self == other[..]
    }
}

impl<const N: usize> PartialEq<&[u8; N]> for Key<'_> {
    fn eq(&self, other: &&[u8; N]) -> bool {
        *self == other[..]
    }
}

impl PartialEq<str> for Key<'_> {
    fn eq(&self, other: &str) -> bool {
        *self == *other.as_bytes()
    }
}

impl PartialEq<&str> for Key<'_> {
    fn eq(&self, other: &&str) -> bool {
        *self == *other.as_bytes()
    }
}

impl PartialOrd<[u8]> for Key<'_> {
    fn partial_cmp(&self, other: &[u8]) -> Option<Ordering> {
        Some(self.cmp_bytes(other))
    }
}

impl Hash for Key<'_> {
    /// Equal keys hash equally wherever they are cut: byte by byte, then the length.
    fn hash<H: Hasher>(&self, state: &mut H) {
        for byte in self.parts().into_iter().flatten() {
            state.write_u8(*byte);
        }
        state.write_usize(self.len());
    }
}

impl fmt::Debug for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}{}\"", self.prefix.escape_ascii(), self.suffix.escape_ascii())
    }
}
