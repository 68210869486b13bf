//! Measurements by sensor and time: appending, ranges, a summary, retention.
//!
//! A key is the sensor's number and the time in milliseconds, both big-endian: one sensor's points lie side
//! by side, in order of time, on pages that are filled one after the other. What is older than the retention
//! is one `remove_range` a sensor, which frees whole pages.
//!
//! ```sh
//! cargo run -p mapleaf --example time_series
//! ```

use mapleaf::{Database, Durability, Result};

const SENSORS: u16 = 8;
/// Between two points of a sensor.
const STEP_MS: u64 = 1000;
const RETENTION_MS: u64 = 4 * 3600 * 1000;

fn key(sensor: u16, time_ms: u64) -> [u8; 10] {
    let mut key = [0; 10];
    let (head, tail) = key.split_at_mut(2);
    head.copy_from_slice(&sensor.to_be_bytes());
    tail.copy_from_slice(&time_ms.to_be_bytes());
    key
}

/// What is known of a stretch of time.
#[derive(Debug, Default)]
struct Summary {
    points: u64,
    min: f64,
    max: f64,
    mean: f64,
}

struct Series<'db> {
    db: &'db Database,
}

impl Series<'_> {
    /// Stores a point of each sensor. Returns at once: a crash of the machine may lose the last seconds,
    /// until [`Database::sync`].
    fn record(&self, time_ms: u64, values: &[f64]) -> Result<()> {
        let mut txn = self.db.write()?;
        let mut points = txn.tree("points")?;
        for (sensor, value) in (0..).zip(values) {
            points.insert(&key(sensor, time_ms), &value.to_le_bytes())?;
        }
        txn.commit_with(Durability::Eventual)?;
        Ok(())
    }

    /// Summarises `times` of a sensor, while others write.
    fn summary(&self, sensor: u16, times: std::ops::Range<u64>) -> Result<Summary> {
        let snapshot = self.db.read()?;
        let points = snapshot.tree("points")?;
        let mut found = Summary { min: f64::MAX, max: f64::MIN, ..Summary::default() };
        let mut sum = 0.0;
        for point in points.range(&key(sensor, times.start)[..]..&key(sensor, times.end)[..]) {
            let (_, value) = point?;
            let value = f64::from_le_bytes(value.try_into().unwrap_or([0; 8]));
            found.points += 1;
            (found.min, found.max) = (found.min.min(value), found.max.max(value));
            sum += value;
        }
        found.mean = sum / found.points.max(1) as f64;
        Ok(found)
    }

    /// Removes what is older than the retention; how many points.
    fn retain(&self, now_ms: u64) -> Result<u64> {
        let oldest = now_ms.saturating_sub(RETENTION_MS);
        let mut txn = self.db.write()?;
        let mut points = txn.tree("points")?;
        let mut removed = 0;
        for sensor in 0..SENSORS {
            removed += points.remove_range(&key(sensor, 0)[..]..&key(sensor, oldest)[..])?;
        }
        txn.commit()?;
        Ok(removed)
    }
}

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let scratch = tempfile::tempdir()?;
    // SAFETY: a file of our own, that nothing else opens.
    let db = unsafe { Database::open(scratch.path().join("series.leaf")) }?;
    let series = Series { db: &db };
    // Six hours, a point a second and sensor: here in minutes' worth of points a transaction.
    let hours_ms = |hours: u64| hours * 3600 * 1000;
    let mut time_ms = 0;
    while time_ms < hours_ms(6) {
        let wave = |sensor: u16| f64::from(sensor) * 10.0 + (time_ms as f64 / 3.6e6).sin();
        let values: Vec<f64> = (0..SENSORS).map(wave).collect();
        series.record(time_ms, &values)?;
        time_ms += STEP_MS * 10;
    }
    db.sync()?;
    let all = db.read()?.tree("points")?.len();
    println!("{all} points of {SENSORS} sensors");
    let found = series.summary(3, hours_ms(2)..hours_ms(3))?;
    println!(
        "sensor 3, third hour: {} points, {:.3} to {:.3}, mean {:.3}",
        found.points, found.min, found.max, found.mean
    );
    let removed = series.retain(time_ms)?;
    println!("{removed} points are older than four hours");
    println!("{} are left", db.read()?.tree("points")?.len());
    let gone = series.summary(3, 0..hours_ms(1))?;
    println!("sensor 3, first hour: {} points", gone.points);
    db.checkpoint()?;
    println!("sound: {}", db.check()?.is_sound());
    Ok(())
}
