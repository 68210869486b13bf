//! What the fuzz targets share.
//!
//! Where `MAPLEAF_FUZZ_PLANTED` is set, each target has a bug that it must find: `cargo xtask fuzz-canaries`. The same
//! programs, so that what looks is what was shown to see.

pub mod crash;
#[path = "../../pager/tests/double/mod.rs"]
mod double;
pub mod forged;
#[path = "../../pager/tests/liar/mod.rs"]
mod liar;
pub mod ops;
pub mod source;
pub mod verified;

use mapleaf_btree::{Catalog, Replayer, TreeOptions, Writer};
use mapleaf_pager::{Durability, Options, Pages, SliceMapping, Store, words_for};
use std::sync::LazyLock;
use std::sync::atomic::AtomicU32;

/// A store in a slice.
pub type SliceStore<'a> = Store<SliceMapping<'a>, Vec<AtomicU32>>;

/// Room behind an image, for what is written to it.
pub const ROOM: usize = 1 << 18;

/// Words for a few readers.
pub fn words() -> Vec<AtomicU32> {
    (0..words_for(4)).map(|_| AtomicU32::new(0)).collect()
}

/// An image with room behind it.
pub fn with_room(image: &[u8]) -> Vec<u8> {
    let mut ram = vec![0; image.len() + ROOM];
    ram[..image.len()].copy_from_slice(image);
    ram
}

/// Reads whatever a state holds: names, entries both ways, lookups. Damage ends it.
pub fn read_all<'a, P: Pages<'a>>(pages: P) -> mapleaf_btree::Result<u64> {
    let catalog = Catalog::new(pages)?;
    let mut entries = 0;
    for named in catalog.list() {
        let (name, _) = named?;
        let Ok(name) = String::from_utf8(name.parts().concat()) else { continue };
        let tree = catalog.open(&name)?;
        for entry in tree.iter() {
            let (key, value) = entry?;
            entries += u64::from(tree.get(&key.parts().concat())? == Some(value));
        }
        for entry in tree.iter().rev() {
            let _ = entry?;
        }
        let _ = (tree.first()?, tree.last()?);
    }
    Ok(entries)
}

/// Whether this target's bug is planted.
pub fn planted() -> bool {
    static PLANTED: LazyLock<bool> =
        LazyLock::new(|| std::env::var_os("MAPLEAF_FUZZ_PLANTED").is_some());
    *PLANTED
}

/// Opens an image as the safe opening does: proves it, then reads and writes it.
pub fn open_proven(image: &[u8]) {
    if planted() {
        forged::naive_last_byte(image);
    }
    let mut ram = with_room(image);
    let mapping = SliceMapping::with_len(&mut ram, image.len());
    let mut work = vec![0; 1 << 16];
    let options = Options::default();
    let Ok(store) = Store::open_proven(mapping, words(), &options, &mut Replayer::new(), &mut work)
    else {
        return;
    };
    let read = store.begin_read(0).map_err(mapleaf_btree::Error::from).and_then(|s| read_all(&s));
    read.expect("what was proven can be read");
    let _ = write(&store);
}

/// Writes a little, twice; anything but a panic will do.
pub fn write(store: &SliceStore<'_>) -> mapleaf_btree::Result<()> {
    for round in 0..2u8 {
        let mut writer = Writer::new(store.begin_write()?)?;
        let tree = writer.open_or_create("fuzz", TreeOptions::default())?;
        for number in 0..20u8 {
            writer.tree(tree)?.insert(&[number, round], &[number; 40])?;
        }
        writer.tree(tree)?.remove(&[3, round])?;
        writer.commit(Durability::Sync)?;
    }
    Ok(())
}
