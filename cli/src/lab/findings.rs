//! What an experiment hands over: tables of figures, and what they say in words.

use crate::lab::counters::Counts;
use crate::lab::meter::Measured;
use crate::lab::samples::Summary;
use crate::lab::units::{digits, size};
use std::io;

/// Why an experiment has no findings.
#[derive(Debug)]
pub(crate) enum Stop {
    /// It means nothing here, or is not permitted: the reason.
    Skip(String),
    /// The system refused something.
    Failed(io::Error),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Stop {
        Stop::Failed(error)
    }
}

impl From<rustix::io::Errno> for Stop {
    fn from(errno: rustix::io::Errno) -> Stop {
        Stop::Failed(errno.into())
    }
}

/// What comes of an experiment, or of a part.
pub(crate) type Lab<T = Findings> = Result<T, Stop>;

/// Fails as the store did.
pub(crate) fn store_failed(error: impl std::error::Error + Send + Sync + 'static) -> Stop {
    Stop::Failed(io::Error::other(error))
}

/// What the figures of a table are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Unit {
    /// Nanoseconds; less is better.
    Nanoseconds,
    /// Operations a second; more is better.
    PerSecond,
}

/// What the cases of a table vary in, beside their names.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Axis {
    /// What it is, with its unit.
    pub(crate) label: &'static str,
    /// Its name in JSON.
    pub(crate) key: &'static str,
}

impl Axis {
    /// A place on the axis.
    pub(crate) fn place(&self, x: f64) -> String {
        if self.key == "bytes" { size(x) } else { digits(x) }
    }
}

/// One table, which becomes one chart.
#[derive(Debug)]
pub(crate) struct Table {
    /// Its name in JSON: a word.
    pub(crate) name: &'static str,
    /// What it shows.
    pub(crate) title: String,
    /// What one figure is of: "a page".
    pub(crate) of: &'static str,
    pub(crate) unit: Unit,
    pub(crate) axis: Option<Axis>,
    pub(crate) rows: Vec<Row>,
}

/// One case, measured.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) case: String,
    /// Where it lies on the axis.
    pub(crate) x: Option<f64>,
    pub(crate) value: Summary,
    /// Operations in all: what the counts are of.
    pub(crate) operations: u64,
    pub(crate) counts: Counts,
}

impl Table {
    /// A table of times, of cases that differ in name only.
    pub(crate) fn new(name: &'static str, title: impl Into<String>, of: &'static str) -> Table {
        let (unit, axis, rows) = (Unit::Nanoseconds, None, Vec::new());
        Table { name, title: title.into(), of, unit, axis, rows }
    }

    /// The same, of cases that lie on an axis.
    pub(crate) fn along(mut self, key: &'static str, label: &'static str) -> Table {
        self.axis = Some(Axis { label, key });
        self
    }

    /// The same, of operations a second.
    pub(crate) fn rates(mut self) -> Table {
        self.unit = Unit::PerSecond;
        self
    }

    /// Adds a case; its median.
    pub(crate) fn add(&mut self, case: impl Into<String>, measured: Measured) -> f64 {
        self.put(case, None, measured)
    }

    /// Adds a case that lies at `x`; its median.
    pub(crate) fn add_at(&mut self, case: impl Into<String>, x: f64, measured: Measured) -> f64 {
        self.put(case, Some(x), measured)
    }

    fn put(&mut self, case: impl Into<String>, x: Option<f64>, measured: Measured) -> f64 {
        let value = measured.summary;
        let (operations, counts) = (measured.operations, measured.counts);
        self.rows.push(Row { case: case.into(), x, value, operations, counts });
        value.median
    }

    /// The names of the cases, each once, in the order they came.
    pub(crate) fn cases(&self) -> Vec<&str> {
        let mut cases: Vec<&str> = Vec::new();
        for row in &self.rows {
            if !cases.contains(&row.case.as_str()) {
                cases.push(&row.case);
            }
        }
        cases
    }

    /// The median of a case at `x`.
    pub(crate) fn median_at(&self, case: &str, x: f64) -> Option<f64> {
        let found = self.rows.iter().find(|row| row.case == case && row.x == Some(x));
        found.map(|row| row.value.median)
    }
}

/// What an experiment found.
#[derive(Default, Debug)]
pub(crate) struct Findings {
    pub(crate) tables: Vec<Table>,
    /// What was found, in sentences.
    pub(crate) words: Vec<String>,
}

impl Findings {
    /// Adds a sentence.
    pub(crate) fn say(&mut self, words: impl Into<String>) {
        self.words.push(words.into());
    }
}
