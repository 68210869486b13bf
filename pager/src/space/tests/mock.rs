//! The running transaction as the space sees it, in memory.

use crate::page::OWNED_BYTES;
use crate::pins::Pins;
use crate::space::SpaceHost;
use crate::{Damage, Error, PageId, Result, TxnId};
use std::cell::Cell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;
use std::vec;
use std::vec::Vec;

/// The running transaction's side of the mock.
pub(super) struct Mock {
    pub(super) page_size: usize,
    /// Bodies of the pages that the space has written, and births of all.
    pub(super) bodies: HashMap<u32, Vec<u8>>,
    pub(super) births: HashMap<u32, TxnId>,
    pub(super) mapped: u32,
    /// The mapping grows no further.
    pub(super) mapped_max: u32,
    pub(super) birth: TxnId,
    pub(super) pins: Pins,
    /// What the pins will be when they are looked at again.
    pub(super) pins_now: Pins,
    /// Pages in the seal chain.
    pub(super) chain: HashSet<u32>,
    /// Per held state, the pages it reaches.
    pub(super) held: BTreeMap<u64, Rc<HashSet<u32>>>,
    /// Do not check pages that are started: for damaged stores.
    pub(super) hostile: bool,
    /// Pages of the space that were read.
    pub(super) reads: Cell<u64>,
}

impl Mock {
    pub(super) fn new(page_size: usize) -> Mock {
        Mock {
            page_size,
            bodies: HashMap::new(),
            births: HashMap::new(),
            mapped: 2,
            mapped_max: u32::MAX,
            birth: TxnId(0),
            pins: Pins::new(),
            pins_now: Pins::new(),
            chain: HashSet::new(),
            held: BTreeMap::new(),
            hostile: false,
            reads: Cell::new(0),
        }
    }

    /// What any page goes through that is claimed.
    pub(super) fn take(&mut self, id: u32) {
        if !self.hostile {
            assert!(self.chain.insert(id), "page {id} is in the seal chain twice");
            for (state, reached) in &self.held {
                assert!(!reached.contains(&id), "page {id} is given out, but {state} reaches it");
            }
        }
        let _ = self.births.insert(id, self.birth);
    }
}

impl SpaceHost for Mock {
    fn page_size(&self) -> usize {
        self.page_size
    }

    fn birth(&self) -> TxnId {
        self.birth
    }

    fn read(&self, id: PageId) -> Result<&[u8]> {
        self.reads.set(self.reads.get() + 1);
        if id.0 < 2 || id.0 >= self.mapped {
            return Err(Error::corrupt(id, Damage::OutOfRange));
        }
        let body = self.bodies.get(&id.0).ok_or(Error::corrupt(id, Damage::Checksum))?;
        if self.births[&id.0] > self.birth {
            return Err(Error::corrupt(id, Damage::BornLater));
        }
        Ok(body)
    }

    fn birth_of(&self, id: PageId) -> Result<TxnId> {
        self.births.get(&id.0).copied().ok_or(Error::corrupt(id, Damage::OutOfRange))
    }

    fn owned(&self, id: PageId) -> Result<bool> {
        Ok(self.birth_of(id)? == self.birth)
    }

    fn start(&mut self, id: PageId) -> Result<()> {
        self.take(id.0);
        // What else is on the page is unspecified.
        let mut body = vec![0xA5; self.page_size - OWNED_BYTES];
        body[..16].fill(0);
        let _ = self.bodies.insert(id.0, body);
        Ok(())
    }

    fn edit(&mut self, id: PageId) -> Result<&mut [u8]> {
        if !self.owned(id)? {
            return Err(Error::InvalidArgument);
        }
        let body = self.bodies.get_mut(&id.0).ok_or(Error::corrupt(id, Damage::Checksum))?;
        Ok(body)
    }

    fn grow(&mut self, page_count: u32) -> Result<()> {
        if page_count > self.mapped_max {
            return Err(Error::Full);
        }
        self.mapped = self.mapped.max(page_count);
        Ok(())
    }

    fn pins(&self) -> &Pins {
        &self.pins
    }

    fn refresh_pins(&mut self) {
        self.pins = self.pins_now;
    }
}
