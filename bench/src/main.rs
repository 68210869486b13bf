//! mapleaf and LMDB side by side.

fn main() {}
