//! What the steps of a history do to a store and its model.

use super::Step;
use super::life::{Expect, Life, Stop, Stopped};
use super::model::{Model, found};
use super::verify::SimStore;
use crate::sim::SimMapping;
use mapleaf_btree::{TreeOptions, Writer};
use mapleaf_pager::Durability;
use std::sync::mpsc::{Receiver, Sender, channel};

/// Trees of all histories.
const TREES: [&str; 2] = ["t", "another tree"];

/// Entries that `F` puts.
const MANY: u64 = 24;

fn durability(sync: bool) -> Durability {
    if sync { Durability::Sync } else { Durability::Eventual }
}

/// A value that no other step puts.
fn value(fill: u64, len: usize) -> Vec<u8> {
    crate::data::value(fill, 1, len)
}

/// Stops at flushes, and says so; goes on when what it said is dropped.
pub(super) fn gate(mapping: &SimMapping<Expect>, once: bool) -> Receiver<Sender<()>> {
    let (arrive, arrived) = channel();
    let mut open = false;
    mapping.on_flush(Some(Box::new(move |block| {
        // A checkpoint's first flush may be that of a meta; its state is chosen later.
        if open || (once && block) {
            return;
        }
        open = once;
        let (go, wait) = channel::<()>();
        if arrive.send(go).is_ok() {
            let _ = wait.recv();
        }
    })));
    arrived
}

impl Life<'_> {
    pub(super) fn fresh(&mut self, len: usize) -> Vec<u8> {
        self.fill += 1;
        value(self.fill, len)
    }

    /// Puts an entry in store and model.
    fn put(
        &mut self,
        writer: &mut Writer<'_>,
        model: &mut Model,
        key: &str,
        len: usize,
    ) -> Stopped {
        let value = self.fresh(len);
        // Keys of one tree begin with one letter.
        let tree = TREES[usize::from(key.starts_with('o'))];
        let handle = writer.open_or_create(tree, TreeOptions::default())?;
        writer.tree(handle)?.insert(key.as_bytes(), &value)?;
        model.put(tree, key.as_bytes(), &value);
        Ok(())
    }

    pub(super) fn commit(&mut self, writer: Writer<'_>, model: Model, sync: bool) -> Stopped {
        self.attempt(model);
        writer.commit(durability(sync))?;
        self.committed(sync);
        Ok(())
    }

    /// Steps but those that begin or end something.
    pub(super) fn step(&mut self, store: &SimStore, step: Step) -> Stopped {
        let sync = step.letter.is_ascii_uppercase() || step.letter == b's';
        match step.letter {
            b's' | b'e' | b'S' | b'E' | b'L' | b'l' | b'F' => {
                let sync = sync && !b"EF".contains(&step.letter);
                let (mut writer, mut model) = (Writer::new(store.begin_write()?)?, self.draft());
                self.puts(&mut writer, &mut model, step)?;
                self.commit(writer, model, sync)
            }
            b'D' | b'd' => self.remove(store, step, sync),
            b'M' | b'm' | b'a' => self.many(store, step, sync),
            b'p' => self.savepoint(store, step),
            b'n' => {
                let (mut writer, mut model) = (Writer::new(store.begin_write()?)?, self.draft());
                self.puts(&mut writer, &mut model, Step { letter: b'S', ..step })
            }
            b'c' => {
                store.checkpoint()?;
                self.all_durable();
                Ok(())
            }
            b'y' => {
                store.sync()?;
                self.all_durable();
                Ok(())
            }
            b'b' | b'h' => self.beside(store, step),
            b'w' => self.around(store, step),
            b'v' => self.watched(store, step),
            b'g' => self.group(store, step),
            letter => Err(Stop::Wrong(format!("no such step: {}", letter as char))),
        }
    }

    pub(super) fn puts(
        &mut self,
        writer: &mut Writer<'_>,
        model: &mut Model,
        step: Step,
    ) -> Stopped {
        let (scale, digit) = (self.setup.page / 512, u64::from(step.digit));
        match step.letter {
            b's' | b'e' => {
                let key = if digit < 8 { format!("k{digit}") } else { format!("o{digit}") };
                self.put(writer, model, &key, 20 + 3 * step.digit as usize)
            }
            b'L' | b'l' => {
                let len = (2 + step.digit as usize % 2) * self.setup.page + 50;
                self.put(writer, model, &format!("large{}", digit % 3), len)
            }
            b'F' => (0..MANY).try_for_each(|i| {
                let key = format!("many/{:02}", (digit * 7 + i * 5) % 60);
                self.put(writer, model, &key, 40 * scale)
            }),
            _ => (0..4).try_for_each(|i| {
                let key = format!("some/{:02}", (digit * 4 + i * 9) % 40);
                self.put(writer, model, &key, 80 * scale)
            }),
        }
    }

    fn remove(&mut self, store: &SimStore, step: Step, sync: bool) -> Stopped {
        let (mut writer, mut model) = (Writer::new(store.begin_write()?)?, self.draft());
        let tree = TREES[usize::from(step.digit >= 8)];
        if step.digit >= 8 {
            let dropped = writer.drop_tree(tree)?;
            if dropped != model.drop_tree(tree) {
                return Err(Stop::Wrong("a tree is there that was not, or the other way".into()));
            }
            return self.commit(writer, model, sync);
        }
        let keys = model.keys(tree);
        if !keys.is_empty() {
            let handle = writer.open_or_create(tree, TreeOptions::default())?;
            // Neighbours, so that pages merge.
            let first = usize::from(step.digit) * keys.len() / 8;
            for key in keys.iter().skip(first).take(1 + keys.len() / 4) {
                if !writer.tree(handle)?.remove(key)? || !model.remove(tree, key) {
                    return Err(Stop::Wrong("a key to remove is not there".into()));
                }
            }
        }
        self.commit(writer, model, sync)
    }

    fn savepoint(&mut self, store: &SimStore, step: Step) -> Stopped {
        let (mut writer, mut model) = (Writer::new(store.begin_write()?)?, self.draft());
        self.puts(&mut writer, &mut model, Step { letter: b's', ..step })?;
        let (savepoint, before) = (writer.savepoint()?, model.clone());
        self.puts(&mut writer, &mut model, Step { letter: b'S', ..step })?;
        self.puts(&mut writer, &mut model, Step { letter: b'L', ..step })?;
        if step.digit % 4 == 3 {
            writer.release(savepoint)?;
        } else {
            writer.rollback_to(savepoint)?;
            model = before;
        }
        self.puts(&mut writer, &mut model, Step { letter: b's', digit: (step.digit + 1) % 8 })?;
        self.commit(writer, model, false)
    }

    /// A transaction that is open around a checkpoint and a `sync`.
    fn around(&mut self, store: &SimStore, step: Step) -> Stopped {
        let (mut writer, mut model) = (Writer::new(store.begin_write()?)?, self.draft());
        self.puts(&mut writer, &mut model, Step { letter: b'S', ..step })?;
        store.checkpoint()?;
        self.all_durable();
        self.puts(&mut writer, &mut model, Step { letter: b's', ..step })?;
        store.sync()?;
        self.puts(&mut writer, &mut model, Step { letter: b'l', ..step })?;
        self.commit(writer, model, true)
    }

    /// A checkpoint, and three commits during its flush of the pages, or before, half-way through the publication
    /// of what is held.
    fn beside(&mut self, store: &SimStore, step: Step) -> Stopped {
        let mapping = &self.mapping.clone();
        let durable = self.possible.len().saturating_sub(1);
        std::thread::scope(|scope| {
            let arrived = gate(mapping, true);
            let checkpoint = scope.spawn(move || {
                let result = match step.letter {
                    b'h' => store.checkpoint_aside(),
                    _ => store.checkpoint(),
                };
                mapping.on_flush(None);
                result
            });
            let mut wrote = Ok(());
            if let Ok(go) = arrived.recv() {
                mapping.keep_gate(Some(go));
                let before = store.stats();
                for digit in [step.digit, (step.digit + 1) % 10, (step.digit + 2) % 10] {
                    let letter = b"eEd"[usize::from(digit % 3)];
                    wrote = wrote.and_then(|()| self.step(store, Step { letter, digit }));
                    // Not finished: one that the commit waited for would be counted by now.
                    let after = store.stats();
                    if after.txn > before.txn && after.checkpoints == before.checkpoints {
                        self.met_beside();
                    }
                }
            }
            mapping.keep_gate(None);
            let result = checkpoint.join().map_err(|_| Stop::Wrong("a panic".into()))?;
            result?;
            wrote?;
            self.possible.drain(..durable.min(self.possible.len().saturating_sub(1)));
            self.note();
            Ok(())
        })
    }

    /// A commit whose flushes a reader watches: nothing of it is seen before it is durable.
    fn watched(&mut self, store: &SimStore, step: Step) -> Stopped {
        let (mut writer, mut model) = (Writer::new(store.begin_write()?)?, self.draft());
        let letter = if step.digit.is_multiple_of(2) { b'L' } else { b's' };
        self.puts(&mut writer, &mut model, Step { letter, ..step })?;
        let before = self.draft().hash;
        self.attempt(model);
        let mapping = &self.mapping.clone();
        let early = std::thread::scope(|scope| {
            let arrived = gate(mapping, false);
            let commit = scope.spawn(move || {
                let result = writer.commit(Durability::Sync);
                mapping.on_flush(None);
                result
            });
            let mut early = false;
            while let Ok(go) = arrived.recv() {
                let seen = store.begin_read(3).ok().and_then(|reader| found(&reader).ok());
                early |= seen != Some(before);
                drop(go);
            }
            commit.join().map_err(|_| Stop::Wrong("a panic".into()))??;
            Stopped::Ok(early)
        })?;
        if early {
            return Err(Stop::Wrong("a reader sees a commit that power loss may undo".into()));
        }
        self.committed(true);
        Ok(())
    }
}
