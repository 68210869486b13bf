//! Bits of one bitmap page: a set bit is a reusable page. Bit `i` is bit `i % 8` of byte `i / 8`.
//!
//! All functions take the bytes that hold bits, a multiple of 8 of them, and read them as
//! little-endian words of 64 bits.

use crate::Damage;

fn words(bits: &[u8]) -> impl Iterator<Item = u64> + '_ {
    bits.as_chunks::<8>().0.iter().map(|chunk| u64::from_le_bytes(*chunk))
}

/// Number of set bits.
pub(super) fn count(bits: &[u8]) -> u32 {
    words(bits).map(u64::count_ones).sum()
}

/// Ends of the runs of more than `length` set bits in a word, if there are any.
fn longer(word: u64, length: u32) -> u64 {
    let (mut ends, mut reach) = (word, 0);
    // `ends` has the bits that `reach` more set bits stand above.
    while ends != 0 && reach < length {
        let step = (reach + 1).min(length - reach);
        ends &= ends >> step;
        reach += step;
    }
    ends
}

/// Length of the longest run of set bits.
pub(super) fn longest(bits: &[u8]) -> u32 {
    let (mut best, mut open) = (0, 0);
    for word in words(bits) {
        if word == u64::MAX {
            open += 64;
            continue;
        }
        best = best.max(open + word.trailing_ones());
        // Most words have no run that is longer than those before.
        let mut ends = longer(word, best);
        while ends != 0 {
            ends &= ends >> 1;
            best += 1;
        }
        open = word.leading_ones();
    }
    best.max(open)
}

/// The first bit at or after `from` that is `value`.
fn find(bits: &[u8], from: u32, value: bool) -> Option<u32> {
    let words = bits.as_chunks::<8>().0;
    let flip = if value { 0 } else { u64::MAX };
    let mut keep = u64::MAX << (from % 64);
    for (at, chunk) in words.iter().enumerate().skip((from / 64) as usize) {
        let word = (u64::from_le_bytes(*chunk) ^ flip) & keep;
        if word != 0 {
            return Some(at as u32 * 64 + word.trailing_zeros());
        }
        keep = u64::MAX;
    }
    None
}

/// The runs of set bits from `from` on: first bit and length.
pub(super) struct Runs<'a> {
    bits: &'a [u8],
    from: u32,
}

impl Iterator for Runs<'_> {
    type Item = (u32, u32);

    fn next(&mut self) -> Option<(u32, u32)> {
        let first = find(self.bits, self.from, true)?;
        let end = find(self.bits, first, false).unwrap_or(self.bits.len() as u32 * 8);
        self.from = end;
        Some((first, end - first))
    }
}

/// The runs of set bits, in order.
pub(super) fn runs(bits: &[u8]) -> Runs<'_> {
    Runs { bits, from: 0 }
}

/// The first bit of the first run of at least `length` set bits.
pub(super) fn first_run(bits: &[u8], length: u32) -> Option<u32> {
    runs(bits).find(|run| run.1 >= length).map(|run| run.0)
}

/// Set bits in front of the first clear one.
pub(super) fn leading(bits: &[u8]) -> u32 {
    find(bits, 0, false).unwrap_or(bits.len() as u32 * 8)
}

/// Set bits that end right before bit `end`.
pub(super) fn trailing(bits: &[u8], end: u32) -> u32 {
    let mut at = end.min(bits.len() as u32 * 8);
    let end = at;
    while let Some(before) = at.checked_sub(1) {
        let byte = bits.get((before / 8) as usize).copied().unwrap_or(0);
        if before % 8 == 7 && byte == 0xFF {
            at -= 8;
        } else if byte >> (before % 8) & 1 == 1 {
            at = before;
        } else {
            break;
        }
    }
    end - at
}

/// Makes `length` bits from `from` on `value`.
///
/// # Errors
/// A bit is `value` already (`Shared`: a page freed twice; `Count`: a page that is not free), or
/// lies behind the bits (`OutOfRange`): some bits may have been changed.
pub(super) fn change(bits: &mut [u8], from: u32, length: u32, value: bool) -> Result<(), Damage> {
    let end = from.checked_add(length).ok_or(Damage::OutOfRange)?;
    let mut at = from;
    while at < end {
        let byte = bits.get_mut((at / 8) as usize).ok_or(Damage::OutOfRange)?;
        let in_byte = (8 - at % 8).min(end - at);
        let mask = (0xFFu8 >> (8 - in_byte)) << (at % 8);
        if value {
            if *byte & mask != 0 {
                return Err(Damage::Shared);
            }
            *byte |= mask;
        } else {
            if *byte & mask != mask {
                return Err(Damage::Count);
            }
            *byte &= !mask;
        }
        at += in_byte;
    }
    Ok(())
}

/// Clears all bits from `from` on.
pub(super) fn clear_from(bits: &mut [u8], from: u32) {
    let (byte, bit) = ((from / 8) as usize, from % 8);
    if let Some(first) = bits.get_mut(byte) {
        *first &= !(0xFF << bit);
    }
    bits.get_mut(byte + 1..).unwrap_or(&mut []).fill(0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use quickcheck::quickcheck;
    use std::vec::Vec;

    /// Else a run for a large value is not found, and the file grows instead. Drawn bits hold a full word nearly
    /// always, beside which shorter runs do not count.
    #[test]
    fn the_longest_run_is_found_wherever_it_lies_behind_a_shorter_one() {
        let run = |length: u32, at: u32| ((1u64 << length) - 1) << at;
        for (first, second) in (0..62).flat_map(|first| (0..62).map(move |second| (first, second)))
        {
            for at in 1..63 - second {
                let bits = [run(first, 1), run(second, at)].map(u64::to_le_bytes);
                assert_eq!(
                    longest(bits.as_flattened()),
                    first.max(second),
                    "{first} {second} {at}"
                );
            }
        }
        assert_eq!((leading(&[0xFF; 16]), longest(&[0xFF; 16])), (128, 128));
    }

    /// Runs found one bit at a time.
    fn naive_runs(bits: &[u8]) -> Vec<(u32, u32)> {
        let mut found: Vec<(u32, u32)> = Vec::new();
        for at in 0..bits.len() as u32 * 8 {
            if bits[(at / 8) as usize] >> (at % 8) & 1 == 0 {
                continue;
            }
            match found.last_mut() {
                Some(run) if run.0 + run.1 == at => run.1 += 1,
                _ => found.push((at, 1)),
            }
        }
        found
    }

    /// Mostly full or mostly empty words, so that runs cross word boundaries.
    fn stretch(words: &[(u8, u64)]) -> Vec<u8> {
        let word = |&(how, word): &(u8, u64)| match how % 4 {
            0 => 0,
            1 => u64::MAX,
            2 => word | word >> 7 | word << 11,
            _ => word,
        };
        words.iter().flat_map(|w| word(w).to_le_bytes()).collect()
    }

    quickcheck! {
        fn agrees_with_single_bits(words: Vec<(u8, u64)>, wanted: u8, end: u16) -> bool {
            let bits = stretch(&words);
            let naive = naive_runs(&bits);
            let wanted = u32::from(wanted) + 1;
            let total = bits.len() as u32 * 8;
            let end = if total == 0 { 0 } else { u32::from(end) % (total + 1) };
            let before_end = naive.iter().find(|run| run.0 < end && end <= run.0 + run.1);
            runs(&bits).collect::<Vec<_>>() == naive
                && count(&bits) == naive.iter().map(|run| run.1).sum()
                && longest(&bits) == naive.iter().map(|run| run.1).max().unwrap_or(0)
                && first_run(&bits, wanted)
                    == naive.iter().find(|run| run.1 >= wanted).map(|run| run.0)
                && leading(&bits) == naive.first().filter(|run| run.0 == 0).map_or(0, |run| run.1)
                && trailing(&bits, end) == before_end.map_or(0, |run| end - run.0)
        }

        fn changes_exactly_its_bits(words: Vec<(u8, u64)>, from: u16, length: u8) -> bool {
            let old = stretch(&words);
            let total = old.len() as u32 * 8;
            let (from, length) = (u32::from(from) % (total + 1), u32::from(length));
            let bit = |bits: &[u8], at: u32| bits[(at / 8) as usize] >> (at % 8) & 1 == 1;
            [true, false].into_iter().all(|value| {
                let mut new = old.clone();
                let inside = from + length <= total;
                let fits = inside && (from..from + length).all(|at| bit(&old, at) != value);
                match change(&mut new, from, length, value) {
                    Ok(()) => fits && (0..total).all(|at| {
                        let touched = (from..from + length).contains(&at);
                        bit(&new, at) == if touched { value } else { bit(&old, at) }
                    }),
                    Err(_) => !fits,
                }
            })
        }
    }
}
