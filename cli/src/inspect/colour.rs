//! What colours say: classes of pages.

use crate::args::ColorBy;
use mapleaf::{PageKind, PageMap, TxnId};

/// Red, green, blue.
pub(crate) type Rgb = [u8; 3];

/// Damaged pages, whatever the colours say else.
pub(crate) const DAMAGED: Rgb = [255, 0, 64];

/// Steps of a scale.
const STEPS: usize = 10;
/// Dark to bright (viridis): in order for the colour-blind too, and without colours.
const SCALE: [Rgb; STEPS] = [
    [68, 1, 84],
    [72, 40, 120],
    [62, 73, 137],
    [49, 104, 142],
    [38, 130, 142],
    [31, 158, 137],
    [53, 183, 121],
    [110, 206, 88],
    [181, 222, 43],
    [253, 231, 37],
];
const NOTHING_ON_LIGHT: Rgb = [222, 226, 230];
const NOTHING_ON_DARK: Rgb = [58, 64, 72];

/// Pages that look the same.
#[derive(Clone, Debug)]
pub(crate) struct Class {
    pub(crate) name: String,
    /// Where there are no colours.
    pub(crate) letter: char,
    /// On a light ground.
    pub(crate) light: Rgb,
    /// On a dark ground.
    pub(crate) dark: Rgb,
    pub(crate) pages: u64,
}

impl Class {
    fn new(name: impl Into<String>, letter: char, colour: Rgb) -> Class {
        Class { name: name.into(), letter, light: colour, dark: colour, pages: 0 }
    }

    /// Pages of which there is nothing to say.
    fn nothing(name: &str, letter: char) -> Class {
        let (light, dark) = (NOTHING_ON_LIGHT, NOTHING_ON_DARK);
        Class { name: name.into(), letter, light, dark, pages: 0 }
    }
}

/// The class of every page.
pub(crate) struct Classes {
    pub(crate) by: ColorBy,
    pub(crate) all: Vec<Class>,
    /// Of each page, as an index.
    pub(crate) of: Vec<u8>,
    /// The first classes are steps of a scale: between them there are others.
    pub(crate) steps: usize,
}

impl Classes {
    /// Classifies the pages of a file.
    pub(crate) fn new(map: &PageMap, by: ColorBy) -> Classes {
        let mut classes = match by {
            ColorBy::Kind => kinds(map),
            ColorBy::Birth => births(map),
            ColorBy::Fill => fills(map),
            ColorBy::Residency => residency(map),
        };
        for class in &classes.of {
            if let Some(class) = classes.all.get_mut(usize::from(*class)) {
                class.pages += 1;
            }
        }
        classes
    }
}

fn kinds(map: &PageMap) -> Classes {
    let class = |kind: PageKind| match kind {
        PageKind::Meta => Class::new(kind.name(), 'M', [214, 39, 40]),
        PageKind::Log => Class::new(kind.name(), 'G', [255, 140, 26]),
        PageKind::Inner => Class::new(kind.name(), 'I', [148, 75, 190]),
        PageKind::Leaf => Class::new(kind.name(), 'L', [42, 157, 74]),
        PageKind::Value => Class::new(kind.name(), 'V', [52, 120, 200]),
        PageKind::Space => Class::new(kind.name(), 'S', [225, 190, 0]),
        PageKind::Pinned => Class::new(kind.name(), 'P', [120, 144, 156]),
        PageKind::Free => Class::nothing(kind.name(), '.'),
        kind => Class::new(kind.name(), '?', [240, 0, 200]),
    };
    let all = PageKind::ALL.into_iter().map(class).collect();
    let of = map.pages().map(|page| page.kind as u8).collect();
    Classes { by: ColorBy::Kind, all, of, steps: 0 }
}

/// Steps by rank: openings leave wide gaps between transactions.
fn births(map: &PageMap) -> Classes {
    let mut births: Vec<TxnId> = map.pages().filter_map(|page| page.birth).collect();
    births.sort_unstable();
    births.dedup();
    let step = |birth: TxnId| births.partition_point(|other| *other < birth) * STEPS / births.len();
    let of = map.pages().map(|page| page.birth.map_or(STEPS, step) as u8).collect();
    let mut all = Vec::new();
    for (i, colour) in SCALE.into_iter().enumerate() {
        let mut of_step = births.iter().filter(|birth| step(**birth) == i);
        let name = match (of_step.next(), of_step.next_back()) {
            (Some(first), Some(last)) => format!("{} to {}", first.0, last.0),
            (Some(only), None) => only.0.to_string(),
            (None, _) => String::new(),
        };
        all.push(Class::new(name, digit(i), colour));
    }
    all.push(Class::nothing("no birth", '-'));
    Classes { by: ColorBy::Birth, all, of, steps: STEPS }
}

fn fills(map: &PageMap) -> Classes {
    let step = |percent: u8| (usize::from(percent) * STEPS / 100).min(STEPS - 1);
    let of = map.pages().map(|page| page.fill_percent.map_or(STEPS, step) as u8).collect();
    let mut all = Vec::new();
    for (i, colour) in SCALE.into_iter().enumerate() {
        let last = if i + 1 == STEPS { 100 } else { i * 10 + 9 };
        all.push(Class::new(format!("{} to {last} %", i * 10), digit(i), colour));
    }
    all.push(Class::nothing("no fill", '-'));
    Classes { by: ColorBy::Fill, all, of, steps: STEPS }
}

fn residency(map: &PageMap) -> Classes {
    let all = vec![
        Class::nothing("not in memory", '.'),
        Class::new("in memory", 'R', [42, 157, 74]),
        Class::new("not known", '?', [240, 0, 200]),
    ];
    let of = map.pages().map(|page| page.resident.map_or(2, u8::from)).collect();
    Classes { by: ColorBy::Residency, all, of, steps: 0 }
}

fn digit(i: usize) -> char {
    char::from_digit(i as u32, 10).unwrap_or('9')
}

/// `colour`, and `part` (0 to 1) of the way to `other`.
pub(crate) fn blend(colour: Rgb, other: Rgb, part: f64) -> Rgb {
    let mut mixed = colour;
    for (to, from) in mixed.iter_mut().zip(other) {
        let (low, high) = (f64::from(*to), f64::from(from));
        *to = (low + (high - low) * part).round() as u8;
    }
    mixed
}

/// The nearest of a terminal's 256 colours: of its cube of six steps a channel, or its greys.
pub(crate) fn indexed(colour: Rgb) -> u8 {
    const LEVELS: [u8; 6] = [0, 95, 135, 175, 215, 255];
    let step = |channel: u8| (0..6).min_by_key(|i| LEVELS[*i].abs_diff(channel)).unwrap_or(0);
    let cube = colour.map(step);
    let mean = colour.iter().map(|channel| u32::from(*channel)).sum::<u32>() / 3;
    let grey = (mean.saturating_sub(3) / 10).min(23);
    let distance = |other: Rgb| -> u32 {
        let apart = colour.iter().zip(other).map(|(a, b)| u32::from(a.abs_diff(b)));
        apart.map(|apart| apart * apart).sum()
    };
    if distance([(8 + 10 * grey) as u8; 3]) < distance(cube.map(|i| LEVELS[i])) {
        return (232 + grey) as u8;
    }
    (16 + 36 * cube[0] + 6 * cube[1] + cube[2]) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_of_256_colours() {
        let cases = [([0; 3], 16), ([255; 3], 231), ([255, 0, 0], 196), ([58, 64, 72], 238)];
        for (colour, index) in cases {
            assert_eq!(indexed(colour), index, "{colour:?}");
        }
        assert_eq!(indexed([95, 175, 0]), 16 + 36 + 18);
    }
}
