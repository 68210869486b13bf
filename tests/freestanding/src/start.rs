//! What libc and std do elsewhere: the entry and the exit.

use crate::RAM_BYTES;
use core::arch::{asm, global_asm};

global_asm!(
    ".globl _start",
    "_start:",
    "xor ebp, ebp",
    "and rsp, -16",
    "call {entry}",
    "ud2",
    entry = sym entry,
);

/// RAM for the store in RAM; used once, by `entry`.
static mut RAM: [u8; RAM_BYTES] = [0; RAM_BYTES];

extern "C" fn entry() -> ! {
    let ram = &raw mut RAM;
    // SAFETY: the process has one thread, which comes here once: the only reference to it.
    let ram = unsafe { &mut *ram };
    exit(crate::run(ram))
}

/// `exit_group(2)`.
pub(crate) fn exit(code: u8) -> ! {
    const EXIT_GROUP: u64 = 231;
    // SAFETY: the call ends the process.
    unsafe {
        asm!("syscall", in("rax") EXIT_GROUP, in("rdi") u64::from(code), options(noreturn, nostack))
    }
}
