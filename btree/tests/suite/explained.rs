//! What `inspect` shows of redo records: each byte once, and by the name of what it is.

use crate::support::{PAGE, create};
use mapleaf_btree::{LogSlots, Writer, apply, explain_redo};
use mapleaf_pager::FieldValue;

/// Operation, and names and bytes of the fields behind it, which must follow each other to the record's end.
fn explained(record: &[u8]) -> (&'static str, Vec<(&'static str, Vec<u8>)>) {
    let (mut operation, mut fields, mut end) = ("", Vec::new(), 0);
    explain_redo(record, &mut |field| {
        assert_eq!(field.bytes.start, end, "{} of {record:?}", field.name);
        end = field.bytes.end;
        match field.value {
            FieldValue::Text(text) if end == 1 => operation = text,
            FieldValue::Number(number) => {
                let bytes = number.to_le_bytes()[..field.bytes.len()].to_vec();
                fields.push((field.name, bytes));
            }
            FieldValue::Bytes(bytes) => fields.push((field.name, bytes.to_vec())),
            other => panic!("{other:?}"),
        }
        assert!(fields.last().is_none_or(|(_, bytes)| *bytes == record[field.bytes]));
    });
    assert_eq!(end, record.len(), "{record:?}");
    (operation, fields)
}

/// Else whoever looks at a log to find out what was committed would miss a change, or take it for another.
#[test]
fn every_operation_of_the_log_is_told_field_by_field() {
    let tag = [9, 0, 0, 0, 0, 0, 0, 0];
    type Told<'t> = (&'t [u8], &'t str, &'t [(&'t str, &'t [u8])]);
    let create_fixed = [&[128][..], &tag, &[4, 0, 8, 0, 0, 0], b"wide"].concat();
    let all: [Told<'_>; 10] = [
        (&[&[7][..], &tag, b"old"].concat(), "create a tree", &[("tag", &tag), ("name", b"old")]),
        (&[1, 3, b'o', b'l', b'd'], "bind a slot to a tree", &[("slot", &[3]), ("name", b"old")]),
        (
            &[2, 3, 1, 0, b'k', b'v', b'w'],
            "put",
            &[("slot", &[3]), ("key length", &[1, 0]), ("key", b"k"), ("value", b"vw")],
        ),
        (&[3, 3, b'k'], "remove", &[("slot", &[3]), ("key", b"k")]),
        (
            &[4, 3, 1, 2, 1, 0, b'a', b'b', b'c'],
            "remove a range",
            &[
                ("slot", &[3]),
                ("kind of start", &[1]),
                ("kind of end", &[2]),
                ("length of start", &[1, 0]),
                ("start", b"a"),
                ("end", b"bc"),
            ],
        ),
        (&[5, 3], "clear", &[("slot", &[3])]),
        (&[&[6, 3][..], &tag].concat(), "set the tag", &[("slot", &[3]), ("tag", &tag)]),
        (
            &[8, 3, b'o', b'l', b'd', b'n', b'e', b'w'],
            "rename a tree",
            &[("length of the old name", &[3]), ("old name", b"old"), ("new name", b"new")],
        ),
        (&[9, b'n', b'e', b'w'], "drop a tree", &[("name", b"new")]),
        (
            &create_fixed,
            "create a tree of fixed width",
            &[
                ("tag", &tag),
                ("key size", &[4, 0]),
                ("value size", &[8, 0, 0, 0]),
                ("name", b"wide"),
            ],
        ),
    ];
    let mut ram = vec![0; 1 << 20];
    let store = create(&mut ram, PAGE, 0);
    let mut writer = Writer::new(store.begin_write().unwrap()).unwrap();
    let mut slots = LogSlots::new();
    for (record, operation, wanted) in all {
        // They are records, so that none of another format is explained here.
        if cfg!(feature = "fixed-width") || record[0] != 128 {
            apply(&mut writer, &mut slots, record).unwrap();
        }
        let wanted: Vec<_> = wanted.iter().map(|(name, bytes)| (*name, bytes.to_vec())).collect();
        assert_eq!(explained(record), (operation, wanted), "{record:?}");
    }
    #[cfg(feature = "fixed-width")]
    {
        let wide = writer.open("wide").unwrap();
        let fixed = mapleaf_btree::TreeOptions::default().fixed_width(4, 8).fixed;
        assert_eq!(writer.record(wide).unwrap().fixed, fixed);
    }
    let mut named = Vec::new();
    explain_redo(&[99, 1, 2], &mut |field| named.push((field.name, field.value)));
    assert_eq!(named, [("operation", FieldValue::Text("unknown"))]);
}

/// Else a damaged log could not be looked at: its records say lengths that they do not have.
#[test]
fn records_cut_anywhere_are_told_as_far_as_they_go() {
    let whole: [&[u8]; 4] = [
        &[2, 3, 5, 0, b'k', b'k', b'k', b'k', b'k', b'v'],
        &[4, 3, 1, 2, 2, 0, b'a', b'b', b'c'],
        &[8, 3, b'o', b'l', b'd', b'n', b'e', b'w'],
        &[128, 9, 0, 0, 0, 0, 0, 0, 0, 4, 0, 8, 0, 0, 0, b'w'],
    ];
    for record in whole {
        for len in 0..record.len() {
            explain_redo(&record[..len], &mut |field| {
                assert!(field.bytes.end <= len, "{} of {len} bytes of {record:?}", field.name);
            });
        }
    }
}

/// Else a damaged leaf of such a tree could be looked at only in hexadecimal.
#[test]
#[cfg(feature = "fixed-width")]
fn a_leaf_of_fixed_width_is_told_entry_by_entry() {
    use mapleaf_btree::{Catalog, TreeOptions, explain_node};
    use mapleaf_pager::{Durability, OWNED_BYTES, Pages};

    let mut ram = vec![0; 1 << 20];
    let store = create(&mut ram, PAGE, 0);
    let mut writer = Writer::new(store.begin_write().unwrap()).unwrap();
    let tree = writer.create("t", TreeOptions::default().fixed_width(3, 5)).unwrap();
    let entries: Vec<_> = (0..9u8).map(|n| ([7, n, 1], [n; 5])).collect();
    for (key, value) in &entries {
        writer.tree(tree).unwrap().insert(key, value).unwrap();
    }
    writer.commit(Durability::Sync).unwrap();
    let snapshot = store.begin_read(0).unwrap();
    let tree = Catalog::new(&snapshot).unwrap().open("t").unwrap();
    let body = (&snapshot).page(tree.record().root).unwrap();
    let page = [&[0; OWNED_BYTES][..], body].concat();
    let (mut keys, mut values, mut numbers) = (Vec::new(), Vec::new(), Vec::new());
    explain_node(&page, &mut |field| match (field.name, field.value) {
        ("key", FieldValue::Bytes(bytes)) => keys.push((field.index, bytes.to_vec())),
        ("value", FieldValue::Bytes(bytes)) => values.push((field.index, bytes.to_vec())),
        (name, FieldValue::Number(number)) => numbers.push((name, number)),
        (_, other) => assert_eq!(other, FieldValue::None),
    });
    let numbered = || entries.iter().enumerate();
    assert_eq!(keys, numbered().map(|(i, (key, _))| (Some(i), key.to_vec())).collect::<Vec<_>>());
    assert_eq!(values, numbered().map(|(i, (_, v))| (Some(i), v.to_vec())).collect::<Vec<_>>());
    for wanted in [("entries", 9), ("bytes of a key", 3), ("bytes of a value", 5)] {
        assert!(numbers.contains(&wanted), "{numbers:?}");
    }
}
