//! Any history of changes, stopped anywhere: by loss of power, by the death of the process, in the middle
//! of opening, by a flush that fails.
//!
//! Invariants checked: after a loss of power the store is in the last acknowledged state, a later one, or
//! the one whose commit was on its way; after the death of the process in the newest, or the one on its
//! way; every page is accounted for once, and every checksum is right.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mapleaf_fuzz::crash::run(bytes));
