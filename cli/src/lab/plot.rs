//! A table as a picture: bars for cases, lines where they lie on an axis. Logarithmic, in SVG.

use crate::lab::findings::{Axis, Row, Table, Unit};
use crate::lab::scale::Decades;
use crate::lab::units::figure;
use plotters::coord::ranged1d::Ranged;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::fmt::Display;

/// Pixels.
const WIDTH: u32 = 880;
const BAR_STEP: u32 = 32;
const LINES_HEIGHT: u32 = 380;
const TOP: u32 = 16;
const BOTTOM: u32 = 56;
/// Room behind a bar for its figure.
const FIGURE: u32 = 84;
const FONT: (&str, i32) = ("sans-serif", 15);
/// About what a letter of the font takes.
const LETTER: f64 = 7.4;

/// Colours that can be told apart whatever one's eyes (Okabe and Ito, 2008).
const COOL: [RGBColor; 4] =
    [RGBColor(0, 114, 178), RGBColor(86, 180, 233), RGBColor(0, 158, 115), RGBColor(204, 121, 167)];
const WARM: [RGBColor; 3] = [RGBColor(213, 94, 0), RGBColor(230, 159, 0), RGBColor(150, 60, 0)];
const NEUTRAL: RGBColor = RGBColor(90, 110, 130);
const INK: RGBColor = RGBColor(40, 40, 40);
const GRID: RGBColor = RGBColor(222, 222, 222);

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;
type Plane<'a> = Cartesian2d<RangedCoordf64, RangedCoordf64>;
type Drawn = Result<(), String>;

/// The picture, as an `<svg>` element.
///
/// # Errors
/// What the plotting library says; it has no reason to.
pub(crate) fn svg(table: &Table) -> Result<String, String> {
    let mut text = String::new();
    match table.axis {
        Some(axis) => lines(&mut text, table, &axis)?,
        None => bars(&mut text, table)?,
    }
    Ok(text)
}

fn failed(error: impl Display) -> String {
    error.to_string()
}

/// What an axis of figures says.
fn described(table: &Table) -> String {
    let what = match table.unit {
        Unit::Nanoseconds => "time",
        Unit::PerSecond => "a second,",
    };
    match table.unit {
        Unit::Nanoseconds => format!("{what} {}, logarithmic", table.of),
        Unit::PerSecond => format!("{} {what} logarithmic", plural(table.of)),
    }
}

/// "a page" → "pages".
pub(crate) fn plural(of: &str) -> String {
    let noun = of.strip_prefix("a ").unwrap_or(of);
    match noun.strip_suffix('y') {
        Some(stem) => format!("{stem}ies"),
        None => format!("{noun}s"),
    }
}

/// Text of the usual font.
fn style(h: HPos, v: VPos) -> TextStyle<'static> {
    FONT.into_font().color(&INK).pos(Pos::new(h, v))
}

fn write(area: &Area<'_>, text: &str, at: (i32, i32), h: HPos, v: VPos) -> Drawn {
    area.draw(&Text::new(text.to_string(), at, style(h, v))).map_err(failed)
}

/// A plane whose figures are the logarithms of what they stand for: plotters' own logarithmic axes choose
/// ticks that cannot be labelled in a few characters.
fn log_range(decades: &Decades) -> std::ops::Range<f64> {
    decades.low.log10()..decades.high.log10()
}

fn bars(text: &mut String, table: &Table) -> Drawn {
    let rows = &table.rows;
    let height = TOP + BOTTOM + BAR_STEP * rows.len() as u32;
    let area = SVGBackend::with_string(text, (WIDTH, height)).into_drawing_area();
    area.fill(&WHITE).map_err(failed)?;
    let longest = rows.iter().map(|row| row.case.chars().count()).max().unwrap_or(0);
    let labels = (longest as f64 * LETTER) as u32 + 16;
    let ends = rows.iter().flat_map(|row| [row.value.median, row.value.low, row.value.high]);
    let decades = Decades::around(ends);
    let chart = ChartBuilder::on(&area)
        .margin_top(TOP)
        .margin_right(FIGURE)
        .set_label_area_size(LabelAreaPosition::Left, labels)
        .set_label_area_size(LabelAreaPosition::Bottom, BOTTOM)
        .build_cartesian_2d(log_range(&decades), rows.len() as f64..0.0)
        .map_err(failed)?;
    let plane = chart.plotting_area();
    let pixel = |x: f64, y: f64| chart.backend_coord(&(x, y));
    let bottom = rows.len() as f64;
    for tick in decades.ticks() {
        line(plane, &[(tick.log10(), 0.0), (tick.log10(), bottom)], GRID.stroke_width(1))?;
        let (x, y) = pixel(tick.log10(), bottom);
        write(&area, &figure(tick, table.unit), (x, y + 8), HPos::Center, VPos::Top)?;
    }
    let (left, y) = pixel(decades.low.log10(), bottom);
    write(&area, &described(table), (left, y + 30), HPos::Left, VPos::Top)?;
    for (i, row) in rows.iter().enumerate() {
        let (top, middle) = (i as f64, i as f64 + 0.5);
        let log = |value: f64| value.max(decades.low).log10();
        let corners = [(decades.low.log10(), top + 0.2), (log(row.value.median), top + 0.8)];
        plane
            .draw(&Rectangle::new(corners, Way::of(&row.case).colours()[0].filled()))
            .map_err(failed)?;
        let spread = [(log(row.value.low), middle), (log(row.value.high), middle)];
        line(plane, &spread, INK.stroke_width(2))?;
        let (x, y) = pixel(log(row.value.median.max(row.value.high)), middle);
        write(&area, &figure(row.value.median, table.unit), (x + 8, y), HPos::Left, VPos::Center)?;
        let (x, y) = pixel(decades.low.log10(), middle);
        write(&area, &row.case, (x - 8, y), HPos::Right, VPos::Center)?;
    }
    area.present().map_err(failed)
}

/// Calls in warm colours, the map in cool ones: the eye then finds what a table compares.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Map,
    Call,
    Other,
}

impl Way {
    fn of(case: &str) -> Way {
        let starts = |words: &[&str]| words.iter().any(|word| case.starts_with(word));
        if starts(&["map", "store"]) {
            Way::Map
        } else if starts(&["pread", "pwrite"]) {
            Way::Call
        } else {
            Way::Other
        }
    }

    fn colours(self) -> &'static [RGBColor] {
        match self {
            Way::Map => &COOL,
            Way::Call => &WARM,
            Way::Other => &[NEUTRAL],
        }
    }
}

/// A colour for each case, different ones as far as they go.
fn colours(cases: &[&str]) -> Vec<RGBColor> {
    let nth = |i: usize| {
        let way = Way::of(cases[i]);
        let before = cases[..i].iter().filter(|case| Way::of(case) == way).count();
        let colours = way.colours();
        colours[before % colours.len()]
    };
    (0..cases.len()).map(nth).collect()
}

fn line<X, Y>(
    plane: &DrawingArea<SVGBackend<'_>, Cartesian2d<X, Y>>,
    points: &[(f64, f64)],
    style: ShapeStyle,
) -> Drawn
where
    X: Ranged<ValueType = f64>,
    Y: Ranged<ValueType = f64>,
{
    plane.draw(&PathElement::new(points.to_vec(), style)).map_err(failed)
}

fn lines(text: &mut String, table: &Table, axis: &Axis) -> Drawn {
    let area = SVGBackend::with_string(text, (WIDTH, LINES_HEIGHT)).into_drawing_area();
    area.fill(&WHITE).map_err(failed)?;
    let cases = table.cases();
    let longest = cases.iter().map(|case| case.chars().count()).max().unwrap_or(0);
    let legend = (longest as f64 * LETTER) as u32 + 48;
    let points: Vec<(&Row, f64)> =
        table.rows.iter().filter_map(|row| Some((row, row.x?))).filter(|(_, x)| *x > 0.0).collect();
    let ends = points.iter().flat_map(|(row, _)| [row.value.median, row.value.low, row.value.high]);
    let decades = Decades::around(ends);
    let mut places: Vec<f64> = points.iter().map(|(_, x)| *x).collect();
    places.sort_by(f64::total_cmp);
    places.dedup();
    let first = places.first().copied().unwrap_or(1.0).log10();
    let last = places.last().copied().unwrap_or(10.0).log10();
    // A little room on both sides.
    let room = ((last - first) * 0.04).max(0.02);
    let chart = ChartBuilder::on(&area)
        .margin_top(TOP)
        .margin_right(legend)
        .set_label_area_size(LabelAreaPosition::Left, 76)
        .set_label_area_size(LabelAreaPosition::Bottom, BOTTOM)
        .build_cartesian_2d(first - room..last + room, log_range(&decades))
        .map_err(failed)?;
    grid(&area, &chart, table, axis, &decades, &places)?;
    let plane = chart.plotting_area();
    let colours = colours(&cases);
    for (case, colour) in cases.iter().zip(&colours) {
        let of_case = points.iter().filter(|(row, _)| row.case == *case);
        let mut path = Vec::new();
        for (row, x) in of_case {
            let log = |value: f64| (x.log10(), value.max(decades.low).log10());
            path.push(log(row.value.median));
            line(plane, &[log(row.value.low), log(row.value.high)], colour.stroke_width(1))?;
            plane.draw(&Circle::new(log(row.value.median), 4, colour.filled())).map_err(failed)?;
        }
        line(plane, &path, colour.stroke_width(2))?;
    }
    let x = (WIDTH - legend + 16) as i32;
    for (i, (case, colour)) in cases.iter().zip(&colours).enumerate() {
        let y = TOP as i32 + 12 + 22 * i as i32;
        area.draw(&Rectangle::new([(x, y - 5), (x + 14, y + 5)], colour.filled()))
            .map_err(failed)?;
        write(&area, case, (x + 22, y), HPos::Left, VPos::Center)?;
    }
    area.present().map_err(failed)
}

fn grid(
    area: &Area<'_>,
    chart: &ChartContext<'_, SVGBackend<'_>, Plane<'_>>,
    table: &Table,
    axis: &Axis,
    decades: &Decades,
    places: &[f64],
) -> Drawn {
    let plane = chart.plotting_area();
    let (columns, rows) = (plane.get_x_range(), plane.get_y_range());
    for tick in decades.ticks().into_iter().map(f64::log10) {
        line(plane, &[(columns.start, tick), (columns.end, tick)], GRID.stroke_width(1))?;
        let (x, y) = chart.backend_coord(&(columns.start, tick));
        let label = figure(10_f64.powf(tick), table.unit);
        write(area, &label, (x - 8, y), HPos::Right, VPos::Center)?;
    }
    for place in places {
        let at = place.log10();
        line(plane, &[(at, rows.start), (at, rows.end)], GRID.stroke_width(1))?;
        let (x, y) = chart.backend_coord(&(at, rows.start));
        write(area, &axis.place(*place), (x, y + 8), HPos::Center, VPos::Top)?;
    }
    let (x, y) = chart.backend_coord(&(columns.start, rows.start));
    let text = format!("{}, logarithmic; upwards: {}", axis.label, described(table));
    write(area, &text, (x, y + 30), HPos::Left, VPos::Top)
}
