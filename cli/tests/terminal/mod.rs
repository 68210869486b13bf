//! A terminal with nobody before it: a pseudo terminal, and what a program has drawn on it.

#![allow(unsafe_code)] // Makes the child the leader of a session, between fork and exec.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{ioctl_tiocsctty, setsid};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Termios, Winsize, tcgetattr, tcsetwinsize};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus};

/// Longest wait for anything to be drawn: a hanging program is a failure, not a hanging test.
const SILENCE_MAX: Timespec = Timespec { tv_sec: 60, tv_nsec: 0 };

/// A program at a terminal of its own.
pub(crate) struct Session {
    /// The side of whoever sits before the terminal.
    seat: OwnedFd,
    /// The program's side. Held open, so that its settings can be looked at when the program has ended.
    line: OwnedFd,
    child: Child,
    pub(crate) screen: Screen,
}

impl Session {
    /// Starts a program at a terminal of this size.
    pub(crate) fn start(command: &mut Command, columns: u16, rows: u16) -> Session {
        let seat = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&seat).unwrap();
        unlockpt(&seat).unwrap();
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let line = rustix::fs::open(ptsname(&seat, []).unwrap(), flags, Mode::empty()).unwrap();
        set_size(&line, columns, rows);
        let side = || line.try_clone().unwrap();
        command.stdin(side()).stdout(side()).stderr(side());
        command.env("TERM", "xterm-256color").env("COLORTERM", "truecolor").env_remove("NO_COLOR");
        let own = side();
        let lead = move || {
            setsid()?;
            Ok(ioctl_tiocsctty(&own)?)
        };
        // SAFETY: two system calls, no memory but what they are given.
        let child = unsafe { command.pre_exec(lead) }.spawn().unwrap();
        Session { seat, line, child, screen: Screen::new(columns, rows) }
    }

    /// How the terminal treats what is typed.
    pub(crate) fn settings(&self) -> Termios {
        tcgetattr(&self.line).unwrap()
    }

    /// Types.
    pub(crate) fn press(&self, keys: &str) {
        assert_eq!(rustix::io::write(&self.seat, keys.as_bytes()), Ok(keys.len()));
    }

    /// Another size, of which the kernel tells the program.
    pub(crate) fn resize(&mut self, columns: u16, rows: u16) {
        set_size(&self.line, columns, rows);
        self.screen = Screen { shown: self.screen.shown, ..Screen::new(columns, rows) };
    }

    /// Reads what is drawn until the screen is as wanted.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, what: &str, wanted: impl Fn(&Screen) -> bool) {
        while !wanted(&self.screen) {
            assert!(self.read(&SILENCE_MAX), "ended without {what}: {:#?}", self.screen);
        }
    }

    /// Reads what is drawn until the program ends.
    pub(crate) fn end(&mut self) -> ExitStatus {
        // What it wrote last is there when it has ended.
        let mut polled = Timespec { tv_sec: 0, tv_nsec: 10_000_000 };
        loop {
            let ended = self.child.try_wait().unwrap();
            while self.read(&polled) {}
            if let Some(status) = ended {
                return status;
            }
            polled.tv_nsec = 50_000_000;
        }
    }

    /// Reads once what has been drawn; false where nothing comes for so long.
    fn read(&mut self, patience: &Timespec) -> bool {
        let mut ready = [PollFd::new(&self.seat, PollFlags::IN)];
        if poll(&mut ready, Some(patience)).unwrap() == 0 {
            return false;
        }
        let mut bytes = [0; 4096];
        match rustix::io::read(&self.seat, &mut bytes) {
            Ok(0) | Err(Errno::IO) => false,
            count => {
                self.screen.take(&bytes[..count.unwrap()]);
                true
            }
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // A test that fails leaves no program behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn set_size(line: impl AsFd, columns: u16, rows: u16) {
    let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(line, size).unwrap();
}

/// What stands at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cell {
    pub(crate) letter: char,
    /// The colour parameters in force when it was drawn.
    pub(crate) colour: String,
}

/// The state of the screen as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Shown {
    /// The program has a screen of its own, and what stood there before is hidden.
    pub(crate) apart: bool,
    pub(crate) cursor_hidden: bool,
}

/// As much of a terminal as is needed to see what was drawn.
pub(crate) struct Screen {
    pub(crate) shown: Shown,
    cells: Vec<Vec<Cell>>,
    /// Row and column of what is drawn next.
    at: (usize, usize),
    colour: String,
    /// Bytes that are not understood yet: the start of a sequence or of a letter.
    pending: Vec<u8>,
}

impl Screen {
    fn new(columns: u16, rows: u16) -> Screen {
        let row = vec![Cell { letter: ' ', colour: String::new() }; columns.into()];
        let cells = vec![row; rows.into()];
        Screen {
            shown: Shown::default(),
            cells,
            at: (0, 0),
            colour: String::new(),
            pending: Vec::new(),
        }
    }

    pub(crate) fn line(&self, row: usize) -> String {
        let line: String = self.cells[row].iter().map(|cell| cell.letter).collect();
        line.trim_end().to_owned()
    }

    pub(crate) fn text(&self) -> String {
        (0..self.cells.len()).map(|row| self.line(row) + "\n").collect()
    }

    /// The cells that show pages.
    pub(crate) fn picture(&self) -> impl Iterator<Item = &Cell> {
        self.cells.iter().flatten().filter(|cell| cell.letter == '▀')
    }

    fn take(&mut self, bytes: &[u8]) {
        self.pending.extend(bytes);
        while let Some(used) = self.step() {
            self.pending.drain(..used);
        }
    }

    /// Does the first thing that is pending; how many bytes that were, `None` where its end is missing.
    fn step(&mut self) -> Option<usize> {
        match *self.pending.first()? {
            0x1b if *self.pending.get(1)? == b'[' => {
                let end =
                    2 + self.pending[2..].iter().position(|byte| byte.is_ascii_alphabetic())?;
                let words = String::from_utf8_lossy(&self.pending[2..end]).into_owned();
                self.sequence(&words, self.pending[end]);
                Some(end + 1)
            }
            0x1b => Some(2),
            b'\r' => {
                self.at.1 = 0;
                Some(1)
            }
            b'\n' => {
                self.at.0 += 1;
                Some(1)
            }
            first => {
                let len = match first {
                    0..0x80 => 1,
                    0xc0..0xe0 => 2,
                    0xe0..0xf0 => 3,
                    _ => 4,
                };
                let letter = String::from_utf8_lossy(self.pending.get(..len)?).chars().next()?;
                let (row, column) = self.at;
                if let Some(cell) = self.cells.get_mut(row).and_then(|row| row.get_mut(column)) {
                    *cell = Cell { letter, colour: self.colour.clone() };
                }
                self.at.1 += 1;
                Some(len)
            }
        }
    }

    fn sequence(&mut self, words: &str, end: u8) {
        let mut numbers = words.split(';').map(|word| word.parse().unwrap_or(1_usize));
        match (words, end) {
            (_, b'H') => {
                let row = numbers.next().unwrap_or(1) - 1;
                self.at = (row, numbers.next().unwrap_or(1) - 1);
            }
            ("2", b'J') => self.cells.iter_mut().flatten().for_each(|cell| cell.letter = ' '),
            ("?1049", b'h' | b'l') => self.shown.apart = end == b'h',
            ("?25", b'h' | b'l') => self.shown.cursor_hidden = end == b'l',
            ("" | "0", b'm') => self.colour.clear(),
            (_, b'm') => {
                self.colour.push(' ');
                self.colour.push_str(words);
            }
            _ => {}
        }
    }
}

impl std::fmt::Debug for Screen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}\n{}", self.shown, self.text())
    }
}
