//! What a database tells those who watch: spans with the feature `tracing`, counters with `metrics`.
//!
//! Steps are wrapped here and in `observed.rs`, above the core, which knows of neither. Without the
//! features a step is its call, and the mapping is not wrapped at all.

use mapleaf_pager::{Durability, Mapping};

/// Something that takes time.
#[derive(Clone, Copy, Debug)]
#[allow(dead_code)] // Without the features nobody looks inside.
pub(crate) enum Step {
    Open,
    Commit(Durability),
    Checkpoint,
    Sync,
    Close,
    /// Reading in what an operation without waiting has found missing, or what the caller likes.
    Fetch,
    /// Pages are made visible to readers: bytes of the ranges.
    Publish(u64),
    /// A range is made durable: bytes.
    RangedBarrier(u64),
    /// All of the file is made durable.
    SpanningBarrier,
    /// To a length in bytes.
    Grow(u64),
    /// Space is given back to the file system: to a length in bytes.
    Shrink(u64),
    /// Memory of published pages is let go of.
    Reclaim,
}

/// The mapping, wrapped if anybody may watch.
#[cfg(not(any(feature = "tracing", feature = "metrics")))]
pub(crate) fn boxed(mapping: impl Mapping + 'static) -> Box<dyn Mapping> {
    Box::new(mapping)
}

/// The mapping, wrapped if anybody may watch.
#[cfg(any(feature = "tracing", feature = "metrics"))]
pub(crate) fn boxed(mapping: impl Mapping + 'static) -> Box<dyn Mapping> {
    Box::new(crate::observed::Observed(mapping))
}

/// Makes a step.
#[cfg(not(any(feature = "tracing", feature = "metrics")))]
#[inline(always)]
pub(crate) fn step<T, E>(_step: Step, call: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    call()
}

/// Makes a step, in a span of its own, and counts it.
#[cfg(any(feature = "tracing", feature = "metrics"))]
pub(crate) fn step<T, E>(step: Step, call: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    #[cfg(feature = "tracing")]
    let span = spans::of(step);
    #[cfg(feature = "tracing")]
    let _entered = span.enter();
    #[cfg(feature = "metrics")]
    let started = std::time::Instant::now();
    let faults = step.is_whole().then(hard_faults);
    let done = call();
    let faults = faults.map(|before| hard_faults().saturating_sub(before));
    #[cfg(feature = "tracing")]
    spans::end(&span, faults, done.is_err());
    #[cfg(feature = "metrics")]
    counters::count(step, started.elapsed(), faults, done.is_err());
    done
}

/// What a committed state is like, for gauges.
#[cfg(not(feature = "metrics"))]
#[inline(always)]
pub(crate) fn state(_stats: impl FnOnce() -> mapleaf_pager::Stats) {}

/// What a committed state is like, for gauges.
#[cfg(feature = "metrics")]
pub(crate) fn state(stats: impl FnOnce() -> mapleaf_pager::Stats) {
    let stats = stats();
    let page = f64::from(stats.page_size);
    metrics::gauge!("mapleaf_file_bytes").set(f64::from(stats.mapped_pages) * page);
    metrics::gauge!("mapleaf_free_bytes").set(f64::from(stats.free_pages) * page);
    metrics::gauge!("mapleaf_pinned_bytes").set(f64::from(stats.pinned_pages) * page);
    metrics::gauge!("mapleaf_log_used_bytes").set(stats.log_used_bytes as f64);
}

#[cfg(any(feature = "tracing", feature = "metrics"))]
impl Step {
    /// Whether it is one that the program asked for: then its hard faults are counted, which costs two
    /// system calls.
    fn is_whole(self) -> bool {
        matches!(self, Step::Open | Step::Commit(_) | Step::Checkpoint | Step::Fetch)
    }
}

/// Hard faults of this thread.
#[cfg(any(feature = "tracing", feature = "metrics"))]
fn hard_faults() -> u64 {
    #[cfg(target_os = "linux")]
    return mapleaf_sys_linux::Faults::of_thread().major;
    #[cfg(not(target_os = "linux"))]
    0
}

#[cfg(feature = "tracing")]
mod spans {
    use super::Step;
    use tracing::field::Empty;
    use tracing::{Span, debug_span, trace_span};

    /// A span of a step; those of the mapping are details of those of the database.
    pub(super) fn of(step: Step) -> Span {
        match step {
            Step::Open => debug_span!("mapleaf.open", hard_faults = Empty, failed = Empty),
            Step::Commit(durability) => {
                debug_span!("mapleaf.commit", ?durability, hard_faults = Empty, failed = Empty)
            }
            Step::Checkpoint => {
                debug_span!("mapleaf.checkpoint", hard_faults = Empty, failed = Empty)
            }
            Step::Sync => debug_span!("mapleaf.sync", failed = Empty),
            Step::Close => debug_span!("mapleaf.close", failed = Empty),
            Step::Fetch => debug_span!("mapleaf.fetch", hard_faults = Empty, failed = Empty),
            Step::Publish(bytes) => trace_span!("mapleaf.publish", bytes, failed = Empty),
            Step::RangedBarrier(bytes) => {
                debug_span!("mapleaf.barrier", ranged = true, bytes, failed = Empty)
            }
            Step::SpanningBarrier => {
                debug_span!("mapleaf.barrier", ranged = false, failed = Empty)
            }
            Step::Grow(bytes) => debug_span!("mapleaf.grow", bytes, failed = Empty),
            Step::Shrink(bytes) => debug_span!("mapleaf.shrink", bytes, failed = Empty),
            Step::Reclaim => trace_span!("mapleaf.reclaim", failed = Empty),
        }
    }

    pub(super) fn end(span: &Span, hard_faults: Option<u64>, failed: bool) {
        if let Some(hard_faults) = hard_faults {
            span.record("hard_faults", hard_faults);
        }
        if failed {
            span.record("failed", true);
        }
    }
}

#[cfg(feature = "metrics")]
mod counters {
    use super::Step;
    use mapleaf_pager::Durability;
    use metrics::{counter, histogram};
    use std::time::Duration;

    pub(super) fn count(step: Step, took: Duration, hard_faults: Option<u64>, failed: bool) {
        let name = name(step);
        counter!("mapleaf_steps_total", "step" => name).increment(1);
        histogram!("mapleaf_step_seconds", "step" => name).record(took.as_secs_f64());
        if let Some(faults @ 1..) = hard_faults {
            counter!("mapleaf_hard_faults_total", "step" => name).increment(faults);
        }
        if failed {
            counter!("mapleaf_failures_total", "step" => name).increment(1);
        }
        if let Step::Publish(bytes) | Step::RangedBarrier(bytes) = step {
            counter!("mapleaf_bytes_total", "step" => name).increment(bytes);
        }
    }

    fn name(step: Step) -> &'static str {
        match step {
            Step::Open => "open",
            Step::Commit(Durability::Eventual) => "commit_eventual",
            Step::Commit(_) => "commit_sync",
            Step::Checkpoint => "checkpoint",
            Step::Sync => "sync",
            Step::Close => "close",
            Step::Fetch => "fetch",
            Step::Publish(_) => "publish",
            Step::RangedBarrier(_) => "ranged_barrier",
            Step::SpanningBarrier => "spanning_barrier",
            Step::Grow(_) => "grow",
            Step::Shrink(_) => "shrink",
            Step::Reclaim => "reclaim",
        }
    }
}
