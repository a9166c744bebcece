//! The time budgets of calls.

use std::time::Duration;

/// Longest times that the calls of clients may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CallTimeouts {
    /// Limit of a create, with the tries at further servers.
    pub(crate) create: Duration,
    /// Limit of any other call.
    pub(crate) call: Duration,
    /// Limit of a list of recordings, and twice that of the search for a recording that is to be changed.
    pub(crate) recordings: Duration,
    /// Limit of a call that brings a document, with the time that the document takes to arrive.
    pub(crate) upload: Duration,
}
