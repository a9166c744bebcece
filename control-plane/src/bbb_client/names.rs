//! The addresses of servers by name. The HTTP client itself reads literal addresses.

use std::net::SocketAddr;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use usher_runtime::names::NameResolver;

/// Resolves the names of servers.
pub(super) struct ServerNames(NameResolver);

impl ServerNames {
    /// Returns the port of the HTTP client to `names`.
    pub(super) fn new(names: NameResolver) -> Self {
        Self(names)
    }
}

impl Resolve for ServerNames {
    fn resolve(&self, name: Name) -> Resolving {
        let names = self.0.clone();
        Box::pin(async move {
            let addresses = names.resolve(name.as_str()).await?;
            // The client sets the port of the URL.
            let addresses: Vec<_> = addresses.iter().map(|address| SocketAddr::new(*address, 0)).collect();
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}
