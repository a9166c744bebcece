//! One lookup of a name: its source, and its result.

use std::{net::IpAddr, sync::Arc, time::Duration};

use async_trait::async_trait;

/// The addresses of a name, the best ones first; never empty.
pub type Addresses = Arc<[IpAddr]>;

/// The addresses of a name, as a lookup found them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundAddresses {
    /// The addresses, the best ones first.
    pub addresses: Vec<IpAddr>,
    /// How long the answer is valid.
    pub ttl: Duration,
}

/// The reason why a name has no addresses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The name does not exist, or has no address.
    #[error("the name has no address")]
    NotFound,
    /// The lookup took too long.
    #[error("the name was not resolved in time")]
    Timeout,
    /// Too many names are being looked up.
    #[error("too many names are being resolved")]
    Busy,
    /// The lookup failed.
    #[error("the name was not resolved: {0}")]
    Failed(String),
}

/// A source of addresses, without memory.
#[async_trait]
pub trait NameLookup: Send + Sync + 'static {
    /// Looks a name up. The caller drops the future at its deadline.
    async fn lookup(&self, name: &str) -> Result<FoundAddresses, NameError>;
}
