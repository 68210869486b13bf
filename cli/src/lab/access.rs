//! The two ways to a page: a call that copies it, a load from where it is mapped.

use crate::lab::findings::Lab;
use crate::lab::map::Map;
use crate::lab::scratch::NEXT;
use std::fs::File;
use std::os::unix::fs::FileExt;

/// The sum of a piece's words: what reading all of it takes.
pub(crate) fn sum(bytes: &[u8]) -> u64 {
    let words = bytes.as_chunks::<8>().0;
    words.iter().fold(0, |sum, word| sum.wrapping_add(u64::from_ne_bytes(*word)))
}

/// The sum of `len` bytes of a map from byte `at` on, where they lie.
pub(crate) fn sum_mapped(map: &Map, at: usize, len: usize) -> u64 {
    (at..at + len).step_by(8).fold(0, |sum, at| sum.wrapping_add(map.word(at)))
}

/// Pages by `pread`, one after the other into the same buffer.
pub(crate) struct Reader<'a> {
    file: &'a File,
    buffer: Vec<u8>,
}

impl<'a> Reader<'a> {
    /// Reads `page` bytes a call.
    pub(crate) fn new(file: &'a File, page: usize) -> Reader<'a> {
        // Not zeros only asked for: memory that is there.
        Reader { file, buffer: vec![1; page] }
    }

    /// The bytes from `at` on: one call, one copy.
    pub(crate) fn read(&mut self, at: usize) -> Lab<&[u8]> {
        self.file.read_exact_at(&mut self.buffer, at as u64)?;
        Ok(&self.buffer)
    }

    /// Follows `steps` pages of `page` bytes, each of which names the next; the last one's number.
    pub(crate) fn follow(&mut self, page: usize, start: usize, steps: usize) -> Lab<usize> {
        let mut at = start;
        for _ in 0..steps {
            let next = self.read(at * page)?[NEXT..].first_chunk().copied();
            at = u64::from_le_bytes(next.unwrap_or_default()) as usize;
        }
        Ok(at)
    }

    /// Reads the pages of these numbers; the sum of their first words.
    pub(crate) fn visit(&mut self, page: usize, numbers: &[usize]) -> Lab<u64> {
        let mut sum = 0_u64;
        for number in numbers {
            let word = self.read(number * page)?.first_chunk().copied();
            sum = sum.wrapping_add(u64::from_ne_bytes(word.unwrap_or_default()));
        }
        Ok(sum)
    }
}

/// Follows `steps` pages through the map; the last one's number.
pub(crate) fn follow(map: &Map, page: usize, start: usize, steps: usize) -> usize {
    (0..steps).fold(start, |at, _| u64::from_le(map.word(at * page + NEXT)) as usize)
}

/// Loads a word of each of these pages; their sum.
pub(crate) fn visit(map: &Map, page: usize, numbers: &[usize]) -> u64 {
    numbers.iter().fold(0, |sum, number| sum.wrapping_add(map.word(number * page)))
}

/// Runs `work(i)` on `count` threads at once, and waits for all.
pub(crate) fn on_threads(count: usize, work: impl Fn(usize) -> Lab<()> + Sync) -> Lab<()> {
    if count == 1 {
        return work(0);
    }
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..count)
            .map(|i| {
                let work = &work;
                scope.spawn(move || work(i))
            })
            .collect();
        for thread in threads {
            match thread.join() {
                Ok(result) => result?,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        Ok(())
    })
}
