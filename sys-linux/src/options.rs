//! What a caller may choose when opening a file.

/// How stores reach the file.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum WriteMode {
    /// `InPlace` where the file lives in memory (tmpfs, ramfs, DAX), `Shadow` otherwise.
    #[default]
    Auto,
    /// The file is mapped for reading only. Pages are built in an anonymous twin of it and written
    /// by position: no stray store can reach the file, and write-back is by page whatever the size
    /// of the page cache's folios.
    Shadow,
    /// The file is mapped for writing and pages are built where they lie. No copy, but a store into
    /// a large folio of the page cache writes back all of it.
    InPlace,
}

/// How the file's pages are expected to be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum Access {
    /// `Resident` as long as the file is at most half of the memory this process may use, `Sparse`
    /// from then on. A file of 4 MiB or more of which little is in memory is read as by `Sparse` at first, where
    /// the mapping is [`attended`](OpenOptions::attended): until about 512 KiB were read, or a minute is over.
    #[default]
    Auto,
    /// The file fits into memory: large pages where the system has them, usual read-ahead.
    Resident,
    /// The file is larger than memory: read no more than is asked for. Since Linux 6.3 the kernel then
    /// drops what was read longest ago, however much it is used.
    Sparse,
    /// The file is larger than memory, and read by operations without waiting (`try_get`, `try_next`), by
    /// `get_many` and by scans, which say what is to be read. The kernel keeps what is used most; a plain
    /// lookup's hard fault reads around it as for `Resident`.
    Fetched,
}

/// Options of [`FileMapping::open`](crate::FileMapping::open).
///
/// ```
/// use mapleaf_sys_linux::{OpenOptions, WriteMode};
/// let options = OpenOptions { create: true, mode: WriteMode::Shadow, ..OpenOptions::default() };
/// assert_eq!(options.reserve_bytes, 1 << 40);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OpenOptions {
    /// Make the file if there is none.
    pub create: bool,
    /// Map for reading only, beside other readers; every change fails with `ReadOnly`.
    pub read_only: bool,
    /// Where stores go.
    pub mode: WriteMode,
    /// How the file will be read.
    pub access: Access,
    /// Somebody calls [`attend`](mapleaf_pager::Mapping::attend) as long as it answers with true.
    pub attended: bool,
    /// Address space to set aside, in bytes: the largest size the file can grow to while it is
    /// open. Halved as long as the system refuses; never less than the file needs.
    pub reserve_bytes: u64,
    /// Page size of the store, in bytes, a power of two from 512 to 65,536: growth is a multiple.
    pub page_size: usize,
    /// Bytes that a transaction may build in the twin before
    /// [`pressure`](mapleaf_pager::Mapping::pressure) asks it to publish them; 0 for an eighth of
    /// the memory, at least 16 MiB and at most 1 GiB.
    pub shadow_budget_bytes: u64,
    /// Wait for another process to close the file. Never waits for this process itself.
    pub wait: bool,
    /// Enter the mapping into the list of those that survive bus errors: of pages that the medium does
    /// not deliver, or that somebody else has cut off. The process needs a handler of SIGBUS that
    /// calls [`recover_bus_error`](crate::recover_bus_error); this crate installs none.
    pub sigbus_guard: bool,
}

/// Address space set aside by default: no size that a file is likely to reach.
const RESERVE_BYTES_DEFAULT: u64 = 1 << 40;

impl Default for OpenOptions {
    fn default() -> OpenOptions {
        OpenOptions {
            create: false,
            read_only: false,
            mode: WriteMode::Auto,
            access: Access::Auto,
            attended: false,
            reserve_bytes: RESERVE_BYTES_DEFAULT,
            page_size: mapleaf_pager::PAGE_SIZE_DEFAULT,
            shadow_budget_bytes: 0,
            wait: false,
            sigbus_guard: false,
        }
    }
}
