//! The fuzzer's bytes as numbers, keys and values.

/// What is left of the bytes; every reading is `None` where they are used up.
pub struct Source<'a>(pub &'a [u8]);

impl Source<'_> {
    /// A number below 256.
    pub fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// A number below 65,536.
    pub fn word(&mut self) -> Option<u16> {
        Some(u16::from_le_bytes([self.byte()?, self.byte()?]))
    }

    /// A key of at most 90 bytes.
    pub fn key(&mut self) -> Option<Vec<u8>> {
        let (kind, seed) = (self.byte()?, self.byte()?);
        let len = usize::from(kind % 16) * if kind > 200 { 6 } else { 1 };
        // Long common prefixes, and heads that tie.
        let mut key = vec![kind / 64; len];
        if let Some(last) = key.last_mut() {
            *last = seed;
        }
        Some(key)
    }

    /// A value; a few are long enough for a run of pages.
    pub fn value(&mut self) -> Option<Vec<u8>> {
        let (len, fill) = (usize::from(self.byte()?), self.byte()?);
        Some(vec![fill; if fill > 240 { len * 9 } else { len % 90 }])
    }
}
