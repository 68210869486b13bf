//! How deep the stack went: it is painted first, and looked at last.

use core::arch::asm;

const PAINT: u32 = 0x5AFE_57AC;
/// Bytes below the stack pointer that painting leaves alone: what the painting itself stands on.
const MARGIN_BYTES: usize = 64;

unsafe extern "C" {
    static _stack_start: u32;
    static _stack_end: u32;
}

fn pointer() -> usize {
    let pointer: usize;
    // SAFETY: copies a register.
    unsafe { asm!("mov {}, sp", out(reg) pointer, options(nomem, nostack, preserves_flags)) }
    pointer
}

/// Paints all of the stack that is not in use.
#[inline(never)]
pub(crate) fn paint() {
    let top = pointer() - MARGIN_BYTES;
    let mut at = (&raw const _stack_end).cast_mut();
    while at.addr() < top {
        // SAFETY: in the stack's region (see memory.x), below all that is in use.
        unsafe { at.write_volatile(PAINT) };
        at = at.wrapping_add(1);
    }
}

/// Bytes between the stack's start and the deepest place where the paint is gone.
#[inline(never)]
pub(crate) fn peak_bytes() -> usize {
    let start = (&raw const _stack_start).addr();
    let mut at = &raw const _stack_end;
    // SAFETY: in the stack's region.
    while at.addr() < start && unsafe { at.read_volatile() } == PAINT {
        at = at.wrapping_add(1);
    }
    start - at.addr()
}
