//! Changes of one tree, beside a model of it.

use crate::source::Source;
use mapleaf_btree::{Catalog, Result, TreeOptions, Writer};
use mapleaf_pager::{Durability, Pages};
use std::collections::BTreeMap;

/// What the tree should hold.
pub type Model = BTreeMap<Vec<u8>, Vec<u8>>;

/// Changes of one transaction.
const CHANGES_MAX: u8 = 64;

/// One transaction as the source has it; how it was committed, or `None` where it was rolled back (also
/// where the source is used up). `attempted` is the state that it is about to commit. With a
/// `bug` keys of three bytes are never removed. With a `width` keys and values are cut, or filled up, to it.
pub fn transaction(
    mut writer: Writer<'_>,
    width: Option<(u16, u16)>,
    source: &mut Source<'_>,
    before: &Model,
    attempted: &mut Option<Model>,
    bug: bool,
) -> Result<Option<Durability>> {
    let mut now = before.clone();
    let mut options = TreeOptions::default();
    if let Some((key_bytes, value_bytes)) = width {
        options = options.fixed_width(key_bytes, value_bytes);
    }
    let tree = writer.open_or_create("t", options)?;
    // Of the sizes that the tree has, if it has any.
    let sized_key = |key: Vec<u8>| resized(key, width.map(|width| width.0));
    let sized_value = |value: Vec<u8>| resized(value, width.map(|width| width.1));
    let mut saved = None;
    for _ in 0..source.byte().unwrap_or(0) % CHANGES_MAX {
        let Some(what) = source.byte() else { break };
        match what % 8 {
            0..=3 => {
                let (Some(key), Some(value)) = (source.key(), source.value()) else { break };
                let (key, value) = (sized_key(key), sized_value(value));
                let replaced = writer.tree(tree)?.insert(&key, &value)?;
                assert_eq!(replaced, now.insert(key, value).is_some());
            }
            4 | 5 => {
                let Some(key) = source.key() else { break };
                if bug && key.len() == 3 {
                    now.remove(&key);
                    continue;
                }
                let key = sized_key(key);
                let removed = writer.tree(tree)?.remove(&key)?;
                assert_eq!(removed, now.remove(&key).is_some());
            }
            6 => saved = Some((writer.savepoint()?, now.clone())),
            _ => {
                if let Some((savepoint, then)) = saved.take() {
                    writer.rollback_to(savepoint)?;
                    now = then;
                }
            }
        }
    }
    let durability = match source.byte().map(|byte| byte % 4) {
        None | Some(0) => return Ok(None),
        Some(1) => Durability::Eventual,
        Some(_) => Durability::Sync,
    };
    *attempted = Some(now);
    writer.commit(durability)?;
    Ok(Some(durability))
}

fn resized(mut bytes: Vec<u8>, len: Option<u16>) -> Vec<u8> {
    if let Some(len) = len {
        bytes.resize(usize::from(len), 0);
    }
    bytes
}

/// What the tree holds.
pub fn entries<'a, P: Pages<'a>>(pages: P) -> Model {
    let Ok(tree) = Catalog::new(pages).expect("a catalog").open("t") else { return Model::new() };
    let entry = |entry: Result<_>| {
        let (key, value): (mapleaf_btree::Key<'_>, &[u8]) = entry.expect("an entry");
        (key.parts().concat(), value.to_vec())
    };
    tree.iter().map(entry).collect()
}
