//! Entries of leaves, to be laid out in fresh pages.

use super::cells::{CELL_HEADER_BYTES, OFFSETS, RawCell, Value};
use super::fixed::FixedView;
use super::fixed_mut::FixedMut;
use super::heads::Heads;
#[cfg(feature = "fingerprints")]
use super::layout::PRINTS;
use super::layout::{LEAF, Shape, common_len, damaged, padded, stored, without};
#[cfg(feature = "fingerprints")]
use super::prints::Prints;
use super::slots::{SlotsMut, stored_offset, write_parts};
use super::split::{self, PageItems};
use super::tags::Tags;
use super::{ENTRY_OVERHEAD, Fit, LeafView, NewValue};
use crate::error::{Error, Result};
use crate::key::Key;
use core::ops::Range;

/// Cells that the lookup of a present key compares in vain, on average, before its page gets fingerprints.
#[cfg(feature = "fingerprints")]
const VAIN_MAX: usize = 1;

/// The entries of one leaf or of two neighbours, with a change that did not fit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LeafContent<'a> {
    left: LeafView<'a>,
    right: Option<LeafView<'a>>,
    change: Option<Change<'a>>,
}

/// Where an entry comes from.
enum Source<'a> {
    /// It is the change.
    New(Change<'a>),
    /// It lies in a page, as entry `.1`.
    Page(LeafView<'a>, usize),
}

#[derive(Clone, Copy, Debug)]
struct Change<'a> {
    /// Index of the entry, among those that will be.
    at: usize,
    key: Key<'a>,
    value: NewValue<'a>,
    /// The entry takes the place of one of the page.
    replaces: bool,
}

impl<'a> LeafContent<'a> {
    /// The entries of one leaf.
    pub(crate) fn of(leaf: impl Into<LeafView<'a>>) -> LeafContent<'a> {
        LeafContent { left: leaf.into(), right: None, change: None }
    }

    /// The entries of two neighbours.
    pub(crate) fn join(left: LeafView<'a>, right: LeafView<'a>) -> LeafContent<'a> {
        LeafContent { left, right: Some(right), change: None }
    }

    /// With an entry before entry `i`, as [`LeafMut::insert_at`](super::LeafMut::insert_at).
    /// At most one change: a second one replaces the first.
    pub(crate) fn insert(self, i: usize, key: &'a [u8], value: NewValue<'a>) -> LeafContent<'a> {
        let change = Change { at: i, key: Key::from(key), value, replaces: false };
        LeafContent { change: Some(change), ..self }
    }

    /// With another value for entry `i`. At most one change.
    ///
    /// # Errors
    /// `Layout`: no such entry.
    pub(crate) fn replace(self, i: usize, value: NewValue<'a>) -> Result<LeafContent<'a>> {
        let key = LeafContent { change: None, ..self }.key(i)?;
        let change = Change { at: i, key, value, replaces: true };
        Ok(LeafContent { change: Some(change), ..self })
    }

    /// Bytes that an entry takes on a page without a prefix.
    pub(crate) const fn entry_bytes(key_len: usize, value: NewValue<'_>) -> usize {
        ENTRY_OVERHEAD + key_len + value.stored_bytes()
    }

    /// Bytes of a page that all entries take when laid out in it, as far as the page counts right.
    ///
    /// # Errors
    /// As [`LeafView::key`].
    pub(crate) fn total_bytes(&self) -> Result<usize> {
        match self.left {
            LeafView::Fixed(leaf) => Ok(fixed_bytes(&leaf, self.len())),
            _ => PageItems::total_bytes(self),
        }
    }

    /// Number of entries.
    pub(crate) fn len(&self) -> usize {
        let inserted = self.change.is_some_and(|change| !change.replaces);
        self.left.count() + self.right.map_or(0, |right| right.count()) + usize::from(inserted)
    }

    /// Key of entry `i`.
    ///
    /// # Errors
    /// As [`LeafView::key`].
    pub(crate) fn key(&self, i: usize) -> Result<Key<'a>> {
        match self.source(i) {
            Source::New(change) => Ok(change.key),
            Source::Page(leaf, i) => leaf.key(i),
        }
    }

    /// Where entry `i` comes from.
    #[inline]
    fn source(&self, i: usize) -> Source<'a> {
        let mut i = i;
        match self.change {
            Some(change) if i == change.at => return Source::New(change),
            Some(change) if i > change.at && !change.replaces => i -= 1,
            _ => {}
        }
        match self.right {
            Some(right) if i >= self.left.count() => Source::Page(right, i - self.left.count()),
            _ => Source::Page(self.left, i),
        }
    }

    /// Bytes of a page that the entries of `range` take when laid out in it, header included.
    ///
    /// # Errors
    /// As [`LeafView::key`].
    pub(crate) fn page_bytes(&self, range: Range<usize>) -> Result<usize> {
        match self.left {
            LeafView::Fixed(leaf) => Ok(fixed_bytes(&leaf, range.len())),
            _ => split::page_bytes(self, range),
        }
    }

    /// Whether a change that found no room in place wants the page rebuilt or split.
    pub(super) fn fit(&self) -> Result<Fit> {
        split::fit(self, 2)
    }

    /// Where to cut so that both halves fit and take about as many bytes: index of the first entry
    /// of the right half, from 1 to `len - 1`.
    ///
    /// # Errors
    /// `Layout`: fewer than two entries, or no cut fits (the page is damaged).
    pub(crate) fn split_point(&self) -> Result<usize> {
        let len = self.len();
        match self.left {
            LeafView::Fixed(leaf) if len < 2 => Err(damaged(leaf.id())),
            LeafView::Fixed(_) => Ok(len / 2),
            _ => split::cut(self, 1),
        }
    }

    /// Makes the page a leaf of the entries of `range`, with the prefix they share; of fingerprints where
    /// they pay and `prints` says that they may be.
    ///
    /// `body` must have the length of the source's body. Where the change was a
    /// [`NewValue::Reserved`], its value is then at index `change - range.start`.
    ///
    /// # Errors
    /// `Layout`, of the source page: a cell leaves it, or the entries do not fit.
    pub(crate) fn fill(&self, range: Range<usize>, body: &mut [u8], prints: bool) -> Result<()> {
        if let LeafView::Fixed(leaf) = &self.left {
            return self.fill_fixed(leaf, range, body);
        }
        let prefix_len = self.prefix_len(&range)?;
        #[cfg(not(feature = "fingerprints"))]
        let _ = prints;
        #[cfg(feature = "fingerprints")]
        if prints && self.heads_tie(range.clone(), prefix_len)? || !self.fits_heads(&range)? {
            return self.fill_cells::<Prints>(range, prefix_len, body);
        }
        self.fill_cells::<Heads>(range, prefix_len, body)
    }

    /// As [`fill`](LeafContent::fill), a page of these tags.
    fn fill_cells<A: Tags>(
        &self,
        range: Range<usize>,
        prefix_len: usize,
        body: &mut [u8],
    ) -> Result<()> {
        let damaged = damaged(self.left.id());
        let prefix = match prefix_len {
            0 => Key::default(),
            len => self.key(range.start)?.truncated(len),
        };
        let mut slots = SlotsMut::init_for(body, A::SHAPE, prefix, range.len()).ok_or(damaged)?;
        // From the last to the first, so that entries lie in the heap in ascending order.
        for i in range.clone().rev() {
            let slot = i - range.start;
            match self.source(i) {
                Source::New(change) => write_new::<A>(&mut slots, slot, &change),
                Source::Page(leaf, i) => {
                    let (tag, cell) = leaf.raw(i)?;
                    let same_tags = has_shape(&leaf, A::SHAPE);
                    copy::<A>(&mut slots, slot, leaf.prefix(), (tag, same_tags), cell)
                }
            }
            .ok_or(damaged)?;
        }
        slots.share_gap();
        Ok(())
    }

    /// Whether the heads of these entries, behind a prefix of that length, send lookups to many cells in vain.
    ///
    /// # Errors
    /// As [`LeafView::key`].
    #[cfg(feature = "fingerprints")]
    pub(crate) fn heads_tie(&self, range: Range<usize>, prefix_len: usize) -> Result<bool> {
        // Of a run of equal heads, each entry's lookup compares those before it.
        let (mut run, mut vain, len) = (0, 0, range.len());
        let mut before = None;
        for i in range {
            let head = Some(self.head(i, prefix_len)?);
            run = if head == before { run + 1 } else { 0 };
            vain += run;
            before = head;
        }
        Ok(vain > VAIN_MAX * len)
    }

    /// Bytes an entry takes beside key and value.
    fn overhead(&self) -> usize {
        self.shape().slot_bytes + CELL_HEADER_BYTES
    }

    /// The head of entry `i` behind a prefix of that length.
    #[cfg(feature = "fingerprints")]
    fn head(&self, i: usize, prefix_len: usize) -> Result<u32> {
        match self.source(i) {
            Source::Page(LeafView::Heads(leaf), i)
                if leaf.prefix().len() == prefix_len && i < leaf.count() =>
            {
                Heads::at(leaf.tags, i).ok_or(damaged(leaf.id()))
            }
            _ => self.key(i).map(|key| Heads::tag_of(key, without(key, prefix_len))),
        }
    }

    /// Whether a leaf of heads has room for these entries: where none comes from one of fingerprints it has.
    #[cfg(feature = "fingerprints")]
    fn fits_heads(&self, range: &Range<usize>) -> Result<bool> {
        if self.shape().kind == LEAF.kind {
            return Ok(true);
        }
        let more = range.len() * (LEAF.slot_bytes - PRINTS.slot_bytes);
        let bytes = split::page_bytes(self, range.clone())?.saturating_sub(PRINTS.padding());
        Ok(bytes + more <= self.page_size())
    }

    /// The arrays that sizes are counted with: those of the smaller slots, where a page has such, since
    /// these entries fit with them.
    fn shape(&self) -> &'static Shape {
        #[cfg(feature = "fingerprints")]
        if matches!(self.left, LeafView::Prints(_))
            || matches!(self.right, Some(LeafView::Prints(_)))
        {
            return &PRINTS;
        }
        &LEAF
    }

    /// As [`fill`](LeafContent::fill), of a page as `leaf` is.
    fn fill_fixed(&self, leaf: &FixedView<'a>, range: Range<usize>, body: &mut [u8]) -> Result<()> {
        let damaged = damaged(leaf.id());
        let mut page = FixedMut::init(body, leaf.id(), leaf.width())?;
        for i in range {
            let (key, value) = match self.source(i) {
                Source::New(change) => (change.key, change.value),
                Source::Page(leaf, i) => match leaf.entry(i)? {
                    (key, Value::Inline(value)) => (key, NewValue::Inline(value)),
                    (_, Value::Run { .. }) => return Err(damaged),
                },
            };
            page.push(key.parts(), value).ok_or(damaged)?;
        }
        page.store();
        Ok(())
    }
}

/// Bytes of a page as `leaf` is that holds `count` entries.
fn fixed_bytes(leaf: &FixedView<'_>, count: usize) -> usize {
    mapleaf_pager::HEADER_BYTES + leaf.width().array_bytes(count)
}

/// Whether a page has these arrays.
fn has_shape(leaf: &LeafView<'_>, shape: &Shape) -> bool {
    !cfg!(feature = "fingerprints") || leaf.shape().is_some_and(|own| own.kind == shape.kind)
}

/// Writes an entry as `slot` of a page being filled.
fn write_new<A: Tags>(slots: &mut SlotsMut<'_>, slot: usize, entry: &Change<'_>) -> Option<()> {
    let rest = without(entry.key, slots.header.prefix_len);
    let at = slots.allocate(CELL_HEADER_BYTES + rest.len() + entry.value.stored_bytes())?;
    entry.value.write_cell(slots.body.get_mut(at..)?, rest.parts())?;
    A::store(slots, slot, A::tag_of(entry.key, rest));
    slots.set(OFFSETS, slot, stored_offset(at));
    Some(())
}

/// Copies an entry of a page with this prefix, and its tag if that page has the same, to `slot` of a page
/// being filled.
fn copy<A: Tags>(
    slots: &mut SlotsMut<'_>,
    slot: usize,
    prefix: &[u8],
    (tag, same_tags): (u32, bool),
    cell: RawCell<'_>,
) -> Option<()> {
    let prefix_len = slots.header.prefix_len;
    // What the new prefix leaves of the old one comes before the cell's key; what it takes more than
    // the old one goes from its start. Behind the key lies the value: all that is one piece.
    let before = prefix.get(prefix_len..).unwrap_or_default();
    let taken = prefix_len.saturating_sub(prefix.len());
    let bytes = cell.bytes.get(taken..)?;
    let key_len = cell.key_len.checked_sub(taken)?;
    let tag = if same_tags && (A::LASTS || prefix.len() == prefix_len) {
        tag
    } else {
        // Whole: its length was taken off the bytes above.
        let suffix = cell.bytes.get(..cell.key_len).unwrap_or_default();
        A::tag_of(Key::new(prefix, suffix), Key::new(before, bytes.get(..key_len)?))
    };
    let at = slots.allocate(CELL_HEADER_BYTES + before.len() + bytes.len())?;
    let lens = [stored(before.len() + key_len), cell.value_len.to_le_bytes()];
    write_parts(slots.body.get_mut(at..)?, [lens.as_flattened(), before, bytes])?;
    A::store(slots, slot, tag);
    slots.set(OFFSETS, slot, stored_offset(at));
    Some(())
}

impl PageItems for LeafContent<'_> {
    fn len(&self) -> usize {
        LeafContent::len(self)
    }
    fn damaged(&self) -> Error {
        damaged(self.left.id())
    }
    fn page_size(&self) -> usize {
        self.left.page_size()
    }
    fn prefix_len(&self, range: &Range<usize>) -> Result<usize> {
        if range.len() < 2 {
            return Ok(0);
        }
        Ok(common_len(self.key(range.start)?, self.key(range.end - 1)?))
    }
    /// Without touching the cells: most inserts that find no room end here, and then in a split that
    /// touches them anyway, but finds damage then.
    fn total_bytes(&self) -> Result<usize> {
        let (leaf, Some(change), None) = (self.left, self.change, self.right) else {
            return split::page_bytes(self, 0..self.len());
        };
        let prefix_len = self.prefix_len(&(0..self.len()))?;
        let old_len = leaf.prefix().len();
        let new = self.overhead() + change.key.len() + change.value.stored_bytes();
        let replaced = match change.replaces {
            true => self.shape().slot_bytes + leaf.cell_bytes(change.at)? + old_len,
            false => 0,
        };
        let more = padded(prefix_len) + leaf.count() * old_len + new;
        let less = padded(old_len) + self.len() * prefix_len + replaced;
        Ok((leaf.used_bytes() + more).saturating_sub(less))
    }
    #[inline]
    fn item_bytes(&self, i: usize, prefix_len: usize) -> Result<usize> {
        let key_and_value = match self.source(i) {
            Source::New(change) => change.key.len() + change.value.stored_bytes(),
            Source::Page(leaf, i) => leaf.prefix().len() + leaf.raw(i)?.1.bytes.len(),
        };
        Ok((self.overhead() + key_and_value).saturating_sub(prefix_len))
    }
    fn padding(&self) -> usize {
        self.shape().padding()
    }
}
