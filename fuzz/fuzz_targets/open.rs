//! Any bytes, opened safely.
//!
//! Invariants checked: no panic, no endless loop, no access outside the bytes; what was proven sound can
//! be read to the end, and written to.
#![no_main]

libfuzzer_sys::fuzz_target!(|image: &[u8]| mapleaf_fuzz::open_proven(image));
