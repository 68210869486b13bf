//! SVG plots: for each data set one picture, in it a panel of bars for each workload.

use super::{bytes, names, time};
use crate::peer::Result;
use crate::stage::Row;
use plotters::prelude::*;
use std::path::Path;

/// Panels beside each other.
const COLUMNS: usize = 3;
const PANEL_WIDTH: u32 = 400;
const BAR: u32 = 18;
const TITLE: u32 = 34;
/// Where the bars begin, right of the names of the stores.
const BARS_AT: i32 = 120;
/// Room right of the longest bar for its figure.
const FIGURE_ROOM: i32 = 130;

const OURS: RGBColor = RGBColor(192, 64, 16);
const LMDB: RGBColor = RGBColor(64, 96, 160);
const OTHERS: RGBColor = RGBColor(150, 150, 150);

/// Writes `NAME.svg` of each data set into a directory.
pub(crate) fn plots(rows: &[Row], directory: &Path) -> Result<()> {
    for set in names(rows, |row| row.dataset) {
        let of_set: Vec<&Row> = rows.iter().filter(|row| row.dataset == set).collect();
        plot(&of_set, &directory.join(format!("{set}.svg")))?;
    }
    Ok(())
}

fn figure(row: &Row) -> f64 {
    row.nanoseconds.map(|spread| spread.median).or(row.bytes).unwrap_or(0.0)
}

fn plot(rows: &[&Row], path: &Path) -> Result<()> {
    let mut panels: Vec<Vec<&Row>> = Vec::new();
    for row in rows {
        let same = |panel: &&mut Vec<&Row>| {
            panel[0].workload == row.workload && panel[0].threads == row.threads
        };
        match panels.iter_mut().find(same) {
            Some(panel) => panel.push(row),
            None => panels.push(vec![row]),
        }
    }
    // A line of panels is as high as the one with the most bars.
    let height = |line: &[Vec<&Row>]| {
        TITLE + BAR * line.iter().map(Vec::len).max().unwrap_or(0) as u32 + BAR / 2
    };
    let size = (PANEL_WIDTH * COLUMNS as u32, panels.chunks(COLUMNS).map(height).sum());
    let root = SVGBackend::new(path, size).into_drawing_area();
    root.fill(&WHITE)?;
    let mut rest = root.clone();
    for line in panels.chunks(COLUMNS) {
        let (areas, below) = rest.split_vertically(height(line));
        for (area, panel) in areas.split_evenly((1, COLUMNS)).iter().zip(line) {
            draw(area, panel)?;
        }
        rest = below;
    }
    root.present()?;
    Ok(())
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

fn draw(area: &Area<'_>, panel: &[&Row]) -> Result<()> {
    let most = panel.iter().map(|row| figure(row)).fold(0.0, f64::max);
    let threads = panel[0].threads;
    let threads = if threads > 1 { format!(", {threads} threads") } else { String::new() };
    let title = format!("{}{threads}", panel[0].workload);
    let text = |text: String, at, size| {
        let style = ("sans-serif", size).into_font().color(&BLACK);
        area.draw(&Text::new(text, at, style))
    };
    text(title, (8, 10), 15)?;
    for (i, row) in panel.iter().enumerate() {
        let top = (TITLE + BAR * i as u32) as i32;
        let room = f64::from(PANEL_WIDTH as i32 - BARS_AT - FIGURE_ROOM);
        let end = BARS_AT + (figure(row) / most * room).round().max(1.0) as i32;
        let colour = match row.store {
            store if store.starts_with("mapleaf") => OURS,
            store if store.starts_with("lmdb") => LMDB,
            _ => OTHERS,
        };
        text(row.store.to_owned(), (8, top), 12)?;
        let corners = [(BARS_AT, top), (end, top + BAR as i32 - 5)];
        area.draw(&Rectangle::new(corners, colour.filled()))?;
        let mut label = match row.nanoseconds {
            Some(spread) => time(spread.median),
            None => bytes(row.bytes.unwrap_or(0.0)),
        };
        if let Some(ratio) = row.ratio {
            label.push_str(&format!(" ({ratio:.2}x)"));
        }
        text(label, (end + 4, top), 12)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::stage::tests::row;

    #[test]
    fn a_plot_names_stores_and_figures() {
        let directory = tempfile::tempdir().unwrap();
        super::plots(&[row("mapleaf", 20.0), row("lmdb", 40.0)], directory.path()).unwrap();
        let svg = std::fs::read_to_string(directory.path().join("small.svg")).unwrap();
        assert!(svg.contains("mapleaf") && svg.contains("40.0 ns"), "{svg}");
    }
}
