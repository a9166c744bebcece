//! The server that was chosen, or the reason why none was.

use usher_model::id::ServerId;

/// Reason why no server was chosen. Each is retryable; the caller gets the reason, never a silent
/// default (E5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoServer {
    /// No server of the pool is healthy enough.
    #[error("no_server_healthy")]
    NoneHealthy,
    /// No enabled server is without tags.
    #[error("pool_empty")]
    PoolEmpty,
    /// No enabled server has a tag that is required.
    #[error("tag_unavailable")]
    TagUnavailable,
    /// Servers are healthy, but the load of none is known.
    #[error("load_unknown")]
    LoadUnknown,
    /// Every server that could take it, or the best one, has as many pending creates as it may: wait
    /// a little (F5).
    #[error("saturated")]
    Saturated,
}

/// A server that was chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerChoice {
    /// Name of the server.
    pub server: ServerId,
    /// It is unhealthy: no online server could take the meeting (E5).
    pub panic: bool,
}
