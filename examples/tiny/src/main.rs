//! A store service without std, heap and libc: requests on the standard input, answers on the standard
//! output, the store in `tiny.leaf` in the working directory. For Linux on x86-64.
//!
//! | request | answer |
//! |---|---|
//! | `put KEY VALUE` | `ok`, once it survives power loss: one barrier |
//! | `get KEY` | the value, or `none` |
//! | `count` | entries |
//! | `checkpoint` | `ok`, once nothing is left in the log |
//!
//! The end of the input is a checkpoint and the end. An exit code other than 0 says which step failed.
#![no_std]
#![no_main]

mod lines;
mod memory;
mod replay;
mod start;

use core::sync::atomic::AtomicU32;
use lines::{Lines, answer, decimal};
use mapleaf_btree::{Catalog, TreeOptions, Writer};
use mapleaf_pager::{Durability, Options, Store, words_for};
use mapleaf_sys_linux::{Access, FileMapping, OpenOptions, entropy};

/// One reader at a time: this loop.
const READERS: usize = 1;
const WORDS: usize = words_for(READERS);
/// The one tree.
const TREE: &str = "main";
/// Of the log: it is a part of the file, and written over and over.
const LOG_BYTES: u64 = 64 << 10;
/// Address space for the file: the largest that it can grow to.
const RESERVE_BYTES: u64 = 1 << 30;
/// Pages that wait for a checkpoint take so much memory.
const SHADOW_BYTES: u64 = 64 << 10;

type Tiny = Store<FileMapping, [AtomicU32; WORDS]>;

/// Which step failed.
type Step = u8;

fn open() -> Result<Tiny, Step> {
    let how = OpenOptions {
        create: true,
        access: Access::Sparse,
        reserve_bytes: RESERVE_BYTES,
        shadow_budget_bytes: SHADOW_BYTES,
        ..OpenOptions::default()
    };
    // SAFETY: the file is this service's own: mapleaf wrote it, and nothing else changes it.
    let mapping = unsafe { FileMapping::open(c"tiny.leaf", &how) }.map_err(|_| 10)?;
    let words = [const { AtomicU32::new(0) }; WORDS];
    let mut options = Options::default().log_bytes(LOG_BYTES, LOG_BYTES);
    let random = entropy().map_err(|_| 11)?;
    if let (Some(uuid), Some(salt)) = (random.first_chunk(), random.last_chunk()) {
        options.uuid = *uuid;
        options.entropy = u64::from_le_bytes(*salt);
    }
    if mapleaf_pager::Mapping::is_empty(&mapping) {
        return Store::create(mapping, words, &options).map_err(|_| 12);
    }
    // SAFETY: as above.
    unsafe { Store::open(mapping, words, &options, &mut replay::Own) }.map_err(|_| 13)
}

/// Stores an entry of the one tree. `None`: there is no room for it, or it is too long.
fn insert(writer: &mut Writer<'_>, key: &[u8], value: &[u8]) -> Option<()> {
    let tree = writer.open_or_create(TREE, TreeOptions::default()).ok()?;
    writer.tree(tree).ok()?.insert(key, value).ok().map(drop)
}

fn put(store: &Tiny, key: &[u8], value: &[u8]) -> Result<(), Step> {
    let txn = store.begin_write().map_err(|_| 20)?;
    let mut writer = Writer::new(txn).map_err(|_| 21)?;
    insert(&mut writer, key, value).ok_or(22)?;
    writer.commit(Durability::Sync).map_err(|_| 25)?;
    // There is no thread that does it beside.
    if store.checkpoint_due() {
        store.checkpoint().map_err(|_| 24)?;
    }
    Ok(())
}

fn get(store: &Tiny, key: &[u8]) -> Result<(), Step> {
    let snapshot = store.begin_read(0).map_err(|_| 30)?;
    let Ok(tree) = Catalog::new(&snapshot).map_err(|_| 31)?.open(TREE) else {
        return answer(b"none");
    };
    answer(tree.get(key).map_err(|_| 32)?.unwrap_or(b"none"))
}

fn count(store: &Tiny) -> Result<(), Step> {
    let snapshot = store.begin_read(0).map_err(|_| 33)?;
    let tree = Catalog::new(&snapshot).map_err(|_| 34)?.open(TREE);
    answer(decimal(tree.map_or(0, |tree| tree.len()), &mut [0; 20]))
}

fn serve(store: &Tiny, request: &[u8]) -> Result<(), Step> {
    let mut words = request.splitn(3, |byte| *byte == b' ');
    match (words.next(), words.next(), words.next()) {
        (Some(b"put"), Some(key), Some(value)) => {
            put(store, key, value)?;
            answer(b"ok")
        }
        (Some(b"get"), Some(key), None) => get(store, key),
        (Some(b"count"), None, None) => count(store),
        (Some(b"checkpoint"), None, None) => {
            store.checkpoint().map_err(|_| 40)?;
            answer(b"ok")
        }
        _ => answer(b"what?"),
    }
}

fn session() -> Result<(), Step> {
    let store = open()?;
    let mut lines = Lines::new();
    while let Some(request) = lines.next()? {
        serve(&store, request)?;
    }
    store.checkpoint().map(drop).map_err(|_| 50)
}

/// Runs the service; the exit code.
pub(crate) fn run() -> u8 {
    session().err().unwrap_or(0)
}
