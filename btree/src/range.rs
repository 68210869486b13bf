//! Iteration over a range of keys, from both ends.

use crate::Entry;
use crate::error::Result;
use core::marker::PhantomData;
use mapleaf_pager::Pages;

/// The entries of a range of keys, in key order; [`DoubleEndedIterator`]. Ends after an error.
#[derive(Clone)]
pub struct Range<'a, P: Pages<'a>> {
    _p: PhantomData<(&'a (), P)>,
}

impl<'a, P: Pages<'a>> Iterator for Range<'a, P> {
    type Item = Result<Entry<'a>>;
    fn next(&mut self) -> Option<Self::Item> {
        unimplemented!()
    }
}

impl<'a, P: Pages<'a>> DoubleEndedIterator for Range<'a, P> {
    fn next_back(&mut self) -> Option<Self::Item> {
        unimplemented!()
    }
}

impl<'a, P: Pages<'a>> core::iter::FusedIterator for Range<'a, P> {}
