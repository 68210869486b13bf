//! Iteration over a range of keys, from both ends.

use crate::error::{Error, Result};
use crate::node::LeafView;
use crate::place::Place;
use crate::{Cursor, Entry, Tree};
use core::cmp::Ordering;
use mapleaf_pager::Pages;

/// An end of a range.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum End {
    Front,
    Back,
}

/// What is still to come.
#[derive(Clone, Copy, Debug)]
enum Left {
    Nothing,
    Entries,
    /// This error, once; what would block, as often as it is asked for.
    Error(Error),
    /// Entries, once this end has moved past one that was given out.
    Blocked(End),
}

/// The entries of a range of keys, in key order; [`DoubleEndedIterator`]. Ends after an error.
///
/// Making one costs two lookups; after that each entry touches its own leaf, and O(1) other pages
/// on average. Nothing allocates. Where the store is expected to be larger than memory, 32 leaves are read
/// together as a scan comes to them, for one or two system calls.
///
/// One of a tree that is read [without waiting](Tree::without_waiting) does not end where it would block:
/// the same call can be repeated. Only where making it would have blocked it says so for ever: see
/// [`try_range`](Tree::try_range).
#[derive(Clone)]
pub struct Range<'a, P: Pages<'a>> {
    /// At the first entry still to come, while there are any.
    front: Cursor<'a, P>,
    /// At the last entry still to come.
    back: Cursor<'a, P>,
    left: Left,
}

impl<'a, P: Pages<'a>> Range<'a, P> {
    /// From where `front` goes to where `back` goes, both included.
    pub(crate) fn new(
        tree: Tree<'a, P>,
        front: impl FnOnce(&mut Place) -> Result<Option<LeafView<'a>>>,
        back: impl FnOnce(&mut Place) -> Result<Option<LeafView<'a>>>,
    ) -> Range<'a, P> {
        let (front_end, back_end) = (Cursor::new(tree), Cursor::new(tree));
        let mut range = Range { front: front_end, back: back_end, left: Left::Nothing };
        range.left = match range.front.moved(front).and_then(|()| range.back.moved(back)) {
            Ok(()) if range.is_empty() => Left::Nothing,
            Ok(()) => Left::Entries,
            Err(error) => Left::Error(error),
        };
        range
    }

    /// The range, or the error that making it has met.
    pub(crate) fn made(self) -> Result<Range<'a, P>> {
        if let Left::Error(error) = self.left { Err(error) } else { Ok(self) }
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

    /// The next entry; `None` at the end. As the iterator's `next`, in the shape that `?` likes.
    ///
    /// # Errors
    /// Damage; [`WouldBlock`](mapleaf_pager::Error::WouldBlock) where it is of a tree that is read without
    /// waiting: nothing has moved, and the call can be repeated.
    #[inline]
    pub fn try_next(&mut self) -> Result<Option<Entry<'a>>> {
        self.next().transpose()
    }

    /// The entry at one end, which then moves towards the other.
    #[inline]
    fn take(&mut self, end: End) -> Option<Result<Entry<'a>>> {
        match self.left {
            Left::Nothing => return None,
            Left::Entries => {}
            Left::Error(error) => {
                if !error.would_block() {
                    self.left = Left::Nothing;
                }
                return Some(Err(error));
            }
            Left::Blocked(end) => {
                if let Err(error) = self.step(end) {
                    return Some(Err(error));
                }
            }
        }
        let entry = match end {
            End::Front => self.front.current_forwards(),
            End::Back => self.back.current_backwards(),
        };
        if !P::WAITS && entry.as_ref().is_err_and(Error::would_block) {
            return entry.transpose();
        }
        self.left = Left::Nothing;
        if matches!(entry, Ok(Some(_))) && !self.front.is_at(&self.back) {
            // An error in moving on is the next item.
            if let Err(error) = self.step(end)
                && !error.would_block()
            {
                self.left = Left::Error(error);
            }
        }
        entry.transpose()
    }

    /// Moves an end on.
    #[inline]
    fn step(&mut self, end: End) -> Result<()> {
        let moved = match end {
            End::Front => self.front.advance(),
            End::Back => self.back.retreat(),
        };
        self.left = match moved {
            Ok(()) => Left::Entries,
            Err(error) if error.would_block() => Left::Blocked(end),
            Err(_) => Left::Nothing,
        };
        moved
    }
}

impl<'a, P: Pages<'a>> Iterator for Range<'a, P> {
    type Item = Result<Entry<'a>>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.take(End::Front)
    }
}

impl<'a, P: Pages<'a>> DoubleEndedIterator for Range<'a, P> {
    #[inline]
    fn next_back(&mut self) -> Option<Self::Item> {
        self.take(End::Back)
    }
}

impl<'a, P: Pages<'a>> core::iter::FusedIterator for Range<'a, P> {}
