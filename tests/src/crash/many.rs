//! Steps of many entries in one call, and the tree of fixed width.

use super::Step;
use super::life::{Life, Stop, Stopped};
use super::model::Model;
use super::verify::SimStore;
use mapleaf_btree::{Pending, TreeOptions, Writer};

/// A tree whose keys and values have one size each.
pub(super) const FIXED: &str = "fixed width";
/// Bytes of its keys.
const KEY_BYTES: u16 = 8;
/// Keys that it may have: a few leaves of them.
const KEYS: u64 = 80;
/// Entries that one step stores; one of them twice.
const EXTENDED: u64 = 24;
/// Of them, a call sorts so many at a time.
const SORTED: usize = 16;

/// A tree that is loaded, and never changed otherwise.
const LOADED: &str = "loaded";
/// Entries that one step loads.
const LOADS: u64 = 12;

/// Bytes of the values of fixed width: as many entries in a leaf, whatever the page.
pub(super) fn fixed_value_bytes(page: usize) -> u16 {
    (page / 32) as u16
}

impl Life<'_> {
    /// Removes neighbours of the tree of fixed width, and extends it.
    pub(super) fn extend(
        &mut self,
        writer: &mut Writer<'_>,
        model: &mut Model,
        step: Step,
    ) -> Stopped {
        let digit = u64::from(step.digit);
        let value_bytes = fixed_value_bytes(self.setup.page);
        let options = TreeOptions::default().fixed_width(KEY_BYTES, value_bytes);
        let handle = writer.open_or_create(FIXED, options)?;
        model.create(FIXED);
        let keys = model.keys(FIXED);
        let first = usize::from(step.digit) * keys.len() / 10;
        for key in keys.iter().skip(first).take(keys.len() / 3) {
            if !writer.tree(handle)?.remove(key)? || !model.remove(FIXED, key) {
                return Err(Stop::Wrong("a key of fixed width is not there".into()));
            }
        }
        let entry = |i: u64| {
            let key = (digit * 11 + i % (EXTENDED - 1) * 7) % KEYS;
            (key.to_be_bytes(), self.fresh(usize::from(value_bytes)))
        };
        let entries: Vec<_> = (0..EXTENDED).map(entry).collect();
        let pairs = entries.iter().map(|(key, value)| (&key[..], &value[..]));
        writer.tree(handle)?.extend(pairs.clone(), &mut [Pending::default(); SORTED])?;
        pairs.for_each(|(key, value)| model.put(FIXED, key, value));
        Ok(())
    }

    /// Loads entries behind the last.
    pub(super) fn load(
        &mut self,
        writer: &mut Writer<'_>,
        model: &mut Model,
        step: Step,
    ) -> Stopped {
        let handle = writer.open_or_create(LOADED, TreeOptions::default())?;
        model.create(LOADED);
        let there = model.keys(LOADED).len() as u64;
        let scale = self.setup.page / 512;
        let entry =
            |i: u64| (format!("loaded/{:04}", there + i).into_bytes(), self.fresh(24 * scale));
        let entries: Vec<_> = (0..LOADS).map(entry).collect();
        let fill = 55 + 5 * step.digit;
        writer.tree(handle)?.load(entries.iter().map(|(key, value)| (key, value)), fill)?;
        entries.iter().for_each(|(key, value)| model.put(LOADED, key, value));
        Ok(())
    }

    /// As `E` and `S`.
    pub(super) fn many(&mut self, store: &SimStore, step: Step, sync: bool) -> Stopped {
        let (mut writer, mut model) = (Writer::new(store.begin_write()?)?, self.draft());
        match step.letter {
            b'a' => self.load(&mut writer, &mut model, step)?,
            _ => self.extend(&mut writer, &mut model, step)?,
        }
        self.commit(writer, model, sync)
    }
}
