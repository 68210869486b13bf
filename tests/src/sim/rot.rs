//! Media that rot at rest.

use super::Dice;

/// What has happened to a medium.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rot {
    /// One bit is another.
    Flipped {
        /// Which byte.
        byte: usize,
    },
    /// A unit is zero.
    Zeroed {
        /// Which.
        unit: usize,
    },
    /// Two pages have changed places.
    Swapped {
        /// One,
        first: usize,
        /// and the other.
        second: usize,
    },
    /// A page is as it was before.
    Stale {
        /// Which.
        page: usize,
    },
}

/// Lets a medium rot once, with `before` as it was at an earlier time; what has happened.
pub fn rot(medium: &mut [u8], before: &[u8], page: usize, unit: usize, dice: &mut Dice) -> Rot {
    let pages = medium.len() / page;
    match dice.below(4) {
        0 => {
            let byte = dice.below(medium.len());
            medium[byte] ^= 1 << dice.below(8);
            Rot::Flipped { byte }
        }
        1 => {
            let at = dice.below(medium.len() / unit);
            medium[at * unit..(at + 1) * unit].fill(0);
            Rot::Zeroed { unit: at }
        }
        2 => {
            let (first, second) = (dice.below(pages), dice.below(pages));
            let old = medium[first * page..(first + 1) * page].to_vec();
            medium.copy_within(second * page..(second + 1) * page, first * page);
            medium[second * page..(second + 1) * page].copy_from_slice(&old);
            Rot::Swapped { first, second }
        }
        _ => {
            let at = dice.below(pages.min(before.len() / page));
            let bytes = at * page..(at + 1) * page;
            medium[bytes.clone()].copy_from_slice(&before[bytes]);
            Rot::Stale { page: at }
        }
    }
}
