//! A sound store with bytes changed and pages in each other's place, opened with checksums compared.
//!
//! Invariants checked: with `Verify::Always` and `FirstTouch`, before and after writing to it, whatever is answered
//! (lookups one at a time, many together and without waiting, and walks both ways) is what was stored, and comes by
//! way of pages whose checksums are right; no panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mapleaf_fuzz::forged::{self, PAGE};
use mapleaf_fuzz::verified;

/// Metas, which have a checksum of their own kind, and of which one is enough.
const METAS: usize = 2;
/// Set in a change's offset: the page is another one's bytes.
const WHOLE_PAGE: u16 = 1 << 15;

fuzz_target!(|bytes: &[u8]| {
    let Some((which, changes)) = bytes.split_first() else { return };
    let made = [forged::made, forged::made_fixed, forged::made_prints][usize::from(which % 3)]();
    let mut image = made.image.clone();
    let pages = image.len() / PAGE;
    // Four bytes a change: page, offset (2), value or the page that is copied.
    for change in changes.chunks_exact(4).take(64) {
        let start = (METAS + usize::from(change[0]) % (pages - METAS)) * PAGE;
        let offset = u16::from_le_bytes([change[1], change[2]]);
        if offset & WHOLE_PAGE == 0 {
            image[start + usize::from(offset) % PAGE] = change[3];
        } else {
            let from = usize::from(change[3]) % pages * PAGE;
            image.copy_within(from..from + PAGE, start);
        }
    }
    let once = which / 3 % 2 == 1;
    if which / 6 % 2 == 1 {
        verified::write(&image, once, Some(&made.entries));
    } else {
        verified::read(&image, once, Some(&made.entries));
    }
});
