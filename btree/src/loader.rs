//! Appending entries one by one.

use crate::edit::{Editor, Fill};
use crate::error::Result;
use crate::place::Place;

/// Appends entries behind a tree's last; made by [`TreeMut::loader`](crate::TreeMut::loader).
///
/// Each entry is in the tree once it is pushed: there is nothing to finish.
pub struct Loader<'l, 's> {
    editor: Editor<'l, 's>,
    /// At the tree's last entry.
    place: Place,
    fill: Fill,
}

impl<'l, 's> Loader<'l, 's> {
    pub(crate) fn new(mut editor: Editor<'l, 's>, fill: Fill) -> Result<Loader<'l, 's>> {
        let place = editor.seek_end()?;
        Ok(Loader { editor, place, fill })
    }

    /// Appends an entry. Costs no way down the tree: its leaf, and once a leaf the pages above it.
    ///
    /// # Errors
    /// [`NotSorted`](crate::Error::NotSorted): the key is not above the last one; and as
    /// [`insert`](crate::TreeMut::insert). The loader can go on with another entry.
    pub fn push(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        self.editor.load(&mut self.place, self.fill, key, value)
    }
}
