//! Lines in, lines out.

use crate::Step;
use rustix::fd::BorrowedFd;
use rustix::io::Errno;

/// A request is at most this long.
const LINE_BYTES: usize = 2048;

fn input() -> BorrowedFd<'static> {
    // SAFETY: nothing in this program closes it.
    unsafe { rustix::stdio::stdin() }
}

fn output() -> BorrowedFd<'static> {
    // SAFETY: as above.
    unsafe { rustix::stdio::stdout() }
}

/// The lines of the standard input.
pub(crate) struct Lines {
    buffer: [u8; LINE_BYTES],
    /// Bytes of the buffer that were read, and of these the ones that were taken.
    read: usize,
    taken: usize,
}

impl Lines {
    pub(crate) const fn new() -> Lines {
        Lines { buffer: [0; LINE_BYTES], read: 0, taken: 0 }
    }

    /// The next line, without its end; `None` at the end of the input.
    pub(crate) fn next(&mut self) -> Result<Option<&[u8]>, Step> {
        let mut seen = self.taken;
        loop {
            let fresh = self.buffer.get(seen..self.read).unwrap_or(&[]);
            if let Some(at) = fresh.iter().position(|byte| *byte == b'\n') {
                let start = core::mem::replace(&mut self.taken, seen + at + 1);
                return Ok(self.buffer.get(start..seen + at));
            }
            self.buffer.copy_within(self.taken..self.read, 0);
            self.read -= self.taken;
            (self.taken, seen) = (0, self.read);
            let room = self.buffer.get_mut(self.read..).unwrap_or(&mut []);
            if room.is_empty() {
                return Err(60);
            }
            match rustix::io::read(input(), room) {
                Ok(0) => return Ok(None),
                Ok(bytes) => self.read += bytes,
                Err(Errno::INTR) => {}
                Err(_) => return Err(61),
            }
        }
    }
}

/// Writes a line.
pub(crate) fn answer(line: &[u8]) -> Result<(), Step> {
    for mut rest in [line, b"\n"] {
        while !rest.is_empty() {
            match rustix::io::write(output(), rest) {
                Ok(bytes) => rest = rest.get(bytes..).unwrap_or(&[]),
                Err(Errno::INTR) => {}
                Err(_) => return Err(62),
            }
        }
    }
    Ok(())
}

/// A number's digits.
pub(crate) fn decimal(mut number: u64, digits: &mut [u8; 20]) -> &[u8] {
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return digits.get(at..).unwrap_or(&[]);
        }
    }
}
