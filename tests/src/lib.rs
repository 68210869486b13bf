//! What the tests of this package share. The tests themselves are in `tests/tests`.
#![deny(unsafe_code)]

pub mod allocation;
pub mod child;
pub mod crash;
pub mod data;
pub mod disk;
pub mod golden;
#[cfg(target_os = "linux")]
pub mod held;
pub mod history;
pub mod mounted;
pub mod programs;
pub mod sim;
pub mod tools;
pub mod trace;

/// The README's code compiles and runs.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;
