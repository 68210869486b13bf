//! Bytes as text: what is printable UTF-8 stands for itself, the rest is escaped.
//!
//! | bytes | print as |
//! |---|---|
//! | backslash | `\\` |
//! | tab, line feed | `\t`, `\n` |
//! | control characters, bytes that are not UTF-8 | `\xNN` each |

use std::borrow::Cow;
use std::fmt;

/// Appends `bytes` to `out`, escaped.
pub(crate) fn escape(out: &mut Vec<u8>, bytes: &[u8]) {
    for chunk in bytes.utf8_chunks() {
        let mut rest = chunk.valid();
        while let Some(at) = rest.find(|c: char| c.is_control() || c == '\\') {
            let (plain, tail) = rest.split_at(at);
            out.extend_from_slice(plain.as_bytes());
            let mut chars = tail.chars();
            match chars.next() {
                Some('\\') => out.extend_from_slice(b"\\\\"),
                Some('\t') => out.extend_from_slice(b"\\t"),
                Some('\n') => out.extend_from_slice(b"\\n"),
                Some(control) => {
                    let mut buffer = [0; 4];
                    hex_escape(out, control.encode_utf8(&mut buffer).as_bytes());
                }
                None => {}
            }
            rest = chars.as_str();
        }
        out.extend_from_slice(rest.as_bytes());
        hex_escape(out, chunk.invalid());
    }
}

fn hex_escape(out: &mut Vec<u8>, bytes: &[u8]) {
    for byte in bytes {
        out.extend_from_slice(b"\\x");
        hex(out, &[*byte]);
    }
}

/// Appends `bytes` as lower-case hexadecimal digits.
pub(crate) fn hex(out: &mut Vec<u8>, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        out.push(DIGITS[usize::from(byte >> 4)]);
        out.push(DIGITS[usize::from(byte & 15)]);
    }
}

/// The value of two hexadecimal digits.
pub(crate) fn unhex(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(high)? << 4 | digit(low)?).ok()
}

/// Whether `bytes` are text that takes one line: it prints byte for byte.
pub(crate) fn is_line(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok_and(|text| !text.chars().any(|c| c.is_control() && c != '\t'))
}

/// `bytes`, escaped, for a message.
pub(crate) fn shown(bytes: &[u8]) -> String {
    let mut out = Vec::new();
    escape(&mut out, bytes);
    // What is not UTF-8 was escaped.
    String::from_utf8_lossy(&out).into_owned()
}

/// An escape that means nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct BadEscape {
    /// Where its backslash is, in bytes from the start.
    pub(crate) at: usize,
}

impl fmt::Display for BadEscape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no escape at byte {} (they are \\\\, \\t, \\n and \\xNN)", self.at + 1)
    }
}

/// The bytes that escaped text stands for.
pub(crate) fn unescape(text: &[u8]) -> Result<Cow<'_, [u8]>, BadEscape> {
    let Some(first) = text.iter().position(|byte| *byte == b'\\') else {
        return Ok(Cow::Borrowed(text));
    };
    let mut out = Vec::with_capacity(text.len());
    let (plain, mut rest) = text.split_at(first);
    out.extend_from_slice(plain);
    while let Some((&byte, tail)) = rest.split_first() {
        let (byte, tail) = if byte == b'\\' {
            escaped_byte(tail).ok_or(BadEscape { at: text.len() - rest.len() })?
        } else {
            (byte, tail)
        };
        out.push(byte);
        rest = tail;
    }
    Ok(Cow::Owned(out))
}

/// The byte that an escape stands for, and what follows it; `text` starts behind the backslash.
fn escaped_byte(text: &[u8]) -> Option<(u8, &[u8])> {
    match text {
        [b'\\', tail @ ..] => Some((b'\\', tail)),
        [b't', tail @ ..] => Some((b'\t', tail)),
        [b'n', tail @ ..] => Some((b'\n', tail)),
        [b'x', high, low, tail @ ..] => Some((unhex(*high, *low)?, tail)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quickcheck::quickcheck;

    fn escaped(bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        escape(&mut out, bytes);
        out
    }

    #[test]
    fn escapes() {
        let cases: [(&[u8], &[u8]); 8] = [
            (b"plain", b"plain"),
            ("Főtanúsítvány".as_bytes(), "Főtanúsítvány".as_bytes()),
            (b"a\\x2d", b"a\\\\x2d"),
            (b"\t\n\r\0\x7f", b"\\t\\n\\x0d\\x00\\x7f"),
            (b"\xff\xc3", b"\\xff\\xc3"),
            (b"a\xf0\x9f\x8d", b"a\\xf0\\x9f\\x8d"),
            ("\u{85}".as_bytes(), b"\\xc2\\x85"),
            (b"", b""),
        ];
        for (bytes, text) in cases {
            assert_eq!(escaped(bytes), text);
            assert_eq!(unescape(text).unwrap(), bytes);
        }
    }

    #[test]
    fn what_means_nothing_is_refused_where_it_stands() {
        for (text, at) in [("a\\", 1), ("\\q", 0), ("ab\\x4", 2), ("\\x4g", 0), ("\\\\\\", 2)] {
            assert_eq!(unescape(text.as_bytes()), Err(BadEscape { at }), "{text}");
        }
        assert_eq!(unescape(b"\\xFf").unwrap(), &b"\xff"[..]);
    }

    quickcheck! {
        fn comes_back(bytes: Vec<u8>) -> bool {
            let text = escaped(&bytes);
            let one_line = !text.iter().any(|byte| byte.is_ascii_control());
            one_line && std::str::from_utf8(&text).is_ok() && unescape(&text).unwrap() == bytes
        }
    }
}
