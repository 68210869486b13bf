//! What errors say to people.

use mapleaf_pager::{Damage, Error, PageId, TxnId, Unsupported};
use std::collections::BTreeSet;

#[test]
fn every_error_says_something_of_its_own_in_plain_words() {
    let damages = [
        Damage::Checksum,
        Damage::OutOfRange,
        Damage::CutOff,
        Damage::Kind,
        Damage::BornLater,
        Damage::Layout,
        Damage::Order,
        Damage::Depth,
        Damage::Shared,
        Damage::Lost,
        Damage::Count,
        Damage::Redo,
        Damage::LogGap,
    ];
    let unsupported = [
        Unsupported::TooShort { bytes: 700 },
        Unsupported::NotMapleaf,
        Unsupported::Endianness,
        Unsupported::Version { found: 2 },
        Unsupported::Features { unknown: 8 },
        Unsupported::WriteFeatures { unknown: 8 },
        Unsupported::PageSize { found: 512, wanted: 4096 },
        Unsupported::Layout,
    ];
    let others = [
        Error::NoMeta,
        Error::Full,
        Error::Io { code: 5 },
        Error::Poisoned,
        Error::WriterBusy,
        Error::CheckpointBusy,
        Error::ReadersFull,
        Error::NeedsRecovery,
        Error::ReadOnly,
        Error::ValueTooLong,
        Error::InvalidArgument,
        Error::Stale,
        Error::WouldBlock { page: PageId(7), pages: 3 },
        Error::TxnFailed { txn: TxnId(7) },
    ];
    let all = damages
        .iter()
        .flat_map(|damage| [PageId(7), PageId::NONE].map(|page| Error::corrupt(page, *damage)))
        .chain(unsupported.map(Error::Unsupported))
        .chain(others);
    let mut said = BTreeSet::new();
    for error in all {
        let text = error.to_string();
        // Not the name of a variant, nor a sentence: what goes behind "app.leaf: ".
        assert!(text.contains(' ') && !text.ends_with('.') && !text.contains("::"), "{text}");
        assert!(said.insert(text), "{error:?} says what another one does");
    }
    assert!(said.contains("page 7 is damaged: its checksum does not match its bytes"), "{said:?}");
    assert!(said.contains("input/output error 5"));
    assert!(said.contains("transaction 7 failed half-way and can only be rolled back"));
}
