//! Records that contradict themselves are refused, each by what is wrong with it alone.

use crate::space::bitmap::HEIGHT_MAX;
use crate::space::entry::{Bucket, Chain, Entry};
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
