//! How a program's database is made: where it lives, its pages, its log.

#![allow(unsafe_code)] // Opens mapped files that the program has made.

use mapleaf::{Builder, Create, Database, WriteMode};
use quickcheck::{Arbitrary, Gen};
use std::path::Path;

/// Where a database lives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Backing {
    Memory,
    Buffered,
    Mapped(WriteMode),
}

/// Choices for a database.
#[derive(Clone, Copy, Debug)]
pub(super) struct Setup {
    pub(super) backing: Backing,
    pub(super) page_size: u32,
    /// Bytes of the log at first and at most.
    log: (u64, u64),
    /// A thread makes checkpoints: such a program need not fail twice.
    pub(super) background: bool,
}

/// Reader slots: more than a program holds and uses at a time.
pub(super) const READERS: u32 = 24;
/// What a database may grow to.
const CAPACITY_BYTES: u64 = 2 << 30;
/// Sizes of logs: none, small rings that come round often, and one that grows.
const LOGS: [(u64, u64); 5] = [
    (0, 0),
    (64 << 10, 64 << 10),
    (128 << 10, 128 << 10),
    (256 << 10, 1 << 20),
    (1 << 20, 8 << 20),
];

impl Setup {
    pub(super) fn is_file(&self) -> bool {
        self.backing != Backing::Memory
    }

    pub(super) fn builder(&self) -> Builder {
        let builder = Builder::new()
            .page_size(self.page_size)
            .log_bytes(self.log.0, self.log.1)
            .reader_slots(READERS)
            .background(self.background)
            .capacity_bytes(CAPACITY_BYTES);
        match self.backing {
            Backing::Mapped(mode) => builder.write_mode(mode),
            _ => builder,
        }
    }

    /// Opens the file as the setup has it.
    pub(super) fn open(&self, builder: Builder, path: &Path) -> mapleaf::Result<Database> {
        match self.backing {
            Backing::Memory => builder.in_memory(),
            Backing::Buffered => builder.open_buffered(path),
            // SAFETY: mapleaf made the file, and nothing else changes it.
            Backing::Mapped(_) => unsafe { builder.open(path) },
        }
    }

    /// Makes the database.
    pub(super) fn make(&self, path: &Path) -> Database {
        self.open(self.builder().create(Create::New), path).unwrap()
    }

    /// Repairs a file that is not open.
    pub(super) fn repair(&self, path: &Path) -> mapleaf::Result<mapleaf::RepairReport> {
        match self.backing {
            // SAFETY: nothing changes the file meanwhile.
            Backing::Mapped(_) => unsafe { Database::repair(path) },
            _ => Database::repair_buffered(path),
        }
    }
}

impl Arbitrary for Setup {
    fn arbitrary(g: &mut Gen) -> Setup {
        let backing = match u8::arbitrary(g) % 16 {
            0 => Backing::Buffered,
            1 | 2 => Backing::Mapped(WriteMode::Shadow),
            3 | 4 => Backing::Mapped(WriteMode::InPlace),
            _ => Backing::Memory,
        };
        // The small ones, where trees are deep, more often.
        let bits = match u8::arbitrary(g) % 16 {
            0..=5 => 9,
            6..=7 => 10,
            8 => 11,
            9..=11 => 12,
            12 => 13,
            13 => 14,
            14 => 15,
            _ => 16,
        };
        let smallest = if backing == Backing::Memory { 9 } else { 12 };
        Setup {
            backing,
            page_size: 1 << bits.max(smallest),
            log: *g.choose(&LOGS).unwrap_or(&LOGS[0]),
            background: u8::arbitrary(g) % 16 == 0,
        }
    }

    fn shrink(&self) -> Box<dyn Iterator<Item = Setup>> {
        let this = *self;
        let memory = Setup { backing: Backing::Memory, ..this };
        let buffered = Setup { backing: Backing::Buffered, ..this };
        let smallest = if this.is_file() { 4096 } else { 512 };
        let mut simpler = Vec::new();
        if this.background {
            simpler.push(Setup { background: false, ..this });
        }
        if this.is_file() {
            simpler.push(memory);
        }
        if matches!(this.backing, Backing::Mapped(_)) {
            simpler.push(buffered);
        }
        if this.page_size > smallest {
            simpler.push(Setup { page_size: smallest, ..this });
        }
        if this.log != (0, 0) {
            simpler.push(Setup { log: (0, 0), ..this });
        }
        Box::new(simpler.into_iter())
    }
}
