//! Property tests that can be drawn again: what quickcheck draws comes of a seed that is printed, and can be given.

use quickcheck::{Arbitrary, Gen, QuickCheck};

/// The seed to draw from, instead of a new one.
const SEED: &str = "QUICKCHECK_SEED";

/// quickcheck with a generator of this size, whose seed it prints with the command that draws the same again, as far
/// as the number of cases is the same. (The output of a test is shown when it fails.)
pub(crate) fn seeded(size: usize) -> QuickCheck {
    let seed = match std::env::var(SEED) {
        Ok(seed) => seed.parse().expect("a seed is a number"),
        Err(_) => u64::arbitrary(&mut Gen::new(size)),
    };
    let (package, suite) = (env!("CARGO_PKG_NAME"), env!("CARGO_CRATE_NAME"));
    let thread = std::thread::current();
    let test = thread.name().filter(|name| *name != "main").unwrap_or_default();
    println!("seed {seed}; again: {SEED}={seed} cargo test -p {package} --test {suite} {test}");
    QuickCheck::new().rng(Gen::from_size_and_seed(size, seed))
}
