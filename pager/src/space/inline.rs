//! A short list that lives inside the state, and is copied with it.

/// Up to `N` items. Unlike `heapless::Vec` it is `Copy`, as the states that hold it are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Inline<T, const N: usize> {
    items: [T; N],
    len: usize,
}

impl<T: Copy, const N: usize> Inline<T, N> {
    /// An empty list; `filler` is what unused places hold.
    pub(super) const fn new(filler: T) -> Inline<T, N> {
        Inline { items: [filler; N], len: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(super) fn as_slice(&self) -> &[T] {
        self.items.get(..self.len).unwrap_or(&[])
    }

    pub(super) fn as_mut_slice(&mut self) -> &mut [T] {
        self.items.get_mut(..self.len).unwrap_or(&mut [])
    }

    pub(super) fn get(&self, at: usize) -> Option<T> {
        self.as_slice().get(at).copied()
    }

    /// Appends an item; false, and nothing done, where all `N` places are taken.
    #[must_use]
    pub(super) fn push(&mut self, item: T) -> bool {
        match self.items.get_mut(self.len) {
            Some(place) => {
                *place = item;
                self.len += 1;
                true
            }
            None => false,
        }
    }

    pub(super) fn pop(&mut self) -> Option<T> {
        let item = self.get(self.len.checked_sub(1)?);
        self.len -= 1;
        item
    }

    /// Takes the item at `at` out; the last one takes its place.
    pub(super) fn swap_remove(&mut self, at: usize) -> Option<T> {
        let item = self.get(at)?;
        let last = self.pop()?;
        if let Some(place) = self.as_mut_slice().get_mut(at) {
            *place = last;
        }
        Some(item)
    }

    /// Drops the first `count` items.
    pub(super) fn drop_front(&mut self, count: usize) {
        let count = count.min(self.len);
        self.items.copy_within(count..self.len, 0);
        self.len -= count;
    }

    /// Drops all but the first `len` items.
    pub(super) fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }
}

impl<T: Copy + PartialEq, const N: usize> PartialEq for Inline<T, N> {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl<T: Copy + Eq, const N: usize> Eq for Inline<T, N> {}
