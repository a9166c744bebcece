//! The stored half of Usher (design 3): two stores behind one port, keys and values.
//!
//! [`keys`] names what is stored, [`codec`] writes and reads the values, [`committer`] gathers
//! transactions. [`embedded`] keeps everything in this process, [`etcd`] in a cluster.

use std::{path::Path, sync::Arc};

use usher_model::settings::{StoreKind, StoreSettings};

use crate::ports::Store;

#[cfg(test)]
mod arbitrary;
pub mod codec;
pub mod committer;
pub mod embedded;
pub mod etcd;
pub mod keys;

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The embedded store.
    #[error(transparent)]
    Embedded(#[from] embedded::OpenError),
    /// etcd.
    #[error(transparent)]
    Etcd(#[from] etcd::ConnectError),
}

/// Opens the store the settings name; an embedded one in `data`, or in memory without it. Whether
/// etcd can be reached shows at the first call.
pub fn open(settings: &StoreSettings, data: Option<&Path>) -> Result<Arc<dyn Store>, OpenError> {
    Ok(match settings.kind {
        StoreKind::Etcd => Arc::new(etcd::EtcdStore::connect(settings)?),
        StoreKind::Embedded => Arc::new(embedded::EmbeddedStore::open(data)?),
    })
}
