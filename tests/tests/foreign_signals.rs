//! A bus error that is no guarded mapping's goes where it would have gone without the guard. Each case
//! in a process of its own.

#![allow(unsafe_code)] // Handlers of signals, and a mapping to meet a bus error in.

use libc::{c_int, c_void, siginfo_t};
use mapleaf::Database;
use mapleaf_tests::child;
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::sync::atomic::{AtomicUsize, Ordering};

const PAGE_BYTES: usize = 4096;
/// What the handlers end the process with.
const RICH: c_int = 42;
const PLAIN: c_int = 43;
/// What a child that nothing has ended ends with.
const ALIVE: c_int = 44;

static EXPECTED: AtomicUsize = AtomicUsize::new(0);

/// A handler that wants to know what happened: only with the right signal and address it is content.
extern "C" fn rich(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    // SAFETY: passed on from the kernel, which fills it in.
    let info = unsafe { &*info };
    // SAFETY: a failed access has an address.
    let address = unsafe { info.si_addr() }.addr();
    let right = signal == libc::SIGBUS && !context.is_null() && info.si_code == libc::BUS_ADRERR;
    let right = right && address == EXPECTED.load(Ordering::Relaxed);
    // SAFETY: ends the process.
    unsafe { libc::_exit(if right { RICH } else { 1 }) }
}

extern "C" fn plain(signal: c_int) {
    // SAFETY: ends the process.
    unsafe { libc::_exit(if signal == libc::SIGBUS { PLAIN } else { 1 }) }
}

/// A handler that returns: the program goes on.
extern "C" fn quiet(_signal: c_int) {
    EXPECTED.fetch_add(1, Ordering::Relaxed);
}

fn set(handler: usize, flags: c_int) {
    // SAFETY: an action of zeros is the default one.
    let mut action = unsafe { MaybeUninit::<libc::sigaction>::zeroed().assume_init() };
    action.sa_sigaction = handler;
    action.sa_flags = flags;
    // SAFETY: the handlers above only end the process or add to a number.
    assert_eq!(unsafe { libc::sigaction(libc::SIGBUS, &action, std::ptr::null_mut()) }, 0);
}

/// A byte of a mapping that is not mapleaf's, behind the end of its file.
fn bad_byte() -> *const u8 {
    let file = tempfile::tempfile().unwrap();
    file.set_len(2 * PAGE_BYTES as u64).unwrap();
    let (read, shared) = (libc::PROT_READ, libc::MAP_SHARED);
    // SAFETY: a new map where the kernel likes.
    let map = unsafe {
        libc::mmap(std::ptr::null_mut(), 2 * PAGE_BYTES, read, shared, file.as_raw_fd(), 0)
    };
    assert_ne!(map, libc::MAP_FAILED);
    file.set_len(PAGE_BYTES as u64).unwrap();
    let byte = map.cast::<u8>().cast_const().wrapping_add(PAGE_BYTES + 8);
    EXPECTED.store(byte.addr(), Ordering::Relaxed);
    byte
}

/// What the child does: a disposition, then a database with a guard, then a signal.
fn act(what: &str) -> ! {
    let (before, signal) = what.split_once(' ').unwrap();
    let rich_handler: extern "C" fn(c_int, *mut siginfo_t, *mut c_void) = rich;
    match before {
        "rich" => set(rich_handler as usize, libc::SA_SIGINFO),
        "plain" => set(plain as extern "C" fn(c_int) as usize, 0),
        "quiet" => set(quiet as extern "C" fn(c_int) as usize, 0),
        "once" => set(quiet as extern "C" fn(c_int) as usize, libc::SA_RESETHAND),
        "default" => set(libc::SIG_DFL, 0),
        "ignored" => set(libc::SIG_IGN, 0),
        // Rust's own, which tells overflows of the stack.
        "std" => {}
        other => panic!("no such disposition: {other}"),
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("t.leaf");
    // SAFETY: a new file of this test's own.
    let db = unsafe { Database::builder().sigbus_guard(true).open(&path) }.unwrap();
    let _ = std::fs::remove_file(&path);
    if signal == "access" {
        // SAFETY: mapped; that the file has ended before is what is tested.
        let _ = unsafe { bad_byte().read_volatile() };
    } else {
        for _ in 0..signal.len() {
            // SAFETY: sends a signal to this thread.
            unsafe { libc::raise(libc::SIGBUS) };
        }
    }
    db.health().unwrap();
    drop((db, directory));
    // SAFETY: ends the process.
    unsafe { libc::_exit(ALIVE) }
}

#[test]
fn foreign_signals_go_where_they_would_have_gone() {
    const TEST: &str = "foreign_signals_go_where_they_would_have_gone";
    if let Some(what) = child::asked() {
        act(&what);
    }
    let exits = |code: c_int| move |status: ExitStatus| status.code() == Some(code);
    let dies = |status: ExitStatus| status.signal() == Some(libc::SIGBUS);
    // A letter a signal that is sent; `access` is a bus error.
    let cases: [(&str, &dyn Fn(ExitStatus) -> bool); 11] = [
        ("rich access", &exits(RICH)),
        ("plain access", &exits(PLAIN)),
        ("plain s", &exits(PLAIN)),
        ("quiet sss", &exits(ALIVE)),
        ("once s", &exits(ALIVE)),
        ("once ss", &dies),
        ("default access", &dies),
        ("default s", &dies),
        ("ignored access", &dies),
        ("ignored sss", &exits(ALIVE)),
        ("std access", &dies),
    ];
    for (what, right) in cases {
        let output = child::run(TEST, what);
        assert!(right(output.status), "{what}: {output:?}");
    }
}
