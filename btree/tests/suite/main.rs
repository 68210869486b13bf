//! Tests of the whole crate: one program, since each would bring the store along, compiled once more.

mod close;
mod copies;
mod errors;
mod explained;
mod fill;
#[cfg(feature = "fixed-width")]
mod fixed;
mod full;
mod hostile;
mod keys;
mod load;
mod loose;
mod many;
mod model;
mod names;
#[cfg(feature = "fingerprints")]
mod prints;
mod records;
mod repair;
mod replay;
mod scrub;
#[path = "../../../pager/tests/seeded/mod.rs"]
mod seeded;
mod sizes;
mod support;
mod waitless;
mod walk;
