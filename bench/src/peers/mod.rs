//! The stores that can be measured: mapleaf, and the peers this build has.

#[cfg(feature = "canopydb")]
mod canopydb;
#[cfg(feature = "fjall")]
mod fjall;
#[cfg(feature = "libmdbx")]
mod libmdbx;
#[cfg(feature = "lmdb")]
mod lmdb;
pub(crate) mod mapleaf;
#[cfg(feature = "redb")]
mod redb;
#[cfg(feature = "sanakirja")]
mod sanakirja;
#[cfg(feature = "sqlite")]
mod sqlite;

use crate::peer::Store;

/// Name of mapleaf's own default setting.
pub(crate) const OURS: &str = "mapleaf";

/// Address space of a map: more than any run needs.
#[cfg(any(feature = "lmdb", feature = "libmdbx", feature = "sanakirja"))]
const MAP_BYTES: usize = 64 << 30;

/// All of this build, in the order of the reports.
pub(crate) fn all() -> Vec<Store> {
    let mut stores = Vec::new();
    stores.extend(mapleaf::stores());
    #[cfg(feature = "lmdb")]
    stores.extend(lmdb::stores());
    #[cfg(feature = "redb")]
    stores.push(redb::store());
    #[cfg(feature = "canopydb")]
    stores.push(canopydb::store());
    #[cfg(feature = "libmdbx")]
    stores.push(libmdbx::store());
    #[cfg(feature = "sanakirja")]
    stores.push(sanakirja::store());
    #[cfg(feature = "sqlite")]
    stores.push(sqlite::store());
    #[cfg(feature = "fjall")]
    stores.push(fjall::store());
    stores
}
