//! Visits of damaged spaces, for `check`: what no page can be is told of nowhere, and no list is walked that is none.

use super::surveyed::{entry, everything};
use crate::space::entry::{Chain, Entry};
use crate::space::{Space, SpaceStats};
use crate::{Damage, Error, PageId, Result, TxnId};
use std::vec::Vec;

/// Entries of all lists of [`everything`], pages of its bitmap that are free.
const WAITING: u32 = 41;
const FREE: u32 = 8;

fn visit(store: &super::Store, space: &Space) -> (Vec<(u32, u32)>, Result<()>) {
    let mut told = Vec::new();
    let visited = space.visit(&store.mock, &mut |first, pages, _| told.push((first.0, pages)));
    (told, visited)
}

/// A space that counts what it has, and `more` that waits.
fn counted(store: &super::Store, more: u32) -> Space {
    let stats = SpaceStats { free_pages: FREE, pinned_pages: WAITING + more, ..store.space.stats };
    Space { stats, ..store.space }
}

/// Else a check would index its bits by a page that the file does not have.
#[test]
fn pages_that_the_file_does_not_have_are_not_told_of() {
    let store = everything();
    let (told, visited) = visit(&store, &counted(&store, 0));
    let pages: u32 = told.iter().map(|(_, pages)| pages).sum();
    assert_eq!((pages, visited), (WAITING + FREE + 11, Ok(())));
    let end = store.space.page_count;
    for (first, pages) in [(0, 1), (1, 2), (end, 1), (end - 1, 2), (20, 0), (20, u32::MAX)] {
        let mut store = everything();
        let list = Entry { pages, ..entry(first) };
        let pushed = store.space.push_entry(&mut store.mock, store.space.fresh, &list);
        store.space.fresh = pushed.unwrap();
        let (told, visited) = visit(&store, &counted(&store, pages.min(WAITING)));
        assert_eq!(visited, Err(Error::corrupt(PageId(first), Damage::OutOfRange)));
        let outside = told.contains(&(first, pages));
        assert!(!outside, "{first}, {pages}: {told:?}");
    }
}

/// Else a list that is linked to from two places would be told of twice, and links that lead back to themselves walked
/// for as long as the stack lasts.
#[test]
fn a_link_is_one_in_the_list_of_those_that_ended_alone() {
    for place in 0..4 {
        let mut store = everything();
        let linked = store.space.push_entry(&mut store.mock, Chain::EMPTY, &entry(20)).unwrap();
        let list = match place {
            0 => store.space.fresh,
            1 => store.space.walking,
            2 => store.space.buckets.as_slice()[0].chain,
            _ => linked,
        };
        let list = store.space.push_entry(&mut store.mock, list, &linked.as_link()).unwrap();
        match place {
            0 => store.space.fresh = list,
            1 => store.space.walking = list,
            2 => store.space.buckets.as_mut_slice()[0].chain = list,
            _ => {
                let ended = store.space.ended;
                let ended = store.space.push_entry(&mut store.mock, ended, &list.as_link());
                store.space.ended = ended.unwrap();
            }
        }
        let (_, visited) = visit(&store, &counted(&store, 1));
        assert_eq!(visited, Err(Error::corrupt(list.head, Damage::Layout)), "{place}");
    }
}

/// Else a check would call sound a store of which a repair, or the next walk of its lists, refuses a page.
#[test]
fn nothing_was_freed_before_it_was_born() {
    for (birth, sound) in [(3, true), (4, false)] {
        let mut store = everything();
        let list = Entry { birth: TxnId(birth), ..entry(20) };
        let pushed = store.space.push_entry(&mut store.mock, store.space.walking, &list);
        store.space.walking = pushed.unwrap();
        let wanted = Error::corrupt(store.space.walking.head, Damage::Layout);
        let (_, visited) = visit(&store, &counted(&store, 1));
        assert_eq!(visited, if sound { Ok(()) } else { Err(wanted) });
    }
}
