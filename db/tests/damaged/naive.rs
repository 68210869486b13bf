//! A second reader of the format, written from docs/format.md alone: what must be readable of a file
//! whose pages are damaged, given the bytes before.

use std::collections::BTreeMap;

pub(crate) type Entries = BTreeMap<Vec<u8>, Vec<u8>>;
pub(crate) type Trees = BTreeMap<String, Entries>;

/// The file before and after the damage.
pub(crate) struct Naive<'a> {
    pub(crate) before: &'a [u8],
    pub(crate) after: &'a [u8],
    pub(crate) page: usize,
}

fn u16_at(bytes: &[u8], at: usize) -> usize {
    usize::from(u16::from_le_bytes(bytes[at..at + 2].try_into().unwrap()))
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> usize {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

/// Bytes of a leaf's array before its offsets: heads, or fingerprints.
pub(crate) fn tags_bytes(page: &[u8]) -> usize {
    let capacity = u16_at(page, 20);
    match page[16] {
        2 => capacity * 4,
        3 => capacity.next_multiple_of(2),
        kind => panic!("a leaf of kind {kind}"),
    }
}

impl Naive<'_> {
    fn bytes(&self, id: usize) -> &[u8] {
        &self.before[id * self.page..(id + 1) * self.page]
    }

    /// Whether a page is as it was.
    pub(crate) fn intact(&self, id: usize) -> bool {
        let range = id * self.page..(id + 1) * self.page;
        self.after.get(range.clone()) == Some(&self.before[range])
    }

    /// The slot of the newest state before the damage.
    pub(crate) fn newest(&self) -> usize {
        let state = |slot: usize| {
            let meta = self.bytes(slot);
            (u64_at(meta, 80), meta[54] & 1)
        };
        if state(0) >= state(1) { 0 } else { 1 }
    }

    /// Every entry that undamaged pages lead to, from the newest state on.
    pub(crate) fn readable(&self) -> Trees {
        let newest = self.newest();
        let mut trees = Trees::new();
        if self.intact(newest) {
            let record = &self.bytes(newest)[128..192];
            for (name, record) in self.tree(record) {
                trees.insert(String::from_utf8(name).unwrap(), self.tree(&record));
            }
        }
        trees
    }

    fn tree(&self, record: &[u8]) -> Entries {
        let mut entries = Entries::new();
        if record[4] > 0 {
            self.below(u32_at(record, 0), record[4], &mut entries);
        }
        entries
    }

    fn below(&self, id: usize, height: u8, entries: &mut Entries) {
        if !self.intact(id) {
            return;
        }
        let page = self.bytes(id);
        let (count, capacity, prefix) = (u16_at(page, 18), u16_at(page, 20), u16_at(page, 22));
        let arrays = 32 + prefix.next_multiple_of(4);
        if height > 1 {
            assert_eq!(page[16], 1);
            self.below(u32_at(page, 28), height - 1, entries);
            for i in 0..count {
                self.below(u32_at(page, arrays + (capacity + i) * 4), height - 1, entries);
            }
            return;
        }
        if page[16] == 4 {
            let (key, value) = (u16_at(page, 28), u16_at(page, 30));
            let values = 32 + (key * capacity).next_multiple_of(8);
            for i in 0..count {
                let (from, at) = (32 + key * i, values + value * i);
                entries.insert(page[from..from + key].to_vec(), page[at..at + value].to_vec());
            }
            return;
        }
        let offsets = arrays + tags_bytes(page);
        for i in 0..count {
            let cell = u16_at(page, offsets + i * 2);
            let (key_len, value_len) = (u16_at(page, cell), u16_at(page, cell + 2));
            let value_at = cell + 4 + key_len;
            let key = [&page[32..32 + prefix], &page[cell + 4..value_at]].concat();
            if value_len != 0xFFFF {
                entries.insert(key, page[value_at..value_at + value_len].to_vec());
                continue;
            }
            let (first, len) = (u32_at(page, value_at), u64_at(page, value_at + 8) as usize);
            let pages = (32 + len).div_ceil(self.page);
            if (first..first + pages).all(|page| self.intact(page)) {
                let at = first * self.page + 32;
                entries.insert(key, self.before[at..at + len].to_vec());
            }
        }
    }
}
