//! The end of a connection that its client did not ask for.

use std::io;

use super::proxy_protocol;

/// The reasons why a connection ends before its client closes it.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectionError {
    #[error("the client is silent")]
    Silent,
    #[error("the client is silent, and gives way to a new one")]
    GivesWay,
    #[error("the client is gone")]
    Gone,
    #[error("the connection broke")]
    Io(#[from] io::Error),
    #[error("PROXY protocol")]
    Proxy(#[from] proxy_protocol::ProxyHeaderError),
    #[error("HTTP")]
    Http(#[from] hyper::Error),
}
