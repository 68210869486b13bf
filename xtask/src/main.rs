//! Commands that people run by hand.

fn main() {}
