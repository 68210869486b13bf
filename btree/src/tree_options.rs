//! What a tree is made with.

use crate::FixedWidth;

/// What a new tree is made with.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct TreeOptions {
    /// The user's tag: any number.
    pub tag: u64,
    /// The sizes of all keys and values, where they are the same.
    pub fixed: Option<FixedWidth>,
}

impl TreeOptions {
    /// With this tag.
    #[must_use]
    pub const fn tag(mut self, tag: u64) -> TreeOptions {
        self.tag = tag;
        self
    }

    /// For keys of `key_bytes` bytes (1 or more) and values of `value_bytes`, and no others: its leaves hold
    /// nothing else, so that they hold more, and loads, scans and gets are faster. On pages of 4 KiB key and
    /// value have 1,015 bytes together at the most.
    ///
    /// Keys of integers are to be big-endian, so that their order is that of their bytes. Storing an entry
    /// of other sizes is [`WrongWidth`](crate::Error::WrongWidth); looking for such a key is allowed, and so are
    /// ranges between keys of any length.
    ///
    /// ```
    /// # use core::sync::atomic::AtomicU32;
    /// # use mapleaf_btree::{Error, FixedWidth, TreeOptions, Writer};
    /// # use mapleaf_pager::{Options, SliceMapping, Store, words_for};
    /// # let mut ram = vec![0u8; 1 << 20];
    /// # let words: [AtomicU32; words_for(4)] = [const { AtomicU32::new(0) }; words_for(4)];
    /// # let options = Options::default().log_bytes(0, 0);
    /// # let store = Store::create(SliceMapping::empty(&mut ram), words, &options)?;
    /// let mut writer = Writer::new(store.begin_write()?)?;
    /// let squares = writer.create("squares", TreeOptions::default().fixed_width(8, 8))?;
    /// let mut tree = writer.tree(squares)?;
    /// tree.load((0..1000u64).map(|n| (n.to_be_bytes(), (n * n).to_le_bytes())), 100)?;
    /// assert_eq!(tree.get(&12u64.to_be_bytes())?, Some(&144u64.to_le_bytes()[..]));
    /// let width = FixedWidth { key_bytes: 8, value_bytes: 8 };
    /// assert_eq!(tree.insert(b"short", &[0; 8]), Err(Error::WrongWidth { width }));
    /// # Ok::<(), mapleaf_btree::Error>(())
    /// ```
    #[must_use]
    #[cfg(feature = "fixed-width")]
    pub const fn fixed_width(mut self, key_bytes: u16, value_bytes: u16) -> TreeOptions {
        self.fixed = FixedWidth::new(key_bytes, value_bytes);
        self
    }
}
