//! How much of each workload is done.

use crate::data::DataSet;

/// How much of each workload is done: enough for figures, or to see that it works.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    /// Entries of the data sets `small` and `urls`.
    pub(crate) entries: u64,
    /// Entries of `u64`.
    pub(crate) entries_u64: u64,
    /// Entries of `4k`.
    pub(crate) entries_4k: u64,
    /// Entries of `100k`.
    pub(crate) entries_100k: u64,
    /// Chunks of a load and of the reads.
    pub(crate) chunks: usize,
    /// Gets of small entries, in all.
    pub(crate) gets: usize,
    /// Gets of large ones.
    pub(crate) gets_large: usize,
    /// Entries that ranges read, in all.
    pub(crate) ranged: usize,
    /// Scans of everything.
    pub(crate) scans: usize,
    /// Transactions of one put, durable ones.
    pub(crate) single_puts: usize,
    /// Transactions of one put without a barrier.
    pub(crate) eventual_puts: usize,
    /// Durable batches.
    pub(crate) batches: usize,
    /// Rows of batches.
    pub(crate) rows: usize,
    /// Operations of each YCSB mix.
    pub(crate) ycsb: usize,
    /// Gets of each reader thread in a chunk.
    pub(crate) thread_gets: usize,
    /// Rounds of what is done in processes of their own.
    pub(crate) rounds: usize,
    /// Bytes of the store that memory is too small for.
    pub(crate) limited_bytes: u64,
    /// Gets from it.
    pub(crate) limited_gets: usize,
    /// Entries are put again so many times over, before files are weighed once more; fewer times where that
    /// is more than [`CHURN_MAX`] puts.
    pub(crate) churn: u64,
    /// Transactions whose bytes a device counts: of one put, and of a thousand.
    pub(crate) counted: [usize; 2],
    /// How often a process is killed.
    pub(crate) deaths: usize,
    /// Batches that are committed before a process is killed.
    pub(crate) batches_before_death: usize,
}

/// Puts of churn, at most.
const CHURN_MAX: u64 = 5_000_000;

impl Sizes {
    /// For figures.
    pub(crate) const FULL: Sizes = Sizes {
        entries: 1_000_000,
        entries_u64: 4_000_000,
        entries_4k: 50_000,
        entries_100k: 2_000,
        chunks: 20,
        gets: 2_000_000,
        gets_large: 100_000,
        ranged: 4_000_000,
        scans: 7,
        single_puts: 4_000,
        eventual_puts: 200_000,
        batches: 60,
        rows: 5,
        ycsb: 200_000,
        thread_gets: 20_000,
        rounds: 9,
        limited_bytes: 1 << 30,
        limited_gets: 20_000,
        churn: 5,
        counted: [200, 40],
        deaths: 3,
        batches_before_death: 300,
    };
    /// To see that it works.
    pub(crate) const QUICK: Sizes = Sizes {
        entries: 30_000,
        entries_u64: 30_000,
        entries_4k: 500,
        entries_100k: 50,
        chunks: 5,
        gets: 50_000,
        gets_large: 2_000,
        ranged: 50_000,
        scans: 3,
        single_puts: 100,
        eventual_puts: 1_000,
        batches: 4,
        rows: 1,
        ycsb: 1_000,
        thread_gets: 5_000,
        rounds: 2,
        limited_bytes: 48 << 20,
        limited_gets: 32,
        churn: 1,
        counted: [20, 4],
        deaths: 1,
        batches_before_death: 10,
    };

    /// Entries of a data set.
    pub(crate) fn entries(&self, set: DataSet) -> u64 {
        match set {
            DataSet::Small | DataSet::Urls => self.entries,
            DataSet::U64 => self.entries_u64,
            DataSet::Pages => self.entries_4k,
            DataSet::Blobs => self.entries_100k,
        }
    }

    /// Gets of a data set, in all.
    pub(crate) fn gets(&self, set: DataSet) -> usize {
        if set.is_small() { self.gets } else { self.gets_large }
    }

    /// Puts of churn.
    pub(crate) fn churn(&self, set: DataSet) -> u64 {
        (self.churn * self.entries(set)).min(CHURN_MAX)
    }
}
