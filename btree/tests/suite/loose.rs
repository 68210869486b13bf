//! One step of a lookup at a time, on pages that somebody else has read.

use crate::support::{PAGE, create};
use mapleaf_btree::{Catalog, LooseStep, LooseValue, TreeOptions, Writer, loose_step};
use mapleaf_pager::{Durability, HEADER_BYTES, OWNED_BYTES, Pages};

/// Else whoever reads pages without a mapping (`mapleaf lab`, with `pread`) finds other values than the tree has.
#[test]
fn a_lookup_by_steps_finds_what_the_tree_finds() {
    let mut ram = vec![0; 4 << 20];
    let store = create(&mut ram, PAGE, 0);
    let mut writer = Writer::new(store.begin_write().unwrap()).unwrap();
    let key = |n: u32| format!("key {:05}", n * 7919 % 3000).into_bytes();
    let trees = [
        ("cells", TreeOptions::default()),
        #[cfg(feature = "fixed-width")]
        ("fixed", TreeOptions::default().fixed_width(9, 4)),
    ];
    for (name, options) in trees {
        let tree = writer.create(name, options).unwrap();
        for n in 0..3000u32 {
            let long = name == "cells" && n % 500 == 3;
            let value = n.to_le_bytes().repeat(if long { 400 } else { 1 });
            writer.tree(tree).unwrap().insert(&key(n), &value).unwrap();
        }
    }
    writer.commit(Durability::Sync).unwrap();
    let snapshot = store.begin_read(0).unwrap();
    for (name, _) in trees {
        let tree = Catalog::new(&snapshot).unwrap().open(name).unwrap();
        assert!(tree.record().height > 2, "{name}");
        for n in 0..3000 {
            for wanted in [key(n), [&key(n)[..], b"\0"].concat(), b"key".to_vec()] {
                let (mut id, mut steps) = (tree.record().root, 1);
                let found = loop {
                    match loose_step(id, (&snapshot).page(id).unwrap(), &wanted).unwrap() {
                        LooseStep::Child(child) => (id, steps) = (child, steps + 1),
                        LooseStep::Found(LooseValue::Inline(bytes)) => break Some(bytes),
                        LooseStep::Found(LooseValue::Run { page, len_bytes }) => {
                            break Some((&snapshot).run(page, len_bytes).unwrap());
                        }
                        LooseStep::Absent => break None,
                    }
                };
                assert_eq!(found, tree.get(&wanted).unwrap(), "{n} in {name}");
                assert_eq!(steps, tree.record().height);
            }
        }
        // The body of a page is what is behind the header's first part; anything else is refused.
        let root = (&snapshot).page(tree.record().root).unwrap();
        assert_eq!(root.len(), PAGE - OWNED_BYTES);
        let id = tree.record().root;
        assert!(loose_step(id, &root[..HEADER_BYTES - OWNED_BYTES - 1], b"key").is_err());
        assert!(loose_step(id, &vec![0; root.len()], b"key").is_err());
    }
}
