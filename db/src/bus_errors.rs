//! The process' handler of SIGBUS: what lies in a guarded mapping becomes an error, all else goes where
//! it went before.
//!
//! Installed once, by the first database that asks for it, and never taken back: whoever has installed a
//! handler since may have kept this one to pass signals on to. The handler calls nothing but
//! `mapleaf_sys_linux::recover_bus_error`, `sigaction`, `raise` and the handler before it; it has no lock
//! and takes no memory.

#![allow(unsafe_code)] // Signal handlers: installing one, and what it is given.

use libc::{c_int, c_void, siginfo_t};
use std::io;
use std::mem::MaybeUninit;
use std::ptr::null_mut;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

type Action = libc::sigaction;

/// What was there before, in memory that is never given back; null until the handler is installed.
static BEFORE: AtomicPtr<Action> = AtomicPtr::new(null_mut());

/// A handler that asked for one signal only has had it.
static BEFORE_IS_SPENT: AtomicBool = AtomicBool::new(false);

/// Installs the handler, unless it was before.
///
/// # Errors
/// Those of `sigaction`.
pub(crate) fn install() -> io::Result<()> {
    static INSTALLED: Mutex<bool> = Mutex::new(false);
    // A plain value: whole even where a thread died while it held it.
    let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
    if *installed {
        return Ok(());
    }
    // Known before the first signal can come.
    let before = exchange(None)?;
    remember(before);
    let mut ours = before;
    ours.sa_sigaction = on_bus_error as extern "C" fn(c_int, *mut siginfo_t, *mut c_void) as usize;
    // On the stack that was set aside for signals, as std's own handler, which tells stack overflows by
    // it; blocking what the one before wants blocked while it runs.
    ours.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | (before.sa_flags & kept_flags());
    let replaced = exchange(Some(&ours))?;
    if replaced.sa_sigaction != before.sa_sigaction {
        // Another thread has installed its own in between.
        remember(replaced);
    }
    *installed = true;
    Ok(())
}

/// Flags that say how a handler is called, not what it is.
fn kept_flags() -> c_int {
    libc::SA_RESTART | libc::SA_NODEFER
}

fn remember(action: Action) {
    BEFORE.store(Box::into_raw(Box::new(action)), Ordering::Release);
}

/// `sigaction(SIGBUS)`—sets the action, if one is given; the one that was set.
fn exchange(action: Option<&Action>) -> io::Result<Action> {
    let mut before = MaybeUninit::<Action>::uninit();
    let new = action.map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: both are null or an action's memory; the handler set is async-signal-safe.
    if unsafe { libc::sigaction(libc::SIGBUS, new, before.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: written by the call, which succeeded.
    Ok(unsafe { before.assume_init() })
}

extern "C" fn on_bus_error(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel gives a valid record to handlers set with SA_SIGINFO.
    let code = unsafe { (*info).si_code };
    // Sent by the kernel because this thread's access failed. `kill` and `sigqueue` have codes of 0 and
    // below; BUS_MCEERR_AO is news of a page that this thread may not be using.
    let of_page = matches!(code, libc::BUS_ADRERR | libc::BUS_OBJERR | libc::BUS_MCEERR_AR);
    if of_page && recover(info) {
        return;
    }
    pass_on(signal, info, context, of_page || code == libc::BUS_ADRALN);
}

fn recover(info: *mut siginfo_t) -> bool {
    // SAFETY: valid as above.
    let info = unsafe { &*info };
    // SAFETY: with these codes the kernel has filled the address in.
    let address = unsafe { info.si_addr() };
    // SAFETY: the address of a failed access, as the code says, in the handler of its signal.
    unsafe { mapleaf_sys_linux::recover_bus_error(address.addr()) }
}

/// Does what would have been done without this handler. `of_access`: returning repeats the access.
fn pass_on(signal: c_int, info: *mut siginfo_t, context: *mut c_void, of_access: bool) {
    // SAFETY: null, or an action that is never freed.
    let before = unsafe { BEFORE.load(Ordering::Acquire).as_ref() };
    let (handler, flags) = before.map_or((libc::SIG_DFL, 0), |b| (b.sa_sigaction, b.sa_flags));
    let once = flags & libc::SA_RESETHAND != 0;
    match handler {
        // The kernel does not let anybody ignore a failed access.
        libc::SIG_IGN if !of_access => {}
        libc::SIG_IGN | libc::SIG_DFL => die(signal, of_access),
        _ if once && BEFORE_IS_SPENT.swap(true, Ordering::AcqRel) => die(signal, of_access),
        _ if flags & libc::SA_SIGINFO != 0 => {
            type Handler = extern "C" fn(c_int, *mut siginfo_t, *mut c_void);
            // SAFETY: with SA_SIGINFO it is a function of this type.
            let handler = unsafe { std::mem::transmute::<usize, Handler>(handler) };
            handler(signal, info, context);
        }
        _ => {
            // SAFETY: without SA_SIGINFO it is a function of this type.
            let handler = unsafe { std::mem::transmute::<usize, extern "C" fn(c_int)>(handler) };
            handler(signal);
        }
    }
}

/// The default: the process ends, by this signal.
fn die(signal: c_int, of_access: bool) {
    // SAFETY: an action of zeros is the default one, with nothing blocked.
    let default = unsafe { MaybeUninit::<Action>::zeroed().assume_init() };
    let _ = exchange(Some(&default));
    if !of_access {
        // SAFETY: blocked while this handler runs, so it ends the process when that returns.
        let _ = unsafe { libc::raise(signal) };
    }
}
