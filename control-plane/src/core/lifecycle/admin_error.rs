//! The refusal of an operator's change.

use usher_model::id::ServerId;

/// The reason for which an administrative change was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AdminError {
    /// The store has no resource of that name.
    #[error("not found")]
    NotFound,
    /// The store already has a resource of that name.
    #[error("already exists")]
    Exists,
    /// Another party changed the resource since the caller read it.
    #[error("another party changed it meanwhile")]
    Changed,
    /// The number of meetings that live on the server, which blocks the change (S7). The operator
    /// can cordon the server and wait, or run a panic.
    #[error("{0} meetings live on the server")]
    HasMeetings(usize),
    /// Another entry has the address (ADR 21).
    #[error("server `{0}` has this address")]
    AddressTaken(ServerId),
}
