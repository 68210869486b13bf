//! Any bytes, opened safely; then read with checksums compared.
//!
//! Invariants checked: no panic, no endless loop, no access outside the bytes; what was proven sound can
//! be read to the end, and written to. With `Verify::Always` and `FirstTouch` no answer comes by way of a page
//! whose checksum is wrong.
#![no_main]

libfuzzer_sys::fuzz_target!(|image: &[u8]| {
    mapleaf_fuzz::open_proven(image);
    for once in [false, true] {
        mapleaf_fuzz::verified::read(image, once, None);
    }
});
