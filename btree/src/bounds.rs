//! Ranges of keys.

use core::ops::{Bound, Range, RangeFrom, RangeFull, RangeInclusive, RangeTo, RangeToInclusive};

/// A range of keys: `..`, `"a".."b"`, `key..`, `..=key`, a pair of keys (half open, of any lengths:
/// `(b"a", b"bcd")`) or a pair of [`Bound`]s.
pub trait KeyRange {
    /// Where the range starts.
    fn start(&self) -> Bound<&[u8]>;
    /// Where the range ends.
    fn end(&self) -> Bound<&[u8]>;
}

impl<R: KeyRange + ?Sized> KeyRange for &R {
    fn start(&self) -> Bound<&[u8]> {
        (**self).start()
    }
    fn end(&self) -> Bound<&[u8]> {
        (**self).end()
    }
}

impl KeyRange for RangeFull {
    fn start(&self) -> Bound<&[u8]> {
        Bound::Unbounded
    }
    fn end(&self) -> Bound<&[u8]> {
        Bound::Unbounded
    }
}

impl<K: AsRef<[u8]>> KeyRange for Range<K> {
    fn start(&self) -> Bound<&[u8]> {
        Bound::Included(self.start.as_ref())
    }
    fn end(&self) -> Bound<&[u8]> {
        Bound::Excluded(self.end.as_ref())
    }
}

impl<K: AsRef<[u8]>> KeyRange for RangeInclusive<K> {
    fn start(&self) -> Bound<&[u8]> {
        Bound::Included(RangeInclusive::start(self).as_ref())
    }
    fn end(&self) -> Bound<&[u8]> {
        Bound::Included(RangeInclusive::end(self).as_ref())
    }
}

impl<K: AsRef<[u8]>> KeyRange for RangeFrom<K> {
    fn start(&self) -> Bound<&[u8]> {
        Bound::Included(self.start.as_ref())
    }
    fn end(&self) -> Bound<&[u8]> {
        Bound::Unbounded
    }
}

impl<K: AsRef<[u8]>> KeyRange for RangeTo<K> {
    fn start(&self) -> Bound<&[u8]> {
        Bound::Unbounded
    }
    fn end(&self) -> Bound<&[u8]> {
        Bound::Excluded(self.end.as_ref())
    }
}

impl<K: AsRef<[u8]>> KeyRange for RangeToInclusive<K> {
    fn start(&self) -> Bound<&[u8]> {
        Bound::Unbounded
    }
    fn end(&self) -> Bound<&[u8]> {
        Bound::Included(self.end.as_ref())
    }
}

/// One side of a pair: a key (from it on, or up to but without it) or a [`Bound`].
pub trait KeyBound {
    /// As the start of a range.
    fn as_start(&self) -> Bound<&[u8]>;
    /// As the end of a range.
    fn as_end(&self) -> Bound<&[u8]>;
}

impl<K: AsRef<[u8]>> KeyBound for Bound<K> {
    fn as_start(&self) -> Bound<&[u8]> {
        self.as_ref().map(AsRef::as_ref)
    }
    fn as_end(&self) -> Bound<&[u8]> {
        self.as_ref().map(AsRef::as_ref)
    }
}

macro_rules! key_bound {
    ($([$($generics:tt)*] $key:ty),* $(,)?) => {$(
        impl<$($generics)*> KeyBound for $key {
            fn as_start(&self) -> Bound<&[u8]> {
                Bound::Included(self.as_ref())
            }
            fn as_end(&self) -> Bound<&[u8]> {
                Bound::Excluded(self.as_ref())
            }
        }
    )*};
}
key_bound!([] &[u8], [const N: usize] &[u8; N], [const N: usize] [u8; N], [] &str);

impl<A: KeyBound, B: KeyBound> KeyRange for (A, B) {
    fn start(&self) -> Bound<&[u8]> {
        self.0.as_start()
    }
    fn end(&self) -> Bound<&[u8]> {
        self.1.as_end()
    }
}
