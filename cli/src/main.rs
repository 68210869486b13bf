//! The mapleaf command.
#![deny(unsafe_code)]

fn main() {}
