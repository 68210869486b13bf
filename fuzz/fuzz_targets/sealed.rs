//! A sound file with some bytes changed and the checksums put right again: damage that only the views of
//! pages, the tree and the space can see.
//!
//! Invariants checked: no panic, no endless loop, no access outside the bytes, for the safe opening and
//! for reading without a proof.
#![no_main]

use mapleaf_btree::Replayer;
use mapleaf_pager::{Options, SliceMapping, Store};
use xxhash_rust::xxh3::xxh3_64;

static SOUND: &[u8] = include_bytes!("../../tests/golden/v1-512-no-log.leaf");
const PAGE: usize = 512;

/// As docs/format.md has it: of a page, or of a whole run.
fn seal(image: &mut [u8], page: usize) {
    let start = page * PAGE;
    let header: [u8; 16] = *image[start + 16..].first_chunk().unwrap();
    let run = header[0] == 5;
    let len = u64::from_le_bytes(*header[8..].first_chunk().unwrap());
    let len =
        if run { len.saturating_add(32).min((image.len() - start) as u64) as usize } else { PAGE };
    let mixed = (page as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let sum = xxh3_64(&image[start + 8..start + len.max(32)]) ^ mixed;
    image[start..start + 8].copy_from_slice(&sum.to_le_bytes());
}

libfuzzer_sys::fuzz_target!(|changes: &[u8]| {
    let mut image = SOUND.to_vec();
    // Four bytes a change: page (2), offset halved, value.
    for change in changes.chunks_exact(4).take(64) {
        let page = usize::from(u16::from_le_bytes([change[0], change[1]])) % (image.len() / PAGE);
        let at = page * PAGE + 8 + usize::from(change[2]) * 2 % (PAGE - 8);
        image[at] = change[3];
        seal(&mut image, page);
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
