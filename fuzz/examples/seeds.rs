//! Writes the seeds from which the committed corpus was grown: `cargo run --example seeds` in fuzz/.

use mapleaf_btree::{TreeOptions, Writer};
use mapleaf_fuzz::forged::{PAGE, made, made_fixed, made_prints};
use mapleaf_fuzz::words;
use mapleaf_pager::{Durability, Options, SliceMapping, Store};
use std::path::Path;
use std::{fs, io};

/// A store of a few pages, closed or as a death leaves it.
fn small(log_bytes: u64, closed: bool) -> Vec<u8> {
    let mut ram = vec![0; 64 << 10];
    let options = Options::default().page_size(PAGE as u32).log_bytes(log_bytes, log_bytes);
    let store = Store::create(SliceMapping::empty(&mut ram), words(), &options).unwrap();
    for round in 0..3u8 {
        let mut writer = Writer::new(store.begin_write().unwrap()).unwrap();
        let tree = writer.open_or_create("t", TreeOptions::default()).unwrap();
        for number in 0..8 {
            let value = vec![round; if number == 3 { 600 } else { 40 }];
            writer.tree(tree).unwrap().insert(&[number, round], &value).unwrap();
        }
        writer.commit(Durability::Sync).unwrap();
    }
    if closed {
        store.close().unwrap();
    }
    let len = store.stats().page_count as usize * PAGE;
    drop(store);
    ram.truncate(len);
    ram
}

fn seed(target: &str, name: &str, bytes: &[u8]) -> io::Result<()> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    fs::create_dir_all(&dir)?;
    fs::write(dir.join(name), bytes)
}

fn main() -> io::Result<()> {
    for (name, log, closed) in [("closed", 0, true), ("died", 0, false), ("log", 4096, false)] {
        let image = small(log, closed);
        seed("open", name, &image)?;
        seed("salvage", name, &[&[0], &image[..]].concat())?;
    }
    seed("salvage", "damaged", &[1, 5, 40, 0, 7, 9, 100, 1, 3])?;
    for (name, made) in [("page", made()), ("fixed", made_fixed()), ("prints", made_prints())] {
        for (at, page) in made.tree_pages.iter().enumerate().step_by(5) {
            let body = &made.image[page * PAGE + 16..][..PAGE - 16];
            seed(
                "node",
                &format!("{name}-{page}"),
                &[&[at as u8, at as u8 + 1, 3], body].concat(),
            )?;
        }
    }
    seed("sealed", "bits", &[2, 0, 9, 3, 5, 0, 16, 1, 9, 0, 10, 255])?;
    // Of each store, in each way: bytes of two pages, and a page in another's place.
    for which in 0..12u8 {
        let changes = [5, 40, 0, 7, 9, 100, 1, 3, 11, 0, 128, 4];
        seed("verified", &format!("changes-{which}"), &[&[which], &changes[..]].concat())?;
    }
    let ops = |first: u8| -> Vec<u8> {
        let change = |n: u8| [n % 8, n.wrapping_mul(37), n, n.wrapping_mul(11), n.wrapping_mul(53)];
        [&[first, 3, 9, 0, 60][..], &[40], &(0..80).flat_map(change).collect::<Vec<_>>()].concat()
    };
    for first in [0, 1, 2, 3, 8, 15, 27, 31, 192, 193, 208, 225, 240, 241] {
        seed("ops", &format!("history-{first}"), &ops(first))?;
        seed("crash", &format!("history-{first}"), &ops(first))?;
    }
    seed("import", "tsv", b"\x03a\t1\nb\\t\\\\x\\x00\t\\n\n\t\nc\t")?;
    seed("import", "lines", b"\x01/bin\n/etc\n\n/usr")?;
    seed(
        "import",
        "dump",
        b"\x02VERSION=3\nformat=print\ndatabase=users\ntype=btree\nmapsize=1048576\nHEADER=END\n \
          ada\n 18\\31\nDATA=END\nVERSION=3\nformat=bytevalue\nHEADER=END\n 61\n 6263\nDATA=END\n",
    )
}
