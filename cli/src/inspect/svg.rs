//! The picture as SVG.

use super::Picture;
use super::colour::{Class, DAMAGED, Rgb};
use super::grid::{Cell, Grid};
use super::terminal::scale;
use crate::figures::{bytes, counted};
use std::fmt::Write as _;

/// Cells at most: what a screen shows and a browser draws at once.
const CELLS_MAX: u32 = 8192;
/// Where the cells begin: behind the numbers of the first pages.
const LEFT: u32 = 96;
const TITLE_HEIGHT: u32 = 72;
const LEGEND_LINE: u32 = 20;
/// Width of a letter of the legend, and of an entry's swatch with the room around it.
const LETTER: u32 = 8;
const SWATCH: u32 = 40;

/// The picture as an SVG document.
pub(crate) fn drawn(picture: &Picture) -> String {
    let (columns, side) = match picture.map.page_count() {
        0..=512 => (32, 24),
        513..=2048 => (64, 14),
        _ => (128, 8),
    };
    let grid = Grid::new(&picture.classes, &picture.damaged, columns, CELLS_MAX / columns);
    let legend: Vec<&Class> = picture.classes.all.iter().filter(|class| class.pages > 0).collect();
    let width = LEFT + columns * side + 16;
    let letters = legend.iter().map(|class| entry_text(picture, class).chars().count()).max();
    let entry_width = SWATCH + LETTER * letters.unwrap_or(0) as u32;
    let across = ((width - 16) / entry_width).max(1);
    let lines = (legend.len() as u32).div_ceil(across) + u32::from(!picture.damaged.is_empty());
    let top = TITLE_HEIGHT + lines * LEGEND_LINE + 8;
    let height = top + grid.rows() * side + 16;
    let mut out = String::new();
    let _ = writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>"
    );
    let (title, rest) = picture.title_parts();
    text(&mut out, (16, 24), "font-size=\"16\" font-weight=\"bold\"", &title);
    text(&mut out, (16, 44), "", &rest);
    text(&mut out, (16, 62), "fill=\"#555555\"", &scale(picture.classes.by, &grid));
    for (i, class) in legend.iter().enumerate() {
        let (line, column) = (i as u32 / across, i as u32 % across);
        let (x, y) = (16 + column * entry_width, TITLE_HEIGHT + line * LEGEND_LINE);
        swatch(&mut out, x, y, class.light);
        text(&mut out, (x + 20, y + 12), "", &entry_text(picture, class));
    }
    if !picture.damaged.is_empty() {
        let y = TITLE_HEIGHT + (lines - 1) * LEGEND_LINE;
        swatch(&mut out, 16, y, DAMAGED);
        let damages = counted(picture.map.damages(), "damage", "damages");
        text(&mut out, (36, y + 12), "", &format!("framed: damaged ({damages})"));
    }
    cells(&mut out, picture, &grid, (top, side));
    out.push_str("</svg>\n");
    out
}

fn hex([red, green, blue]: Rgb) -> String {
    format!("#{red:02x}{green:02x}{blue:02x}")
}

fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // No XML may hold the others, escaped or not.
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

fn text(out: &mut String, (x, y): (u32, u32), style: &str, text: &str) {
    let _ = writeln!(out, "<text x=\"{x}\" y=\"{y}\" {style}>{}</text>", escaped(text));
}

fn swatch(out: &mut String, x: u32, y: u32, colour: Rgb) {
    let fill = hex(colour);
    let _ = writeln!(out, "<rect x=\"{x}\" y=\"{y}\" width=\"14\" height=\"14\" fill=\"{fill}\"/>");
}

fn entry_text(picture: &Picture, class: &Class) -> String {
    let size = bytes(class.pages * u64::from(picture.map.page_size()));
    format!("{}: {}, {size}", class.name, counted(class.pages, "page", "pages"))
}

fn cells(out: &mut String, picture: &Picture, grid: &Grid, (top, side): (u32, u32)) {
    let label_every = LEGEND_LINE.div_ceil(side);
    for row in 0..grid.rows() {
        let y = top + row * side;
        if row % label_every == 0 {
            let page = u64::from(row) * u64::from(grid.columns) * u64::from(grid.pages_a_cell);
            let style = "text-anchor=\"end\" font-size=\"11\" fill=\"#555555\"";
            text(out, (LEFT - 8, y + side.min(10)), style, &page.to_string());
        }
        for column in 0..grid.columns {
            let Some(cell) = grid.cell(row, column) else { break };
            let at = (LEFT + column * side, y);
            one(out, picture, cell, at, side);
        }
    }
}

/// A cell: its main class, and as far up as there are others the second.
fn one(out: &mut String, picture: &Picture, cell: &Cell, (x, y): (u32, u32), side: u32) {
    let inner = side - 1;
    let class = |i: u8| picture.classes.all.get(usize::from(i));
    let Some(main) = class(cell.main) else { return };
    let fill = hex(main.light);
    let _ = write!(out, "<g><title>{}</title>", escaped(&tip(picture, cell)));
    let _ = write!(
        out,
        "<rect x=\"{x}\" y=\"{y}\" width=\"{inner}\" height=\"{inner}\" fill=\"{fill}\"/>"
    );
    if let Some(second) = cell.second.and_then(class) {
        let height = ((1.0 - cell.share()) * f64::from(inner)).max(1.0);
        let (from, fill) = (f64::from(y + inner) - height, hex(second.light));
        let _ = write!(
            out,
            "<rect x=\"{x}\" y=\"{from:.1}\" width=\"{inner}\" height=\"{height:.1}\" fill=\"{fill}\"/>"
        );
    }
    if cell.damaged {
        let (fill, frame) = (hex(DAMAGED), inner - 2);
        let (x, y) = (x + 1, y + 1);
        let _ = write!(
            out,
            "<rect x=\"{x}\" y=\"{y}\" width=\"{frame}\" height=\"{frame}\" fill=\"none\" \
             stroke=\"{fill}\" stroke-width=\"2\"/>"
        );
    }
    out.push_str("</g>\n");
}

fn tip(picture: &Picture, cell: &Cell) -> String {
    let name = |i: u8| picture.classes.all.get(usize::from(i)).map_or("", |class| &*class.name);
    let pages = match cell.pages {
        1 => format!("page {}", cell.first),
        pages => format!("pages {} to {}", cell.first, cell.first + (pages - 1)),
    };
    let others = match cell.second {
        Some(second) => format!(" ({:.0} %), then {}", cell.share() * 100.0, name(second)),
        None => String::new(),
    };
    let damaged = if cell.damaged { ", damaged" } else { "" };
    format!("{pages}: {}{others}{damaged}", name(cell.main))
}
