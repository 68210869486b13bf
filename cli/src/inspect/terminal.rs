//! The picture as text: in colours, two cells a character; or in letters.

use super::Picture;
use super::colour::{Class, Rgb, indexed};
use super::grid::Grid;
use crate::args::ColorBy;
use crate::figures::{bytes, count, counted};
use std::fmt::Write as _;
use std::io::IsTerminal as _;

/// How colours reach the terminal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ink {
    /// Not at all.
    Letters,
    /// From 256.
    Indexed,
    /// Any.
    Full,
}

impl Ink {
    /// What the standard output can show; <https://no-color.org> is heeded.
    pub(crate) fn of_stdout() -> Ink {
        let is = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        if !std::io::stdout().is_terminal() || is("NO_COLOR") {
            return Ink::Letters;
        }
        Ink::of_colour_terminal()
    }

    /// What a terminal with colours can show.
    pub(crate) fn of_colour_terminal() -> Ink {
        match std::env::var("COLORTERM").as_deref() {
            Ok("truecolor" | "24bit") => Ink::Full,
            _ => Ink::Indexed,
        }
    }
}

/// Columns in front of the cells: the number of the first page.
pub(crate) const LABEL_COLUMNS: u32 = 11;
/// Lines for title and legend that should fit on the screen too.
const OTHER_LINES: u32 = 18;

/// The whole picture, for a screen of so many columns and lines.
pub(crate) fn drawn(picture: &Picture, ink: Ink, (columns, lines): (u32, u32)) -> String {
    let columns = columns.saturating_sub(LABEL_COLUMNS).clamp(16, 256);
    let lines = lines.saturating_sub(OTHER_LINES).max(8);
    let rows_max = if ink == Ink::Letters { lines } else { 2 * lines };
    let grid = Grid::new(&picture.classes, &picture.damaged, columns, rows_max);
    let mut out = picture.title();
    let _ = writeln!(out, "{}\n", scale(picture.classes.by, &grid));
    if ink == Ink::Letters {
        letters(&mut out, picture, &grid);
    } else {
        half_blocks(&mut out, picture, &grid, ink);
    }
    out.push('\n');
    legend(&mut out, picture, ink);
    for (page, trouble) in picture.map.damaged().iter().take(10) {
        let _ = writeln!(out, "{}: {trouble}", super::named(*page));
    }
    if picture.map.damages() > 10 {
        let _ = writeln!(out, "and {} more", count(picture.map.damages() - 10));
    }
    out
}

/// What colours and cells stand for.
pub(crate) fn scale(by: ColorBy, grid: &Grid) -> String {
    let by = match by {
        ColorBy::Kind => "kind",
        ColorBy::Birth => "birth: dark is old, bright is new, in order of the transactions",
        ColorBy::Fill => "fill",
        ColorBy::Residency => "residency",
    };
    let pages = counted(u64::from(grid.pages_a_cell), "page", "pages");
    format!("by {by}; {pages} a cell, {} cells a row", grid.columns)
}

fn label(out: &mut String, grid: &Grid, row: u32) {
    let page = u64::from(row) * u64::from(grid.columns) * u64::from(grid.pages_a_cell);
    let _ = write!(out, "{page:>10} ");
}

fn letters(out: &mut String, picture: &Picture, grid: &Grid) {
    for row in 0..grid.rows() {
        label(out, grid, row);
        let cells = (0..grid.columns).map_while(|column| grid.cell(row, column));
        out.extend(cells.map(|cell| cell.letter(&picture.classes)));
        out.push('\n');
    }
}

fn half_blocks(out: &mut String, picture: &Picture, grid: &Grid, ink: Ink) {
    for row in (0..grid.rows()).step_by(2) {
        label(out, grid, row);
        for column in 0..grid.columns {
            let Some(upper) = grid.cell(row, column) else { break };
            escape(out, ink, 38, upper.colour(&picture.classes));
            if let Some(lower) = grid.cell(row + 1, column) {
                escape(out, ink, 48, lower.colour(&picture.classes));
            } else {
                out.push_str("\x1b[49m");
            }
            out.push('▀');
        }
        out.push_str("\x1b[0m\n");
    }
}

/// Sets the colour: 38 of the letters, 48 of the ground.
fn escape(out: &mut String, ink: Ink, what: u8, colour: Rgb) {
    let [red, green, blue] = colour;
    let _ = match ink {
        Ink::Letters => Ok(()),
        Ink::Indexed => write!(out, "\x1b[{what};5;{}m", indexed(colour)),
        Ink::Full => write!(out, "\x1b[{what};2;{red};{green};{blue}m"),
    };
}

fn legend(out: &mut String, picture: &Picture, ink: Ink) {
    for class in picture.classes.all.iter().filter(|class| class.pages > 0) {
        if ink == Ink::Letters {
            out.push(class.letter);
        } else {
            escape(out, ink, 38, class.dark);
            out.push_str("██\x1b[0m");
        }
        let _ = writeln!(out, " {}", legend_line(picture, class));
    }
}

/// Name, pages, size and share of a class.
pub(crate) fn legend_line(picture: &Picture, class: &Class) -> String {
    let size = class.pages * u64::from(picture.map.page_size());
    let share = class.pages as f64 * 100.0 / f64::from(picture.map.page_count().max(1));
    let pages = format!("{} page{}", count(class.pages), if class.pages == 1 { " " } else { "s" });
    format!("{:<26} {pages:>18} {:>12} {share:>5.1} %", class.name, bytes(size))
}
