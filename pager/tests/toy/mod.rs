//! A tree layer of forty values, each in a page or run of its own, below one index page.

use mapleaf_pager::{
    Inspection, PageId, Pages, Part, Redo, RedoLog, Replay, Result, Root, WriteTxn,
};

pub(crate) const SLOTS: usize = 40;
pub(crate) const PAGE: usize = 512;
/// Values longer than this lie in runs.
const INLINE_MAX: usize = 400;

pub(crate) type Values = Vec<Option<Vec<u8>>>;

/// Where a value is: page number, and length in bytes + 1 (0: none), as stored in the index page.
fn entry(index: &[u8], slot: usize) -> (PageId, Option<usize>) {
    let at = 16 + slot * 8;
    let word = |at: usize| u32::from_le_bytes(index[at..at + 4].try_into().unwrap());
    (PageId(word(at)), (word(at + 4) as usize).checked_sub(1))
}

fn index_page(root: &Root) -> PageId {
    PageId(u32::from_le_bytes(root[..4].try_into().unwrap()))
}

fn get<'a, P: Pages<'a>>(pages: P, slot: usize) -> Result<Option<&'a [u8]>> {
    let index = index_page(pages.root());
    if index.is_none() {
        return Ok(None);
    }
    let (page, len) = entry(pages.page(index)?, slot);
    let Some(len) = len else { return Ok(None) };
    pages.verify(page)?;
    if len > INLINE_MAX {
        pages.run(page, len as u64).map(Some)
    } else {
        Ok(Some(&pages.page(page)?[16..16 + len]))
    }
}

pub(crate) fn values<'a, P: Pages<'a>>(pages: P) -> Result<Values> {
    (0..SLOTS).map(|slot| Ok(get(pages, slot)?.map(<[u8]>::to_vec))).collect()
}

pub(crate) fn put(
    txn: &mut WriteTxn<'_>,
    slot: usize,
    value: Option<&[u8]>,
    log: bool,
) -> Result<()> {
    let mut index = index_page((&*txn).root());
    if index.is_none() {
        index = txn.claim()?;
        let ([], [bytes]) = txn.edit([], [index])?;
        bytes[16..].fill(0);
    } else {
        index = txn.own(index)?;
    }
    let mut root = [0; 64];
    root[..4].copy_from_slice(&index.0.to_le_bytes());
    txn.set_root(&root);
    let (old, old_len) = entry((&*txn).page(index)?, slot);
    let mut page = PageId::NONE;
    if let Some(value) = value {
        if value.len() > INLINE_MAX {
            page = txn.claim_run(value.len() as u64)?;
            txn.run_mut(page)?.copy_from_slice(value);
        } else {
            page = match old_len {
                Some(len) if len <= INLINE_MAX => txn.own(old)?,
                _ => txn.claim()?,
            };
            let ([], [bytes]) = txn.edit([], [page])?;
            bytes[0] = 2;
            bytes[16..16 + value.len()].copy_from_slice(value);
        }
    }
    let len = value.map_or(0, |value| value.len() as u32 + 1);
    let ([], [bytes]) = txn.edit([], [index])?;
    let at = 16 + slot * 8;
    bytes[at..at + 4].copy_from_slice(&page.0.to_le_bytes());
    bytes[at + 4..at + 8].copy_from_slice(&len.to_le_bytes());
    match (old_len, value) {
        (Some(len), _) if len > INLINE_MAX => txn.free_run(old)?,
        (Some(_), Some(value)) if value.len() <= INLINE_MAX => {}
        (Some(_), _) => txn.free(old)?,
        (None, _) => {}
    }
    if log {
        let head = [slot as u8, u8::from(value.is_some())];
        match value {
            Some(value) if value.len() > INLINE_MAX => {
                txn.redo(&[Part::Bytes(&head), Part::Run(page, value.len() as u64)]);
            }
            Some(value) => txn.redo(&[Part::Bytes(&head), Part::Page(page, 16, value.len())]),
            None => txn.redo(&[Part::Bytes(&head)]),
        }
    }
    Ok(())
}

pub(crate) struct Toy;

impl Replay for Toy {
    fn replay<'s>(&mut self, mut txn: WriteTxn<'s>, log: RedoLog<'s>) -> Result<WriteTxn<'s>> {
        for step in log {
            if let Redo::Record(record) = step? {
                let value = (record[1] == 1).then_some(&record[2..]);
                put(&mut txn, usize::from(record[0]), value, true)?;
            }
        }
        Ok(txn)
    }

    fn prove(&mut self, inspection: &Inspection<'_>, _work: &mut [u8]) -> Result<()> {
        account(inspection);
        Ok(())
    }
}

/// Every page exactly once.
pub(crate) fn account(inspection: &Inspection<'_>) {
    let snapshot = inspection.snapshot();
    let mut uses: Vec<Vec<String>> = vec![Vec::new(); snapshot.page_count() as usize];
    inspection
        .visit(&mut |page, pages, used| {
            for at in page.0..page.0 + pages {
                uses[at as usize].push(format!("{used:?}"));
            }
        })
        .unwrap();
    let index = index_page(snapshot.root());
    if index.is_some() {
        uses[index.index()].push("index".into());
        for slot in 0..SLOTS {
            let (page, len) = entry(snapshot.page(index).unwrap(), slot);
            let Some(len) = len else { continue };
            let pages = if len > INLINE_MAX { (len + 32).div_ceil(PAGE) } else { 1 };
            for uses in &mut uses[page.index()..page.index() + pages] {
                uses.push(format!("slot {slot}"));
            }
        }
    }
    for (at, uses) in uses.iter().enumerate() {
        assert_eq!(uses.len(), 1, "page {at} is used as {uses:?}");
    }
}
