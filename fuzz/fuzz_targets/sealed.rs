//! A sound file with some bytes changed and the checksums put right again: damage that only the views of
//! pages, the tree and the space can see.
//!
//! Invariants checked: no panic, no endless loop, no access outside the bytes, for the safe opening and
//! for reading without a proof.
#![no_main]

use mapleaf_btree::Replayer;
use mapleaf_fuzz::forged::{PAGE, naive_leaf, seal};
use mapleaf_pager::{Options, SliceMapping, Store};

static SOUND: &[u8] = include_bytes!("../../tests/golden/v1-512-no-log.leaf");
/// With trees of fixed width.
static FIXED: &[u8] = include_bytes!("../../tests/golden/v1-512-fixed.leaf");

libfuzzer_sys::fuzz_target!(|changes: &[u8]| {
    // Four bytes a change: page (2), offset halved, value; one more: of the other file.
    let mut image = if changes.len() % 4 == 1 { FIXED } else { SOUND }.to_vec();
    for change in changes.chunks_exact(4).take(64) {
        let page = usize::from(u16::from_le_bytes([change[0], change[1]])) % (image.len() / PAGE);
        let at = page * PAGE + 8 + usize::from(change[2]) * 2 % (PAGE - 8);
        image[at] = change[3];
        seal(&mut image, page);
        if mapleaf_fuzz::planted() {
            naive_leaf(&image[page * PAGE..][..PAGE]);
        }
    }
    mapleaf_fuzz::open_proven(&image);
    let mut ram = image.clone();
    let mut options = Options::default();
    (options.read_only, options.at_checkpoint) = (true, true);
    let mapping = SliceMapping::full(&mut ram);
    // SAFETY: opened for reading, nothing is ever written: no reference can be to changing bytes.
    let opened =
        unsafe { Store::open(mapping, mapleaf_fuzz::words(), &options, &mut Replayer::new()) };
    if let Ok(store) = opened
        && let Ok(snapshot) = store.begin_read(0)
    {
        let _ = mapleaf_fuzz::read_all(&snapshot);
    }
});
