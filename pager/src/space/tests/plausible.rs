//! Records that contradict themselves are refused, each by what is wrong with it alone; what is written can be read.

use super::Store;
use crate::space::bitmap::HEIGHT_MAX;
use crate::space::entry::{Bucket, Chain, Entry};
use crate::space::record::Limits;
use crate::space::{Space, SpaceStats};
use crate::{Damage, Error, PageId, TxnId};
use std::vec;
use std::vec::Vec;

const PAGE: usize = 512;
/// What a meta leaves for the record.
const RECORD_BYTES: usize = PAGE - 256;
const PAGES: u32 = 1000;

/// Something in every field, and as much counted as there is.
fn sound() -> Space {
    let mut space = Space::new(PAGES);
    space.bitmap = PageId(5);
    space.height = 1;
    space.stats = SpaceStats { free_pages: 500, pinned_pages: 400, space_pages: 100 };
    (space.started, space.base) = (TxnId(9), TxnId(8));
    let chain = Chain { head: PageId(30), head_len: 2, entries: 20 };
    (space.walking, space.ended) = (chain, Chain { head: PageId(31), ..chain });
    assert!([10, 11].into_iter().all(|page| space.reserve.push(page)));
    assert!([2, 13, PAGES - 1].into_iter().all(|page| space.ready.push(page)));
    space.claimable = 3;
    let entry = Entry { page: PageId(20), pages: 3, birth: TxnId(4), freed_at: TxnId(4) };
    let _ = space.pinned.push(entry);
    let bucket = Bucket { tag: TxnId(3), chain: Chain { head: PageId(32), ..chain } };
    let _ = space.buckets.push(bucket);
    space
}

fn encoded(space: &Space) -> Vec<u8> {
    let mut record = vec![0; RECORD_BYTES];
    space.encode(PAGE, &mut record);
    record
}

const REFUSED: Option<Error> = Some(Error::corrupt(PageId::NONE, Damage::Layout));

/// Else files that are there would be read as something else; or what a savepoint has saved would be lost, and after
/// going back to it nothing that is freed be reused.
#[test]
fn each_field_of_a_record_stands_where_the_format_has_it() {
    let mut space = sound();
    space.closing = true;
    space.claimable = 1;
    let record = encoded(&space);
    let word = |at: usize| u32::from_le_bytes(record[at..at + 4].try_into().unwrap());
    let long = |at: usize| u64::from_le_bytes(record[at..at + 8].try_into().unwrap());
    let chain = |at: usize| (word(at), word(at + 4), record[at + 8], record[at + 9]);
    assert_eq!((word(0), word(4), record[8]), (PAGES, 5, 1));
    assert_eq!(record[9..16], [2, 3, 1, 1, 1, 1, 0]);
    assert_eq!([16, 20, 24].map(word), [500, 400, 100]);
    assert_eq!([28, 36].map(long), [9, 8]);
    let chains = [44, 54, 64].map(chain);
    assert_eq!(chains, [(0, 0, 0, 0), (30, 20, 2, 0), (31, 20, 2, 0)]);
    assert_eq!([74, 78, 82, 86, 90].map(word), [10, 11, 2, 13, PAGES - 1]);
    assert_eq!((word(94), word(98), long(102), long(110)), (20, 3, 4, 4));
    assert_eq!((long(118), chain(126)), (3, (32, 20, 2, 0)));
    assert!(record[136..].iter().all(|byte| *byte == 0));
    let again = Space::decode(PAGE, &record).unwrap();
    assert!(again == space && (again.started, again.base) == (TxnId(9), TxnId(8)));
}

/// Else a damaged record would be built upon: pages that are in use given out, or the walk through the lists led
/// astray.
#[test]
fn a_record_that_cannot_be_is_refused() {
    let record = encoded(&sound());
    assert!(encoded(&Space::decode(PAGE, &record).unwrap()) == record);
    assert!(Space::decode(PAGE, &encoded(&Space::new(2))).is_ok());
    let refuses = |what: &str, change: &dyn Fn(&mut Space)| {
        let mut space = sound();
        change(&mut space);
        assert_eq!(Space::decode(PAGE, &encoded(&space)).err(), REFUSED, "{what}");
    };
    assert_eq!(Space::decode(PAGE, &encoded(&Space::new(1))).err(), REFUSED, "no metas");
    refuses("a bitmap without height", &|space| space.height = 0);
    refuses("a height without bitmap", &|space| space.bitmap = PageId::NONE);
    refuses("too high", &|space| space.height = HEIGHT_MAX as u8 + 1);
    refuses("a bitmap behind the end", &|space| space.bitmap = PageId(PAGES));
    refuses("a bitmap in a meta", &|space| space.bitmap = PageId(1));
    refuses("more counted than there is", &|space| space.stats.free_pages += 1);
    refuses("more claimable than ready", &|space| space.claimable = 4);
    for page in [0, 1, PAGES] {
        refuses("a reserve outside", &|space| space.reserve.as_mut_slice()[1] = page);
        refuses("a ready page outside", &|space| space.ready.as_mut_slice()[0] = page);
    }
    refuses("freed before it was born", &|space| {
        space.pinned.as_mut_slice()[0].birth = TxnId(5);
    });
    refuses("pinned pages over the end", &|space| space.pinned.as_mut_slice()[0].pages = PAGES);
    refuses("a bucket of nothing", &|space| space.buckets.as_mut_slice()[0].chain = Chain::EMPTY);
    type Chosen = fn(&mut Space) -> &mut Chain;
    let chains: [Chosen; 4] = [
        |space| &mut space.fresh,
        |space| &mut space.walking,
        |space| &mut space.ended,
        |space| &mut space.buckets.as_mut_slice()[0].chain,
    ];
    for chosen in chains {
        let chain = Chain { head: PageId(30), head_len: 2, entries: 20 };
        refuses("a head outside", &|space| {
            *chosen(space) = Chain { head: PageId(PAGES), ..chain };
        });
        refuses("more on the head than in all", &|space| {
            *chosen(space) = Chain { entries: 1, ..chain };
        });
        refuses("a head of nothing", &|space| *chosen(space) = Chain { head_len: 0, ..chain });
        refuses("more entries than pages", &|space| {
            *chosen(space) = Chain { entries: PAGES + 1, ..chain };
        });
    }
    for (at, byte) in [(14, 2), (15, 1), (9, 5), (10, 9), (11, 5), (12, 3)] {
        let mut record = record.clone();
        record[at] = byte;
        assert_eq!(Space::decode(PAGE, &record).err(), REFUSED, "byte {at} is {byte}");
    }
    let short = 74 + (4 + 8) * 4 + 4 * 24 + 2 * 18;
    assert!(Space::decode(PAGE, &record[..short]).is_ok());
    assert_eq!(Space::decode(PAGE, &record[..short - 1]).err(), REFUSED, "cut");
}

/// Else a commit would write a record that no opening reads.
#[test]
fn no_list_outgrows_its_record() {
    for page_size in [512, 1024, 2048, 4096] {
        let limits = Limits::new(page_size);
        let mut store = Store::new(page_size);
        store.begin().unwrap();
        let _ = store.space.grow(&mut store.mock, 2000).unwrap();
        let (mock, space) = (&mut store.mock, &mut store.space);
        let entry = |at: usize| Entry {
            page: PageId(10 + 2 * at as u32),
            pages: 1,
            birth: TxnId(3),
            freed_at: TxnId(3),
        };
        space.stats.free_pages = 1000;
        let pushed = (0..2 * limits.ready as u32).filter(|at| space.push_ready(&limits, 600 + at));
        assert_eq!((pushed.count(), space.ready.len()), (limits.ready, limits.ready));
        for at in 0..2 * limits.buckets {
            space.file(mock, &limits, Some(TxnId(at as u64)), &entry(at)).unwrap();
        }
        assert_eq!(space.buckets.len(), limits.buckets);
        // The base's pin is somebody else's too: its list waits in a bucket, if one is left.
        for room in [false, true] {
            if room {
                let _ = space.buckets.pop();
            }
            space.file(mock, &limits, None, &entry(100)).unwrap();
            mock.pins.add(TxnId(1));
            space.end_fresh(mock, TxnId(1)).unwrap();
            assert_eq!(space.buckets.len(), limits.buckets);
            assert_eq!((space.fresh.is_empty(), space.walking.is_empty()), (true, false), "{room}");
        }
        assert!(space.ended.is_empty());
        assert_eq!(space.buckets.as_slice().last().map(|bucket| bucket.tag), Some(TxnId(1)));
        for at in 0..2 * limits.pinned {
            space.pin(mock, entry(200 + at)).unwrap();
            assert!(space.pinned.len() <= limits.pinned);
        }
        space.stats = SpaceStats { free_pages: 0, pinned_pages: 0, space_pages: 0 };
        let mut record = vec![0; page_size.min(4096) - 256];
        space.encode(page_size, &mut record);
        assert!(Space::decode(page_size, &record).is_ok(), "{page_size}");
    }
}
