//! Iteration over a range of keys, from both ends.

use crate::error::{Error, Result};
use crate::node::LeafView;
use crate::place::Place;
use crate::{Cursor, Entry, Tree};
use core::cmp::Ordering;
use mapleaf_pager::Pages;

/// The entries of a range of keys, in key order; [`DoubleEndedIterator`]. Ends after an error.
///
/// Making one costs two lookups; after that each entry touches its own leaf, and O(1) other pages
/// on average. Nothing allocates.
#[derive(Clone)]
pub struct Range<'a, P: Pages<'a>> {
    /// At the first entry still to come, while `left` is `Some(Ok)`.
    front: Cursor<'a, P>,
    /// At the last entry still to come.
    back: Cursor<'a, P>,
    /// Whether entries are still to come, or an error.
    left: Option<Result<(), Error>>,
}

impl<'a, P: Pages<'a>> Range<'a, P> {
    /// From where `front` goes to where `back` goes, both included.
    pub(crate) fn new(
        tree: Tree<'a, P>,
        front: impl FnOnce(&mut Place) -> Result<Option<LeafView<'a>>>,
        back: impl FnOnce(&mut Place) -> Result<Option<LeafView<'a>>>,
    ) -> Range<'a, P> {
        let mut range = Range { front: Cursor::new(tree), back: Cursor::new(tree), left: None };
        range.left = match range.front.moved(front).and_then(|()| range.back.moved(back)) {
            Ok(()) if range.is_empty() => None,
            other => Some(other),
        };
        range
    }

    /// Whether either end is at no entry, or the front is behind the back.
    fn is_empty(&self) -> bool {
        let (front, back) = (self.front.place(), self.back.place());
        if front.entry().is_none() || back.entry().is_none() {
            return true;
        }
        // Both paths start at one root, so the first step that differs tells.
        for level in 0..front.path.len() {
            let (Ok(a), Ok(b)) = (front.path.step(level), back.path.step(level)) else {
                return true;
            };
            match a.index().cmp(&b.index()) {
                Ordering::Equal => {}
                order => return order.is_gt(),
            }
        }
        false
    }

    /// The entry at one end, which then moves towards the other.
    fn take(
        &mut self,
        read: impl FnOnce(&Self) -> Result<Option<Entry<'a>>>,
        step: impl FnOnce(&mut Self) -> Result<()>,
    ) -> Option<Result<Entry<'a>>> {
        if let Err(error) = self.left? {
            self.left = None;
            return Some(Err(error));
        }
        let entry = read(self).transpose();
        let more = matches!(entry, Some(Ok(_))) && !self.front.is_at(&self.back);
        // An error in moving on is the next item.
        self.left = more.then(|| step(self));
        entry
    }
}

impl<'a, P: Pages<'a>> Iterator for Range<'a, P> {
    type Item = Result<Entry<'a>>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.take(|range| range.front.current(), |range| range.front.advance())
    }
}

impl<'a, P: Pages<'a>> DoubleEndedIterator for Range<'a, P> {
    #[inline]
    fn next_back(&mut self) -> Option<Self::Item> {
        self.take(|range| range.back.current(), |range| range.back.retreat())
    }
}

impl<'a, P: Pages<'a>> core::iter::FusedIterator for Range<'a, P> {}
