//! Where the process begins and ends, without a libc.

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

extern "C" fn entry() -> ! {
    exit(crate::run())
}

/// `exit_group(2)`.
pub(crate) fn exit(code: u8) -> ! {
    const EXIT_GROUP: u64 = 231;
    // SAFETY: the call ends the process.
    unsafe {
        asm!("syscall", in("rax") EXIT_GROUP, in("rdi") u64::from(code), options(noreturn, nostack))
    }
}
