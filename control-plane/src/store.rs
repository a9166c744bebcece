//! The stored half of Usher (design 3): two stores behind one port, with their keys and values.
//!
//! `families` describes the stored values, [`keys`] names them, [`codec`] writes and reads them,
//! [`committer`] gathers transactions. [`embedded`] keeps all data in this process, [`etcd`] in a cluster.

use std::{path::Path, sync::Arc};

use usher_model::settings::{StoreKind, StoreSettings};

use crate::ports::Store;

#[cfg(test)]
mod arbitrary;
mod batch_shape;
pub mod codec;
pub mod committer;
pub mod embedded;
pub mod etcd;
mod families;
mod key_error;
pub(crate) mod key_family;
pub mod keys;
pub mod replicas;
mod value_error;

/// The reason why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum StoreOpenError {
    /// The embedded store cannot use its directory or its file.
    #[error(transparent)]
    Embedded(#[from] embedded::EmbeddedOpenError),
    /// The settings of the etcd cluster are contradictory or a certificate is unreadable.
    #[error(transparent)]
    Etcd(#[from] etcd::ConnectError),
}

/// Opens the store that the settings name: an embedded one in `data`, or in memory without `data`.
/// The first call shows whether etcd can be reached.
pub fn open(settings: &StoreSettings, data: Option<&Path>) -> Result<Arc<dyn Store>, StoreOpenError> {
    Ok(match settings.kind {
        StoreKind::Etcd => Arc::new(etcd::EtcdStore::connect(settings)?),
        StoreKind::Embedded => Arc::new(embedded::EmbeddedStore::open(data)?),
    })
}
