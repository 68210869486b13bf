//! URLs of 40 to 100 bytes: a few thousand hosts, paths that share their beginnings.

use super::mix;

const WORDS: [&str; 32] = [
    "amber", "birch", "cedar", "delta", "ember", "field", "grove", "haven", "inlet", "jasper",
    "kite", "lake", "maple", "north", "ocean", "pine", "quartz", "river", "stone", "tide", "umber",
    "valley", "willow", "xenon", "yarrow", "zephyr", "archive", "blog", "docs", "news", "shop",
    "wiki",
];
const ENDINGS: [&str; 4] = ["com", "org", "net", "io"];
const HOSTS: u64 = 4096;
const BYTES_MIN: usize = 40;
/// The shortest is this much shorter than the longest that is filled up; its last part comes on top.
const BYTES_MORE: u64 = 40;

/// Appends the URL of this number.
pub(crate) fn url(number: u64, out: &mut Vec<u8>) {
    let start = out.len();
    let drawn = mix(number);
    let host = mix(drawn % HOSTS);
    let word = |bits: u64| WORDS[(bits & 31) as usize].as_bytes();
    out.extend_from_slice(b"https://www.");
    out.extend_from_slice(word(host));
    out.push(b'-');
    out.extend_from_slice(word(host >> 5));
    out.push(b'.');
    out.extend_from_slice(ENDINGS[(host >> 10 & 3) as usize].as_bytes());
    let wanted = BYTES_MIN + ((drawn >> 48) % BYTES_MORE) as usize;
    let mut bits = drawn >> 12;
    while out.len() - start + 9 < wanted {
        out.push(b'/');
        out.extend_from_slice(word(bits));
        bits >>= 5;
    }
    // What makes it the only one.
    out.extend_from_slice(b"/p");
    super::hex(number, 8, out);
}

#[cfg(test)]
mod tests {
    #[test]
    fn lengths_are_as_promised() {
        for number in 0..20_000 {
            let mut url = Vec::new();
            super::url(number, &mut url);
            assert!((40..=100).contains(&url.len()), "{}", url.escape_ascii());
        }
    }
}
