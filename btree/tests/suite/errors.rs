//! What errors say to people.

use mapleaf_btree::Error;
use mapleaf_pager::{Damage, PageId};
use std::collections::BTreeSet;
use std::error::Error as _;

#[test]
fn every_error_says_something_of_its_own_in_plain_words() {
    let damage = Error::corrupt(PageId(7), Damage::Order);
    let all = [
        damage,
        Error::KeyTooLong { limit_bytes: 990 },
        Error::ValueTooLong,
        Error::NoSuchTree,
        Error::TreeExists,
        Error::TooManyTrees,
        Error::NotSorted,
        Error::WidthTooLarge { limit_bytes: 480 },
        Error::WorkAreaTooSmall { needed_bytes: 12 },
        Error::UnsupportedTree { flags: 4 },
    ];
    let said: BTreeSet<String> = all.iter().map(Error::to_string).collect();
    assert_eq!(said.len(), all.len());
    assert!(said.iter().all(|text| text.contains(' ') && !text.ends_with('.')), "{said:?}");
    assert!(said.contains("page 7 is damaged: its keys are out of order"), "{said:?}");
    assert!(said.contains("the key is too long: at most 990 bytes fit"));
    // The cause is the pager's, once.
    assert_eq!(damage.source().map(ToString::to_string), Some(damage.to_string()));
    assert!(Error::NoSuchTree.source().is_none());
}

#[test]
#[cfg(feature = "fixed-width")]
fn a_wrong_width_says_what_the_tree_has() {
    let width = mapleaf_btree::TreeOptions::default().fixed_width(4, 8).fixed.unwrap();
    let said = Error::WrongWidth { width }.to_string();
    assert_eq!(said, "the tree has keys of 4 bytes and values of 8");
}
