//! The picture, drawn anew as the file changes: `inspect --watch`.

use super::Picture;
use super::colour::{Class, Classes, Rgb, indexed};
use super::grid::Grid;
use super::terminal::{Ink, LABEL_COLUMNS, legend_line, scale};
use crate::args::{ColorBy, Inspect};
use crate::failure::{Failure, Outcome};
use ratatui::buffer::Buffer;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use std::io::IsTerminal as _;
use std::path::Path;
use std::time::{Duration, Instant};

const KEYS: &str = "k kind  b birth  f fill  r residency  c next  q quit";

/// Watches until it is told to end.
pub(super) fn run(path: &Path, args: &Inspect) -> Outcome {
    if !std::io::stdout().is_terminal() || !std::io::stdin().is_terminal() {
        return Err(Failure::Usage("--watch draws on a terminal, and there is none".into()));
    }
    let picture = Picture::new(path, args.color_by)?;
    let failed = |error: std::io::Error| Failure::Other(format!("terminal: {error}"));
    let mut terminal = ratatui::try_init().map_err(failed)?;
    let mut watch = Watch { picture, trouble: None, ink: Ink::of_colour_terminal() };
    let interval = Duration::from_millis(args.interval);
    let mut next = Instant::now() + interval;
    let ended = loop {
        if let Err(error) = terminal.draw(|frame| watch.draw(frame.area(), frame.buffer_mut())) {
            break Err(error);
        }
        match event::poll(next.saturating_duration_since(Instant::now())) {
            Ok(true) => match event::read() {
                Ok(Event::Key(key)) if watch.pressed(key) => break Ok(()),
                Ok(_) => {}
                Err(error) => break Err(error),
            },
            Ok(false) => {
                watch.refresh();
                next = Instant::now() + interval;
            }
            Err(error) => break Err(error),
        }
    };
    ended.and(ratatui::try_restore()).map_err(failed)
}

struct Watch {
    picture: Picture,
    /// Why the picture is an old one.
    trouble: Option<String>,
    ink: Ink,
}

impl Watch {
    /// What a key asks for; whether it is the end.
    fn pressed(&mut self, key: KeyEvent) -> bool {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        let by = match key.code {
            _ if key.kind == KeyEventKind::Release => return false,
            KeyCode::Char('q') | KeyCode::Esc => return true,
            KeyCode::Char('c') if control => return true,
            KeyCode::Char('k') => ColorBy::Kind,
            KeyCode::Char('b') => ColorBy::Birth,
            KeyCode::Char('f') => ColorBy::Fill,
            KeyCode::Char('r') => ColorBy::Residency,
            KeyCode::Char('c') | KeyCode::Tab => match self.picture.classes.by {
                ColorBy::Kind => ColorBy::Birth,
                ColorBy::Birth => ColorBy::Fill,
                ColorBy::Fill => ColorBy::Residency,
                ColorBy::Residency => ColorBy::Kind,
            },
            _ => return false,
        };
        self.picture.classes = Classes::new(&self.picture.map, by);
        false
    }

    /// Looks whether the file, or what of it is in memory, has changed.
    fn refresh(&mut self) {
        let by = self.picture.classes.by;
        self.trouble = None;
        if self.picture.map.is_outdated() {
            match Picture::new(&self.picture.path, by) {
                Ok(picture) => self.picture = picture,
                Err(failure) => self.trouble = failure.message().map(str::to_owned),
            }
        } else if by == ColorBy::Residency {
            self.picture.map.measure_residency();
            self.picture.classes = Classes::new(&self.picture.map, by);
        }
    }

    fn draw(&self, area: Rect, buffer: &mut Buffer) {
        let (name, rest) = self.picture.title_parts();
        let bold = Style::new().add_modifier(Modifier::BOLD);
        let line = |buffer: &mut Buffer, y: u16, text: &str, style| {
            if y < area.height {
                buffer.set_stringn(area.x, area.y + y, text, area.width.into(), style);
            }
        };
        line(buffer, 0, &name, bold);
        line(buffer, 1, self.trouble.as_deref().unwrap_or(&rest), Style::new());
        let classes = &self.picture.classes;
        let legend: Vec<&Class> = classes.all.iter().filter(|class| class.pages > 0).collect();
        let below = legend.len() as u16 + 2;
        let lines = area.height.saturating_sub(3 + below).max(1);
        let columns = u32::from(area.width).saturating_sub(LABEL_COLUMNS);
        let grid = Grid::new(classes, &self.picture.damaged, columns, 2 * u32::from(lines));
        line(buffer, 2, &scale(classes.by, &grid), Style::new());
        let used = (grid.rows().div_ceil(2) as u16).min(lines);
        // On a screen too low for one row there is none.
        for y in (0..used).take_while(|y| 3 + y < area.height) {
            self.draw_row(buffer, &grid, u32::from(y) * 2, Rect { y: area.y + 3 + y, ..area });
        }
        for (i, class) in legend.iter().enumerate() {
            let y = 4 + used + i as u16;
            line(buffer, y, "██", Style::new().fg(self.colour(class.dark)));
            if y < area.height && area.width > 3 {
                let text = legend_line(&self.picture, class);
                let width = usize::from(area.width - 3);
                buffer.set_stringn(area.x + 3, area.y + y, text, width, Style::new());
            }
        }
        let keys = Style::new().add_modifier(Modifier::REVERSED);
        line(buffer, area.height.saturating_sub(1), KEYS, keys);
    }

    /// Two rows of cells on one line.
    fn draw_row(&self, buffer: &mut Buffer, grid: &Grid, row: u32, area: Rect) {
        let page = u64::from(row) * u64::from(grid.columns) * u64::from(grid.pages_a_cell);
        buffer.set_stringn(area.x, area.y, format!("{page:>10} "), area.width.into(), Style::new());
        let classes = &self.picture.classes;
        for column in 0..grid.columns {
            let Some(upper) = grid.cell(row, column) else { break };
            let x = area.x.saturating_add((LABEL_COLUMNS + column) as u16);
            let Some(place) = buffer.cell_mut((x, area.y)) else { break };
            place.set_symbol("▀").set_fg(self.colour(upper.colour(classes)));
            if let Some(lower) = grid.cell(row + 1, column) {
                place.set_bg(self.colour(lower.colour(classes)));
            }
        }
    }

    fn colour(&self, colour: Rgb) -> Color {
        let [red, green, blue] = colour;
        match self.ink {
            Ink::Full => Color::Rgb(red, green, blue),
            Ink::Indexed | Ink::Letters => Color::Indexed(indexed(colour)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines of a screen of this size.
    fn screen(watch: &Watch, width: u16, height: u16) -> (Buffer, Vec<String>) {
        let area = Rect::new(0, 0, width, height);
        let mut buffer = Buffer::empty(area);
        watch.draw(area, &mut buffer);
        let line = |y| (0..width).map(|x| buffer[(x, y)].symbol().to_owned()).collect::<String>();
        let lines = (0..height).map(|y| line(y).trim_end().to_owned()).collect();
        (buffer, lines)
    }

    fn key(code: char) -> KeyEvent {
        KeyEvent::new(KeyCode::Char(code), KeyModifiers::NONE)
    }

    #[test]
    fn draws_and_heeds_keys_and_changes() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("w.leaf");
        let db = mapleaf::Database::open_buffered(&path).unwrap();
        db.checkpoint().unwrap();
        let picture = Picture::new(&path, ColorBy::Kind).unwrap();
        let mut watch = Watch { picture, trouble: None, ink: Ink::Full };
        let (buffer, lines) = screen(&watch, 80, 30);
        assert!(lines[0].ends_with("w.leaf") && lines[1].contains("pages of 4,096 bytes"));
        assert!(lines.iter().any(|line| line.contains(" meta ")), "{lines:#?}");
        assert_eq!(lines[29], KEYS);
        // The first cell is a meta; below it a page of the log.
        let first = &buffer[(LABEL_COLUMNS as u16, 3)];
        assert_eq!((first.symbol(), first.fg), ("▀", Color::Rgb(214, 39, 40)));
        assert_eq!(first.bg, Color::Rgb(255, 140, 26));

        for (letter, title) in [('f', "by fill"), ('b', "by birth"), ('r', "by residency")] {
            assert!(!watch.pressed(key(letter)));
            assert!(screen(&watch, 80, 30).1[2].starts_with(title));
        }
        assert!(!watch.pressed(key('c')) && screen(&watch, 80, 30).1[2].starts_with("by kind"));

        let before = watch.picture.map.txn();
        let mut txn = db.write().unwrap();
        txn.tree("numbers").unwrap().insert(b"one", b"1").unwrap();
        txn.commit().unwrap();
        db.checkpoint().unwrap();
        watch.refresh();
        assert!(watch.picture.map.txn() > before && watch.trouble.is_none());
        // No size is too small to draw on.
        for (width, height) in [(0, 0), (1, 1), (12, 3), (11, 9), (300, 5)] {
            screen(&watch, width, height);
        }
        assert!(watch.pressed(key('q')));
        assert!(watch.pressed(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL)));
    }
}
