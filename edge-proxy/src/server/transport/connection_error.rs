//! The end of a connection that its client did not ask for.

use std::{error::Error as _, io};

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

impl ConnectionError {
    /// Returns whether the edge closed the connection because its client exceeded the limits of HTTP/2.
    pub(super) fn is_http2_flood(&self) -> bool {
        let Self::Http(error) = self else { return false };
        let mut source = error.source();
        while let Some(cause) = source {
            if let Some(error) = cause.downcast_ref::<h2::Error>() {
                return !error.is_remote() && error.reason() == Some(h2::Reason::ENHANCE_YOUR_CALM);
            }
            source = cause.source();
        }
        false
    }
}
