//! Many entries in one call.

use super::data::{self, Key, Len};
use super::txn::Txn;
use mapleaf::TreeError;
use std::collections::BTreeMap;
use std::rc::Rc;

impl Txn<'_> {
    /// Entries in no order; some keys come twice, with another value each time.
    fn some_entries(&mut self, key: Key, count: u8, len: Len) -> Vec<(Vec<u8>, Rc<[u8]>)> {
        let len = self.sized_len(len.of_many(self.env.page_size));
        let entry = |i: u8| {
            self.stamp += 1;
            (self.key(key.after(i.wrapping_mul(29) / 2)), data::value(len, self.stamp))
        };
        (0..count).map(entry).collect()
    }

    pub(super) fn extend(&mut self, key: Key, count: u8, len: Len) {
        let entries = self.some_entries(key, count, len);
        let added = self.txn.extend(self.handle, entries.iter().cloned());
        let before = self.now().len();
        self.entries().extend(entries);
        assert_eq!(added, Ok((self.now().len() - before) as u64), "extend");
    }

    pub(super) fn load(&mut self, key: Key, count: u8, len: Len) {
        let entries: BTreeMap<_, _> = self.some_entries(key, count, len).into_iter().collect();
        let fill = 40 + count % 61;
        let last = self.now().keys().next_back().cloned();
        let (refused, above): (Vec<_>, Vec<_>) =
            entries.into_iter().partition(|(key, _)| last.as_ref().is_some_and(|last| key <= last));
        assert_eq!(self.tree().load(above.clone(), fill), Ok(above.len() as u64), "load");
        self.entries().extend(above);
        let loaded = self.tree().load(refused.clone(), fill);
        assert_eq!(loaded, if refused.is_empty() { Ok(0) } else { Err(TreeError::NotSorted) });
    }
}
