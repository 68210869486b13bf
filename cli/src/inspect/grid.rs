//! The cells of a picture: a page each, or several where there are too many.

use super::colour::{Classes, DAMAGED, Rgb, blend};
use std::collections::HashSet;

/// Pages side by side in the file.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Cell {
    pub(crate) first: u32,
    pub(crate) pages: u32,
    /// The class of most of them, and how many these are.
    pub(crate) main: u8,
    pub(crate) main_pages: u32,
    /// The class of most of the others.
    pub(crate) second: Option<u8>,
    /// On a scale: the mean step of those that have one.
    mean: Option<f64>,
    pub(crate) damaged: bool,
}

/// Cells in rows, in the order of the file.
pub(crate) struct Grid {
    pub(crate) columns: u32,
    pub(crate) pages_a_cell: u32,
    pub(crate) cells: Vec<Cell>,
}

impl Grid {
    /// A grid of so many columns, and so many rows at most.
    pub(crate) fn new(
        classes: &Classes,
        damaged: &HashSet<u32>,
        columns: u32,
        rows_max: u32,
    ) -> Grid {
        let pages = classes.of.len() as u32;
        let columns = columns.max(1);
        let pages_a_cell = pages.div_ceil(columns.saturating_mul(rows_max.max(1))).max(1);
        let chunks = classes.of.chunks(pages_a_cell as usize).enumerate();
        let cells = chunks.map(|(i, chunk)| {
            let first = i as u32 * pages_a_cell;
            let mut cell = Cell::of(classes, chunk);
            cell.first = first;
            cell.damaged = (first..first + cell.pages).any(|page| damaged.contains(&page));
            cell
        });
        Grid { columns, pages_a_cell, cells: cells.collect() }
    }

    pub(crate) fn rows(&self) -> u32 {
        (self.cells.len() as u32).div_ceil(self.columns)
    }

    pub(crate) fn cell(&self, row: u32, column: u32) -> Option<&Cell> {
        let at = row as usize * self.columns as usize + column as usize;
        self.cells.get(at).filter(|_| column < self.columns)
    }
}

impl Cell {
    fn of(classes: &Classes, pages: &[u8]) -> Cell {
        let mut counts = vec![0u32; classes.all.len()];
        for class in pages {
            if let Some(count) = counts.get_mut(usize::from(*class)) {
                *count += 1;
            }
        }
        let steps = counts.get(..classes.steps).unwrap_or_default();
        let scaled: u32 = steps.iter().sum();
        let sum: f64 = steps.iter().enumerate().map(|(i, n)| i as f64 * f64::from(*n)).sum();
        // Of equals the first: a lone page of a rare kind comes before the many.
        let mut order: Vec<usize> = (0..counts.len()).filter(|class| counts[*class] > 0).collect();
        order.sort_by_key(|class| std::cmp::Reverse(counts[*class]));
        let main = order.first().copied().unwrap_or(0);
        Cell {
            first: 0,
            pages: pages.len() as u32,
            main: main as u8,
            main_pages: counts.get(main).copied().unwrap_or(0),
            second: order.get(1).map(|class| *class as u8),
            mean: (scaled > 0).then(|| sum / f64::from(scaled)),
            damaged: false,
        }
    }

    /// Whether its pages are of several classes.
    pub(crate) fn is_mixed(&self) -> bool {
        self.second.is_some()
    }

    /// How many of its pages are of its main class: above 0, to 1.
    pub(crate) fn share(&self) -> f64 {
        f64::from(self.main_pages) / f64::from(self.pages.max(1))
    }

    /// Its letter: a lower-case one where it is mixed.
    pub(crate) fn letter(&self, classes: &Classes) -> char {
        if self.damaged {
            return '!';
        }
        let letter = classes.all.get(usize::from(self.main)).map_or('?', |class| class.letter);
        match letter {
            '.' if self.is_mixed() => ',',
            letter if self.is_mixed() => letter.to_ascii_lowercase(),
            letter => letter,
        }
    }

    /// Its colour on a dark ground: mixed cells are dimmer, or on a scale between its steps.
    pub(crate) fn colour(&self, classes: &Classes) -> Rgb {
        const GROUND: Rgb = [16, 18, 20];
        if self.damaged {
            return DAMAGED;
        }
        let class = |i: usize| classes.all.get(i).map_or(GROUND, |class| class.dark);
        match self.mean {
            Some(mean) if usize::from(self.main) < classes.steps => {
                let low = mean.floor();
                let next = (low as usize + 1).min(classes.steps - 1);
                blend(class(low as usize), class(next), mean - low)
            }
            _ => blend(class(usize::from(self.main)), GROUND, (1.0 - self.share()) * 0.6),
        }
    }
}
