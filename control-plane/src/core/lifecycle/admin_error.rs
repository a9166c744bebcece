//! The refusal of an operator's change.

use usher_model::{id::ServerId, server::AdminState};

/// The reason for which an administrative change was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AdminError {
    /// The store has no resource of that name.
    #[error("not found")]
    NotFound,
    /// The store already has a resource of that name.
    #[error("already exists")]
    Exists,
    /// A request with the same id and another content created the resource (ADR 35).
    #[error("created by a request with the same id and another content")]
    OtherContent,
    /// Another party changed the resource since the caller read it.
    #[error("another party changed it meanwhile")]
    Changed,
    /// Meetings live on the server, which blocks the change (S7). The operator can cordon the server
    /// and wait, or run a panic.
    #[error("{meetings} meetings live on the server")]
    HasMeetings {
        /// The number of meetings.
        meetings: usize,
        /// The state in which the refused change leaves the server.
        stays: AdminState,
    },
    /// Another entry has the address (ADR 21).
    #[error("server `{0}` has this address")]
    AddressTaken(ServerId),
}
