//! What is measured: each workload with each data set that it says something about.

mod alone;
mod cold;
mod commits;
mod device;
mod load;
mod reads;
mod removals;
mod size;
mod threads;
mod ycsb;

use crate::data::DataSet;
use crate::peer::Result;
use crate::stage::Stage;

/// Something that is measured.
pub(crate) struct Workload {
    /// How reports and the command line name it.
    pub(crate) name: &'static str,
    /// What an operation is.
    pub(crate) about: &'static str,
    /// With which data sets.
    pub(crate) sets: &'static [DataSet],
    /// Does it and reports it.
    pub(crate) run: fn(&mut Stage<'_>) -> Result<()>,
}

const EVERY: &[DataSet] = &DataSet::ALL;
const FEW_BYTES: &[DataSet] = &[DataSet::Small, DataSet::U64, DataSet::Urls];
const ONE: &[DataSet] = &[DataSet::Small];
const SOME: &[DataSet] = &[DataSet::Small, DataSet::Pages];

/// All, in the order in which they run: those that the loaded stores share, then those with stores of
/// their own.
pub(crate) const ALL: &[Workload] = &[
    Workload {
        name: "load-random",
        about: "insert in no order, all in one transaction (its commit is not counted)",
        sets: EVERY,
        run: load::random,
    },
    Workload { name: "get", about: "get, warm, one snapshot", sets: EVERY, run: reads::get },
    Workload {
        name: "get-absent",
        about: "get of a key that is not there",
        sets: FEW_BYTES,
        run: reads::get_absent,
    },
    Workload {
        name: "get-many",
        about: "get, 32 keys at a time where the store can",
        sets: EVERY,
        run: reads::get_many,
    },
    Workload {
        name: "begin-get-end",
        about: "read transaction of one get",
        sets: FEW_BYTES,
        run: reads::begin_get_end,
    },
    Workload {
        name: "range-10",
        about: "entry of a range of 10 from a random key on",
        sets: FEW_BYTES,
        run: reads::range_10,
    },
    Workload {
        name: "range-1000",
        about: "entry of a range of 1,000 from a random key on",
        sets: FEW_BYTES,
        run: reads::range_1000,
    },
    Workload {
        name: "scan",
        about: "entry of a full scan, key and value",
        sets: EVERY,
        run: reads::scan,
    },
    Workload {
        name: "scan-reverse",
        about: "entry of a full scan against the order",
        sets: FEW_BYTES,
        run: reads::scan_reverse,
    },
    Workload {
        name: "readers",
        about: "get of all threads together, by 1, 2, 4 and 8 threads",
        sets: ONE,
        run: threads::readers,
    },
    Workload {
        name: "put-durable",
        about: "durable transaction of one put; and the 99th and 99.9th of 100 of them",
        sets: EVERY,
        run: commits::put_durable,
    },
    Workload {
        name: "put-eventual",
        about: "transaction of one put without a barrier",
        sets: FEW_BYTES,
        run: commits::put_eventual,
    },
    Workload {
        name: "batch-100",
        about: "durable transaction of 100 random puts",
        sets: SOME,
        run: commits::batch_100,
    },
    Workload {
        name: "batch-1000",
        about: "durable transaction of 1,000 random puts",
        sets: FEW_BYTES,
        run: commits::batch_1000,
    },
    Workload {
        name: "batch-1000-row",
        about: "the same, 40 in a row and what they leave to do in the background",
        sets: ONE,
        run: commits::batch_1000_row,
    },
    Workload {
        name: "group-commit",
        about: "durable transaction of one put, of all threads together, by 1, 2 and 4 threads",
        sets: ONE,
        run: threads::group_commit,
    },
    Workload {
        name: "writer-beside-readers",
        about: "durable put (batches of 100) beside two reader threads; and their gets",
        sets: ONE,
        run: threads::writer_beside_readers,
    },
    Workload {
        name: "ycsb-a",
        about: "operation: 50 % gets, 50 % puts, zipfian, each a transaction without a barrier",
        sets: ONE,
        run: ycsb::a,
    },
    Workload { name: "ycsb-b", about: "the same, 95 % gets, 5 % puts", sets: ONE, run: ycsb::b },
    Workload { name: "ycsb-c", about: "the same, gets only", sets: ONE, run: ycsb::c },
    Workload {
        name: "ycsb-f",
        about: "the same, 50 % gets, 50 % get and put in one transaction",
        sets: ONE,
        run: ycsb::f,
    },
    Workload {
        name: "ycsb-e",
        about: "the same, 95 % ranges of 1 to 100, 5 % new entries",
        sets: ONE,
        run: ycsb::e,
    },
    Workload {
        name: "load-sorted",
        about: "insert in order, all in one transaction (its commit is not counted)",
        sets: FEW_BYTES,
        run: load::sorted,
    },
    Workload {
        name: "load-batches",
        about: "insert in no order, 10,000 a transaction, commits and background work counted",
        sets: EVERY,
        run: load::batches,
    },
    Workload {
        name: "remove-random",
        about: "removal in no order, half of all entries in one transaction",
        sets: ONE,
        run: removals::random,
    },
    Workload {
        name: "remove-range",
        about: "removed entry of ranges of 1,000",
        sets: ONE,
        run: removals::ranges,
    },
    Workload {
        name: "size",
        about: "bytes on the disk an entry: after the load, after churn, compacted",
        sets: EVERY,
        run: size::size,
    },
    Workload {
        name: "device",
        about: "bytes to the block device a durable transaction of 1 and of 1,000 puts",
        sets: ONE,
        run: device::device,
    },
    Workload {
        name: "cold",
        about: "get, and bytes read, nothing of the file in memory: single, 64 at a time, and 20,000",
        sets: ONE,
        run: cold::cold,
    },
    Workload {
        name: "limited",
        about: "get, and bytes read, with memory for a quarter of the file: single, and 64 at a time",
        sets: ONE,
        run: cold::limited,
    },
    Workload {
        name: "open",
        about: "opening and one get: closed before; killed before",
        sets: ONE,
        run: alone::open,
    },
    Workload {
        name: "peak-memory",
        about: "peak resident bytes of a process that loads, closes, opens and reads all (VmHWM)",
        sets: ONE,
        run: alone::peak_memory,
    },
];
