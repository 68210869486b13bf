//! Errors that name the file.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a database is called in messages: its path, or nothing where it lives in memory.
#[derive(Clone, Debug)]
pub(crate) struct Name(Option<Arc<Path>>);

impl Name {
    pub(crate) fn of(path: &Path) -> Name {
        Name(Some(Arc::from(path)))
    }

    pub(crate) const fn memory() -> Name {
        Name(None)
    }

    pub(crate) fn path(&self) -> Option<&Path> {
        self.0.as_deref()
    }

    /// An error of the operating system, met while `doing` something to the file.
    pub(crate) fn io(&self, doing: &'static str, source: io::Error) -> Error {
        Error::Io { path: self.0.as_deref().map(PathBuf::from).unwrap_or_default(), doing, source }
    }

    /// A choice that cannot be.
    pub(crate) fn option(&self, option: &'static str, reason: &'static str) -> Error {
        Error::InvalidOption { path: self.0.as_deref().map(PathBuf::from), option, reason }
    }

    /// An error of the layers below.
    pub(crate) fn error(&self, source: impl Into<mapleaf_btree::Error>) -> Error {
        match source.into() {
            mapleaf_btree::Error::Pager(mapleaf_pager::Error::Io { code }) if code > 0 => {
                self.io("cannot read or write", io::Error::from_raw_os_error(code))
            }
            source => Error::Store { path: self.0.as_deref().map(PathBuf::from), source },
        }
    }
}

/// Everything that can go wrong with a database.
///
/// Trees return the small `Copy` [`TreeError`](crate::TreeError); `?` turns it into this one.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused.
    Io {
        /// The file.
        path: PathBuf,
        /// What was tried: "cannot open".
        doing: &'static str,
        /// What the operating system said.
        source: io::Error,
    },
    /// The file is open already, in another process or through another handle of this one.
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// A choice of the [`Builder`](crate::Builder)'s that no database can have. No file was made or changed.
    InvalidOption {
        /// The file; `None`: in memory.
        path: Option<PathBuf>,
        /// The builder's method.
        option: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The store in the file (`None`: in memory) is damaged, full, of another version, or refuses.
    Store {
        /// The file.
        path: Option<PathBuf>,
        /// What is wrong.
        source: mapleaf_btree::Error,
    },
    /// An operation on a tree failed. (An error of the operating system that a tree met is an
    /// [`Io`](Error::Io), without the path.)
    Tree(mapleaf_btree::Error),
}

impl Error {
    /// The error of the layers below, where it is one of theirs: to tell, say,
    /// [`NoSuchTree`](crate::TreeError::NoSuchTree) from damage.
    ///
    /// ```
    /// # let db = mapleaf::Database::in_memory()?;
    /// let read = db.read()?;
    /// let error = mapleaf::Error::from(read.tree("users").err().unwrap());
    /// assert_eq!(error.tree_error(), Some(mapleaf::TreeError::NoSuchTree));
    /// # Ok::<(), mapleaf::Error>(())
    /// ```
    #[must_use]
    pub fn tree_error(&self) -> Option<mapleaf_btree::Error> {
        match self {
            Error::Store { source, .. } | Error::Tree(source) => Some(*source),
            Error::Io { .. } | Error::InUse { .. } | Error::InvalidOption { .. } => None,
        }
    }

    /// The store's own error, where it is one: poisoned, full, read-only, damaged, unsupported.
    #[must_use]
    pub fn store_error(&self) -> Option<mapleaf_pager::Error> {
        match self.tree_error() {
            Some(mapleaf_btree::Error::Pager(error)) => Some(error),
            _ => None,
        }
    }
}

impl From<mapleaf_btree::Error> for Error {
    fn from(error: mapleaf_btree::Error) -> Error {
        match error {
            mapleaf_btree::Error::Pager(mapleaf_pager::Error::Io { code }) if code > 0 => {
                Name::memory().io("cannot read or write", io::Error::from_raw_os_error(code))
            }
            error => Error::Tree(error),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Io { path, doing, source } if path.as_os_str().is_empty() => {
                write!(f, "{doing}: {source}")
            }
            Error::Io { path, doing, source } => write!(f, "{}: {doing}: {source}", path.display()),
            Error::InUse { path } => {
                write!(f, "{}: it is open already, here or in another process", path.display())
            }
            Error::InvalidOption { path: Some(path), option, reason } => {
                write!(f, "{}: {option} {reason}", path.display())
            }
            Error::InvalidOption { path: None, option, reason } => {
                write!(f, "database in memory: {option} {reason}")
            }
            Error::Store { path: Some(path), source } => write!(f, "{}: {source}", path.display()),
            Error::Store { path: None, source } => write!(f, "database in memory: {source}"),
            Error::Tree(source) => source.fmt(f),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Io { source, .. } => Some(source),
            Error::Store { source, .. } | Error::Tree(source) => Some(source),
            Error::InUse { .. } | Error::InvalidOption { .. } => None,
        }
    }
}

/// Result of a database's operations.
pub type Result<T, E = Error> = std::result::Result<T, E>;
