//! Spans and counters: each step that waits is seen once, under the one that it is part of.

#![allow(unsafe_code)] // Opens mapped files in directories of their own.

use mapleaf::{Database, Durability, Error};
use metrics::{Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName};
use metrics::{Metadata as MetricMetadata, Recorder, SharedString, Unit};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// One test at a time: which spans are wanted is decided for the whole process, by whoever comes first.
static ALONE: Mutex<()> = Mutex::new(());

/// A subscriber that writes each span down: the names on the way to it, and its fields.
#[derive(Clone, Default)]
struct Spans(Arc<Mutex<Seen>>);

#[derive(Default)]
struct Seen {
    /// By number, from 1 on: the path of names, and fields.
    spans: Vec<(String, BTreeMap<&'static str, String>)>,
    entered: Vec<u64>,
}

struct Fields<'a>(&'a mut BTreeMap<&'static str, String>);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }
}

impl Subscriber for Spans {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut seen = self.0.lock().unwrap();
        let parent = seen.entered.last().map(|id| seen.spans[*id as usize - 1].0.clone());
        let name = span.metadata().name();
        let path = parent.map_or(name.into(), |parent| format!("{parent} > {name}"));
        let mut fields = BTreeMap::new();
        span.record(&mut Fields(&mut fields));
        seen.spans.push((path, fields));
        Id::from_u64(seen.spans.len() as u64)
    }
    fn record(&self, span: &Id, values: &Record<'_>) {
        let mut seen = self.0.lock().unwrap();
        values.record(&mut Fields(&mut seen.spans[span.into_u64() as usize - 1].1));
    }
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, _: &Event<'_>) {}
    fn enter(&self, span: &Id) {
        self.0.lock().unwrap().entered.push(span.into_u64());
    }
    fn exit(&self, _: &Id) {
        self.0.lock().unwrap().entered.pop();
    }
}

impl Spans {
    /// The spans since the last time, by path.
    fn take(&self) -> Vec<(String, BTreeMap<&'static str, String>)> {
        let mut seen = self.0.lock().unwrap();
        assert!(seen.entered.is_empty(), "a span was not left");
        std::mem::take(&mut seen.spans)
    }
}

fn count(spans: &[(String, BTreeMap<&'static str, String>)], path: &str) -> usize {
    spans.iter().filter(|span| span.0 == path).count()
}

/// A new database of the test's own, without a thread that would be watched by nobody.
fn made(directory: &tempfile::TempDir) -> Database {
    let builder = Database::builder().background(false);
    // SAFETY: a new file in a directory of its own.
    unsafe { builder.open(directory.path().join("t.leaf")) }.unwrap()
}

fn insert(db: &Database, durability: Durability) {
    let mut txn = db.write().unwrap();
    txn.tree("t").unwrap().insert(b"key", b"value").unwrap();
    txn.commit_with(durability).unwrap();
}

#[test]
fn spans_show_what_a_commit_waits_for() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let directory = tempfile::tempdir().unwrap();
    let spans = Spans::default();
    let _watching = tracing::subscriber::set_default(spans.clone());
    let db = made(&directory);
    let opening = spans.take();
    assert_eq!(opening[0].0, "mapleaf.open");
    assert!(opening[0].1.contains_key("hard_faults") && !opening[0].1.contains_key("failed"));
    assert!(count(&opening, "mapleaf.open > mapleaf.grow") >= 1, "{opening:?}");
    assert!(count(&opening, "mapleaf.open > mapleaf.barrier") >= 1, "{opening:?}");
    insert(&db, Durability::Sync);
    spans.take();

    insert(&db, Durability::Sync);
    let commit = spans.take();
    assert_eq!(count(&commit, "mapleaf.commit"), 1, "{commit:?}");
    assert_eq!(count(&commit, "mapleaf.commit > mapleaf.barrier"), 1, "{commit:?}");
    assert_eq!(commit[0].1["durability"], "Sync");
    let barrier = commit.iter().find(|span| span.0.ends_with("barrier")).unwrap();
    assert_eq!((&barrier.1["ranged"][..], &barrier.1["bytes"][..]), ("true", "4096"));

    insert(&db, Durability::Eventual);
    let commit = spans.take();
    assert!(!commit.iter().any(|span| span.0.ends_with("barrier")), "{commit:?}");
    db.checkpoint().unwrap();
    let checkpoint = spans.take();
    assert_eq!(count(&checkpoint, "mapleaf.checkpoint"), 1);
    assert_eq!(count(&checkpoint, "mapleaf.checkpoint > mapleaf.barrier"), 2, "{checkpoint:?}");
    db.prefault(..).unwrap();
    assert_eq!(count(&spans.take(), "mapleaf.fetch"), 1);
    let mut txn = db.write().unwrap();
    txn.tree("t").unwrap().insert(b"large", &vec![1; 64 << 20]).unwrap();
    let growing = spans.take();
    assert!(count(&growing, "mapleaf.grow") >= 1, "{growing:?}");
    txn.rollback();
    spans.take();
    drop(db);
    assert_eq!(count(&spans.take(), "mapleaf.close"), 1);

    let nowhere = directory.path().join("no/such/directory");
    // SAFETY: there is no such file.
    assert!(matches!(unsafe { Database::open(nowhere) }, Err(Error::Io { .. })));
    assert_eq!(spans.take()[0].1["failed"], "true");
}

/// A recorder that adds up.
#[derive(Default)]
struct Sums(Mutex<BTreeMap<String, Arc<Sum>>>);

#[derive(Default)]
struct Sum(AtomicU64);

impl CounterFn for Sum {
    fn increment(&self, value: u64) {
        self.0.fetch_add(value, Ordering::Relaxed);
    }
    fn absolute(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }
}

impl GaugeFn for Sum {
    fn increment(&self, _: f64) {}
    fn decrement(&self, _: f64) {}
    fn set(&self, value: f64) {
        self.0.store(value as u64, Ordering::Relaxed);
    }
}

impl HistogramFn for Sum {
    fn record(&self, _: f64) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Sums {
    fn sum(&self, key: &Key) -> Arc<Sum> {
        let labels: String = key.labels().map(|label| format!(" {}", label.value())).collect();
        let mut sums = self.0.lock().unwrap();
        Arc::clone(sums.entry(format!("{}{labels}", key.name())).or_default())
    }

    fn get(&self, name: &str) -> u64 {
        self.0.lock().unwrap().get(name).map_or(0, |sum| sum.0.load(Ordering::Relaxed))
    }
}

impl Recorder for Sums {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn register_counter(&self, key: &Key, _: &MetricMetadata<'_>) -> Counter {
        Counter::from_arc(self.sum(key))
    }
    fn register_gauge(&self, key: &Key, _: &MetricMetadata<'_>) -> Gauge {
        Gauge::from_arc(self.sum(key))
    }
    fn register_histogram(&self, key: &Key, _: &MetricMetadata<'_>) -> Histogram {
        Histogram::from_arc(self.sum(key))
    }
}

#[test]
fn counters_count_steps_bytes_and_failures() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let directory = tempfile::tempdir().unwrap();
    let sums = Sums::default();
    metrics::with_local_recorder(&sums, || {
        let db = made(&directory);
        insert(&db, Durability::Sync);
        let barriers = sums.get("mapleaf_steps_total ranged_barrier");
        let bytes = sums.get("mapleaf_bytes_total ranged_barrier");
        for _ in 0..5 {
            insert(&db, Durability::Sync);
        }
        insert(&db, Durability::Eventual);
        assert_eq!(sums.get("mapleaf_steps_total ranged_barrier"), barriers + 5);
        assert_eq!(sums.get("mapleaf_bytes_total ranged_barrier"), bytes + 5 * 4096);
        assert_eq!(sums.get("mapleaf_steps_total commit_sync"), 6);
        assert_eq!(sums.get("mapleaf_step_seconds commit_sync"), 6);
        assert_eq!(sums.get("mapleaf_steps_total commit_eventual"), 1);
        assert_eq!(sums.get("mapleaf_file_bytes"), db.stats().file_bytes);
        assert_eq!(sums.get("mapleaf_failures_total open"), 0);
        db.checkpoint().unwrap();
        db.evict();
        db.prefault(..).unwrap();
        // What was evicted had to be read, unless the file lies in memory.
        assert_eq!(sums.get("mapleaf_steps_total fetch"), 1);
        drop(db);
        assert_eq!(sums.get("mapleaf_steps_total close"), 1);
        // SAFETY: there is no such file.
        assert!(unsafe { Database::open(directory.path().join("no/such")) }.is_err());
        assert_eq!(sums.get("mapleaf_failures_total open"), 1);
    });
}
