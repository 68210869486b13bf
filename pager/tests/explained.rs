//! What `inspect` shows of the space's pages that few stores have.

use mapleaf_pager::{Field, FieldValue, PageId, TxnId, explain_page, kind};

const PAGE: usize = 512;

fn explained(page: &[u8]) -> Vec<Field<'_>> {
    let mut fields = Vec::new();
    explain_page(page, &mut |field| fields.push(field));
    fields
}

/// Else whoever looks for a lost page would take a link for a page that was freed, by a transaction that there is not.
#[test]
fn a_link_to_another_list_is_not_told_as_a_freed_page() {
    let mut page = [0; PAGE];
    page[16] = kind::FREED_LIST;
    page[18] = 2;
    // Page 7 to 9, born in 3 and freed in 5; a link to the list at page 21, of 4 and of 40 entries.
    let entries: [(usize, u32, u32, u64, u64); 2] = [(32, 7, 3, 3, 5), (56, 21, 4, 40, u64::MAX)];
    for (at, first, pages, birth, freed_at) in entries {
        page[at..at + 4].copy_from_slice(&first.to_le_bytes());
        page[at + 4..at + 8].copy_from_slice(&pages.to_le_bytes());
        page[at + 8..at + 16].copy_from_slice(&birth.to_le_bytes());
        page[at + 16..at + 24].copy_from_slice(&freed_at.to_le_bytes());
    }
    let fields = explained(&page);
    let told = |index| {
        let of = fields.iter().filter(move |field| field.index == Some(index));
        of.map(|field| (field.bytes.clone(), field.name, field.value)).collect::<Vec<_>>()
    };
    let freed = [
        (32..36, "first page", FieldValue::Page(PageId(7))),
        (36..40, "pages", FieldValue::Number(3)),
        (40..48, "birth", FieldValue::Txn(TxnId(3))),
        (48..56, "freed at", FieldValue::Txn(TxnId(5))),
    ];
    assert_eq!(told(0), freed);
    let link = [
        (56..60, "head page of a chain", FieldValue::Page(PageId(21))),
        (60..64, "entries in use on it", FieldValue::Number(4)),
        (64..72, "entries of the chain", FieldValue::Number(40)),
        (72..80, "freed at", FieldValue::Text("a link to another chain")),
    ];
    assert_eq!(told(1), link);
}

/// Else a page that was never written, or of a later version, would be shown as what it is not.
#[test]
fn each_kind_of_page_is_told_by_a_name_of_its_own() {
    let mut names = std::collections::BTreeSet::new();
    let mut page = [0; PAGE];
    for kind in 0..=u8::MAX {
        page[16] = kind;
        let told = explained(&page).into_iter().find(|field| field.name == "kind");
        let Some(Field { value: FieldValue::Text(name), .. }) = told else { panic!("{told:?}") };
        names.insert(name);
    }
    let known = [
        kind::INNER,
        kind::LEAF,
        kind::LEAF_FIXED,
        kind::LEAF_FINGERPRINT,
        kind::RUN,
        kind::BITMAP,
        kind::BITMAP_INNER,
        kind::FREED_LIST,
        kind::SAVEPOINT,
    ];
    // And one that was never written, and all that are unknown.
    assert_eq!(names.len(), known.len() + 2, "{names:?}");
    assert!(names.contains("never written") && names.contains("unknown"));
}
