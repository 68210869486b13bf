//! What a page size costs and gives: the figures of docs/constrained.md.
//!
//! ```sh
//! cargo run -p mapleaf --example page_sizes
//! ```

use mapleaf::{Builder, Result};

const ENTRIES: u32 = 10_000;
const KEY_BYTES: usize = 16;
const VALUE_BYTES: usize = 32;

/// Keys in no order.
fn key(number: u32) -> [u8; KEY_BYTES] {
    let mut key = [0; KEY_BYTES];
    let spread = u64::from(number).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    key[..8].copy_from_slice(&spread.to_be_bytes());
    key[8..12].copy_from_slice(&number.to_be_bytes());
    key
}

/// Bytes of the longest key that a tree takes.
fn longest_key(page_bytes: u32) -> Result<usize> {
    let db = Builder::new().page_size(page_bytes).in_memory()?;
    let mut txn = db.write()?;
    let mut tree = txn.tree("long")?;
    let (mut low, mut high) = (1, page_bytes as usize);
    while low < high {
        let middle = (low + high).div_ceil(2);
        match tree.insert(&vec![7; middle], b"") {
            Ok(_) => low = middle,
            Err(_) => high = middle - 1,
        }
    }
    Ok(low)
}

fn main() -> Result<()> {
    println!("page bytes | in use KiB | fill % | depth | path copied KiB | longest key");
    for page_bytes in [512, 1024, 2048, 4096, 16_384, 65_536] {
        let db = Builder::new().page_size(page_bytes).in_memory()?;
        for batch in 0..ENTRIES / 100 {
            let mut txn = db.write()?;
            let mut tree = txn.tree("main")?;
            for number in batch * 100..(batch + 1) * 100 {
                tree.insert(&key(number), &[1; VALUE_BYTES])?;
            }
            txn.commit()?;
        }
        db.checkpoint()?;
        let report = db.check()?;
        let used = (report.inner_pages + report.leaf_pages) * u64::from(page_bytes);
        let path = u64::from(report.height_max) * u64::from(page_bytes);
        println!(
            "{page_bytes:10} | {:10} | {:6.0} | {:5} | {:15.1} | {:11}",
            used / 1024,
            report.leaf_fill() * 100.0,
            report.height_max,
            path as f64 / 1024.0,
            longest_key(page_bytes)?
        );
    }
    let payload = ENTRIES as usize * (KEY_BYTES + VALUE_BYTES);
    println!("{ENTRIES} entries of {KEY_BYTES} B and {VALUE_BYTES} B, {} KiB", payload / 1024);
    Ok(())
}
