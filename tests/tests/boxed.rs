//! A box of a mapping is the mapping; what a mapping need not say has defaults that promise nothing.

#![allow(unsafe_code)] // The mapping contract is unsafe to implement.

use mapleaf_pager::{Advice, Bytes, Error, Mapping, Residency, Result};
use std::ptr::NonNull;
use std::sync::{Arc, Mutex};

/// Writes down what it is asked, and answers nothing that is a default. Holds no bytes.
#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<Vec<String>>>);

impl Recorder {
    fn note(&self, what: String) {
        self.0.lock().unwrap().push(what);
    }

    fn refuse<T>(&self, code: i32, what: String) -> Result<T> {
        self.note(what);
        Err(Error::Io { code })
    }
}

// SAFETY: nothing is ever read or written through it: no store is made in it.
unsafe impl Mapping for Recorder {
    fn base(&self) -> NonNull<u8> {
        NonNull::<u64>::dangling().cast()
    }
    fn write_base(&self) -> NonNull<u8> {
        NonNull::<u128>::dangling().cast()
    }
    fn len(&self) -> u64 {
        self.note("len".into());
        71
    }
    fn write_unit(&self) -> u32 {
        self.note("write_unit".into());
        72
    }
    fn claimed(&self, offset: u64) -> bool {
        self.note(format!("claimed {offset}"));
        true
    }
    unsafe fn claim(&self, range: Bytes, keep: bool) -> Result<()> {
        self.refuse(1, format!("claim {range:?} {keep}"))
    }
    unsafe fn discard(&self, range: Bytes) {
        self.note(format!("discard {range:?}"));
    }
    unsafe fn publish(&self, ranges: &[Bytes]) -> Result<()> {
        self.refuse(2, format!("publish {ranges:?}"))
    }
    unsafe fn publish_bytes(&self, range: Bytes, parts: &[&[u8]]) -> Result<bool> {
        self.refuse(14, format!("publish_bytes {range:?} {parts:?}")).map(|()| true)
    }
    unsafe fn hold(&self, range: Bytes) -> Result<()> {
        self.refuse(3, format!("hold {range:?}"))
    }
    fn held(&self, offset: u64) -> bool {
        self.note(format!("held {offset}"));
        true
    }
    unsafe fn publish_held(&self, ranges: &[Bytes]) -> Result<()> {
        self.refuse(4, format!("publish_held {ranges:?}"))
    }
    unsafe fn publish_held_aside(
        &self,
        ranges: &[Bytes],
        pressed: &mut dyn FnMut() -> bool,
    ) -> Result<()> {
        self.refuse(4, format!("publish_held_aside {ranges:?} {}", pressed()))
    }
    unsafe fn release_held(&self, unseen: &mut dyn FnMut(u64) -> bool) {
        self.note(format!("release_held {}", unseen(512)));
    }
    fn laden(&self) -> bool {
        self.note("laden".into());
        true
    }
    fn overladen(&self) -> bool {
        self.note("overladen".into());
        true
    }
    unsafe fn flush(&self, ranges: &[Bytes]) -> Result<()> {
        self.refuse(5, format!("flush {ranges:?}"))
    }
    unsafe fn publish_and_flush(&self, range: Bytes) -> Result<()> {
        self.refuse(6, format!("publish_and_flush {range:?}"))
    }
    fn grow(&self, len: u64) -> Result<()> {
        self.refuse(7, format!("grow {len}"))
    }
    unsafe fn shrink(&self, len: u64) -> Result<()> {
        self.refuse(8, format!("shrink {len}"))
    }
    fn advise(&self, range: Bytes, advice: Advice) {
        self.note(format!("advise {range:?} {advice:?}"));
    }
    fn prefetch(&self, ranges: &[Bytes]) {
        self.note(format!("prefetch {ranges:?}"));
    }
    fn prefault(&self, range: Bytes) -> Result<()> {
        self.refuse(9, format!("prefault {range:?}"))
    }
    fn residency(&self, range: Bytes) -> Option<Residency> {
        self.note(format!("residency {range:?}"));
        Some(Residency::default())
    }
    fn resident(&self, range: Bytes) -> bool {
        self.note(format!("resident {range:?}"));
        false
    }
    fn sparse(&self) -> bool {
        self.note("sparse".into());
        true
    }
    fn lock(&self, range: Bytes) -> Result<()> {
        self.refuse(10, format!("lock {range:?}"))
    }
    fn unlock(&self, range: Bytes) -> Result<()> {
        self.refuse(11, format!("unlock {range:?}"))
    }
    fn pressure(&self) -> bool {
        self.note("pressure".into());
        true
    }
    fn guarded(&self) -> bool {
        self.note("guarded".into());
        true
    }
    fn probe(&self, range: Bytes) -> Result<()> {
        self.refuse(12, format!("probe {range:?}"))
    }
    fn health(&self) -> Result<()> {
        self.refuse(13, "health".into())
    }
    fn tend(&self) {
        self.note("tend".into());
    }
    fn relax(&self) {
        self.note("relax".into());
    }
    fn trace(&self, range: Bytes) {
        self.note(format!("trace {range:?}"));
    }
}

/// What comes back from each call.
fn answers(mapping: &dyn Mapping) -> Vec<String> {
    let (range, ranges) = (3..11, [1..2, 5..8]);
    let flags = [
        mapping.is_empty(),
        mapping.two_views(),
        mapping.claimed(21),
        mapping.held(22),
        mapping.laden(),
        mapping.overladen(),
        mapping.resident(range.clone()),
        mapping.sparse(),
        mapping.pressure(),
        mapping.guarded(),
    ];
    let results = [
        // SAFETY: there are no bytes behind the mapping that anybody could refer to.
        unsafe { mapping.claim(range.clone(), true) },
        // SAFETY: as above.
        unsafe { mapping.claim(range.clone(), false) },
        // SAFETY: as above.
        unsafe { mapping.publish(&ranges) },
        // SAFETY: as above.
        unsafe { mapping.publish_bytes(range.clone(), &[&[4], &[5, 6]]) }.map(drop),
        // SAFETY: as above.
        unsafe { mapping.hold(range.clone()) },
        // SAFETY: as above.
        unsafe { mapping.publish_held(&ranges) },
        // SAFETY: as above.
        unsafe { mapping.publish_held_aside(&ranges, &mut || true) },
        // SAFETY: as above.
        unsafe { mapping.flush(&ranges) },
        // SAFETY: as above.
        unsafe { mapping.publish_and_flush(range.clone()) },
        mapping.grow(99),
        // SAFETY: as above.
        unsafe { mapping.shrink(98) },
        mapping.prefault(range.clone()),
        mapping.lock(range.clone()),
        mapping.unlock(range.clone()),
        mapping.probe(range.clone()),
        mapping.health(),
    ];
    // SAFETY: as above.
    unsafe { mapping.discard(range.clone()) };
    // SAFETY: as above.
    unsafe { mapping.release_held(&mut |offset| offset == 512) };
    mapping.advise(range.clone(), Advice::Random);
    mapping.prefetch(&ranges);
    mapping.tend();
    mapping.relax();
    mapping.trace(range.clone());
    vec![
        format!("{:?}", (mapping.base(), mapping.write_base(), mapping.len())),
        format!("{:?} {:?}", mapping.write_unit(), mapping.residency(range)),
        format!("{flags:?} {results:?}"),
    ]
}

/// Else every database, whose mapping is in a box, would flush, hold or lock something else than it means to.
#[test]
fn a_box_passes_on_each_call_as_it_is() {
    let (plain, inner) = (Recorder::default(), Recorder::default());
    let boxed: Box<dyn Mapping> = Box::new(inner.clone());
    assert_eq!(answers(&boxed), answers(&plain));
    let (asked, wanted) = (inner.0.lock().unwrap(), plain.0.lock().unwrap());
    assert_eq!(*asked, *wanted);
    assert_eq!(wanted.len(), 35, "one call was not asked for: {wanted:?}");
    assert!(plain.behind().is_none());
    let behind = boxed.behind().map(|mapping| std::ptr::from_ref(mapping).cast::<u8>());
    assert_eq!(behind, Some(std::ptr::from_ref(&*boxed).cast()), "asked directly from then on");
}

/// Says only what it must.
struct Bare(Recorder);

// SAFETY: as its recorder.
unsafe impl Mapping for Bare {
    fn base(&self) -> NonNull<u8> {
        self.0.base()
    }
    fn write_base(&self) -> NonNull<u8> {
        self.0.base()
    }
    fn len(&self) -> u64 {
        0
    }
    fn write_unit(&self) -> u32 {
        1
    }
    unsafe fn claim(&self, range: Bytes, keep: bool) -> Result<()> {
        // SAFETY: the caller's promise.
        unsafe { self.0.claim(range, keep) }
    }
    unsafe fn publish(&self, ranges: &[Bytes]) -> Result<()> {
        // SAFETY: the caller's promise.
        unsafe { self.0.publish(ranges) }
    }
    unsafe fn flush(&self, ranges: &[Bytes]) -> Result<()> {
        // SAFETY: the caller's promise.
        unsafe { self.0.flush(ranges) }
    }
    unsafe fn publish_and_flush(&self, range: Bytes) -> Result<()> {
        // SAFETY: the caller's promise.
        unsafe { self.0.publish_and_flush(range) }
    }
    fn grow(&self, len: u64) -> Result<()> {
        self.0.grow(len)
    }
    unsafe fn shrink(&self, len: u64) -> Result<()> {
        // SAFETY: the caller's promise.
        unsafe { self.0.shrink(len) }
    }
}

/// Else somebody's own mapping of RAM would be taken for one that has two views, holds pages or can lose bytes.
#[test]
fn a_mapping_that_says_only_what_it_must_is_plain_memory() {
    let bare = Bare(Recorder::default());
    let found = answers(&bare);
    let base = bare.base();
    let (ok, io) = ("Ok(())", |code| format!("Err(Io {{ code: {code} }})"));
    let results = [1, 1, 2, 0, 2, 0, 0, 5, 6, 7, 8, 0, 0, 0, 0, 0];
    let results = results.map(|code| if code == 0 { ok.to_owned() } else { io(code) }).join(", ");
    let flags = [true, false, false, false, false, false, true, false, false, false];
    assert_eq!(
        found,
        [format!("{:?}", (base, base, 0)), "1 None".into(), format!("{flags:?} [{results}]")]
    );
    let asked = bare.0.0.lock().unwrap();
    assert!(asked.contains(&"publish [3..11]".to_owned()), "what is held is published: {asked:?}");
}
