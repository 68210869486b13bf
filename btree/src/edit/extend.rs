//! Insertions in the order of their keys, so that each page is gone to once.

use super::{Editor, Source};
use crate::error::{Error, Result};
use crate::many::GROUP;
use crate::place::Place;
use crate::tree::Tree;

/// An entry waiting to be stored: what [`TreeMut::extend`](crate::TreeMut::extend) sorts. Made by
/// `default`.
#[derive(Clone, Copy, Default, Debug)]
pub struct Pending<'e> {
    /// The key's first bytes as a number, since most comparisons end there.
    head: u64,
    key: &'e [u8],
    value: &'e [u8],
    /// Its place in its batch: of two with the same key the later one counts.
    order: usize,
}

impl<'e> Pending<'e> {
    fn new(order: usize, key: &'e [u8], value: &'e [u8]) -> Pending<'e> {
        let mut bytes = [0; size_of::<u64>()];
        for (to, from) in bytes.iter_mut().zip(key) {
            *to = *from;
        }
        Pending { head: u64::from_be_bytes(bytes), key, value, order }
    }
}

impl Editor<'_, '_> {
    /// Stores the entries, a batch as large as `work` at a time; how many keys were new. Logs them.
    pub(crate) fn extend<'e>(
        &mut self,
        entries: impl IntoIterator<Item = (&'e [u8], &'e [u8])>,
        work: &mut [Pending<'e>],
    ) -> Result<u64> {
        if work.is_empty() {
            let needed_bytes = size_of::<Pending<'_>>();
            return Err(Error::WorkAreaTooSmall { needed_bytes });
        }
        self.forget_hint();
        let mut entries = entries.into_iter();
        let mut added = 0;
        loop {
            let mut len = 0;
            for (place, (key, value)) in work.iter_mut().zip(&mut entries) {
                *place = Pending::new(len, key, value);
                len += 1;
            }
            let batch = work.get_mut(..len).unwrap_or_default();
            if batch.is_empty() {
                return Ok(added);
            }
            added += self.put_batch(batch)?;
        }
    }

    fn put_batch(&mut self, batch: &mut [Pending<'_>]) -> Result<u64> {
        batch.sort_unstable_by(|a, b| {
            a.head.cmp(&b.head).then_with(|| a.key.cmp(b.key)).then_with(|| a.order.cmp(&b.order))
        });
        let mut place = Place::new();
        let mut added = 0;
        for (i, entry) in batch.iter().enumerate() {
            if i % GROUP == 0 {
                let group = batch.iter().skip(i).take(GROUP).map(|entry| entry.key);
                Tree::open(&*self.txn, *self.record).prefetch_leaves(group)?;
            }
            if batch.get(i + 1).is_some_and(|next| next.key == entry.key) {
                continue;
            }
            place.seek_on(&*self.txn, self.record, entry.key)?;
            let replaced = self.put(&mut place, entry.key, Source::Bytes(entry.value))?;
            self.log_put(&place, Some(entry.key), Some(entry.value))?;
            added += u64::from(!replaced);
        }
        Ok(added)
    }
}
