//! Histories: letters, each with a digit that says which keys it is about.
//!
//! | letter | what it does |
//! |---|---|
//! | `s` `e` | puts one entry; commits `Sync`, `Eventual` |
//! | `S` `E` | puts four entries of 80 bytes: splits now and then |
//! | `L` `l` | puts a value of several pages |
//! | `D` `d` | removes a key, or drops the second tree |
//! | `F` | as `E`, two dozen entries: around the ring, growth |
//! | `M` `m` | in the tree of fixed width: removes neighbours, stores two dozen by `extend`; `Sync`, `Eventual` |
//! | `a` | loads a dozen entries behind the last of a tree; `Eventual` |
//! | `p` | a savepoint, taken back half-way; `Eventual` |
//! | `n` | a transaction that is dropped |
//! | `c` | checkpoint |
//! | `b` | checkpoint, and three `Eventual` commits during its flush of the pages |
//! | `h` | as `b`, beside the publication of what is held, where there are two views |
//! | `w` | a transaction open around a checkpoint and a `sync`; `Sync` |
//! | `v` | a commit that does not fit the log, watched by a reader during its flushes |
//! | `g` | a group commit: two that leave the barrier to what follows them |
//! | `y` | `sync` |
//! | `r` | a reader begins, or the oldest ends |
//! | `x` `k` | closes, or dies; and opens again |

use crate::sim::Dice;
use std::fmt;

/// Letters of all steps.
pub const LETTERS: &str = "seSELlDdFMmapncbhwvgyrxk";
/// How often random histories take each of them.
const WEIGHTS: &[u8] = b"ssseeeeeSSEEELlDddFMmmapncbbhwvggyyrrxkk";

/// One step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Step {
    /// One of [`LETTERS`].
    pub letter: u8,
    /// 0 to 9: which keys.
    pub digit: u8,
}

/// Steps, as they are written down.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct History(pub Vec<Step>);

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|step| write!(f, "{}{}", step.letter as char, step.digit))
    }
}

impl std::str::FromStr for History {
    type Err = String;

    fn from_str(text: &str) -> Result<History, String> {
        let pairs = text.as_bytes().chunks(2).map(|pair| match *pair {
            [letter, digit] if LETTERS.as_bytes().contains(&letter) && digit.is_ascii_digit() => {
                Ok(Step { letter, digit: digit - b'0' })
            }
            _ => Err(format!("{:?} is no step", String::from_utf8_lossy(pair))),
        });
        pairs.collect::<Result<_, _>>().map(History)
    }
}

impl History {
    /// The `number`-th of all words of `length` letters.
    #[must_use]
    pub fn word(number: u64, length: u32, letters: &str) -> History {
        let (mut number, letters) = (number, letters.as_bytes());
        let steps = (0..length).map(|at| {
            let letter = letters[(number % letters.len() as u64) as usize];
            number /= letters.len() as u64;
            // Neighbours meet the same key now and then.
            Step { letter, digit: (at * 3 % 4) as u8 }
        });
        History(steps.collect())
    }

    /// The `number`-th of all words of at most `longest` letters, the shortest first.
    #[must_use]
    pub fn nth_word(number: u64, longest: u32, letters: &str) -> Option<History> {
        let mut number = number;
        for length in 1..=longest {
            let words = (letters.len() as u64).saturating_pow(length);
            if number < words {
                return Some(History::word(number, length, letters));
            }
            number -= words;
        }
        None
    }

    /// A random one.
    #[must_use]
    pub fn random(dice: &mut Dice, steps: usize) -> History {
        let steps = (0..steps).map(|_| Step {
            letter: WEIGHTS[dice.below(WEIGHTS.len())],
            digit: dice.below(10) as u8,
        });
        History(steps.collect())
    }
}
