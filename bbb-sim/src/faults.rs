//! Faults on demand: failures of a server, set and cleared while it runs.

mod active;
mod board;
mod parse;

use std::time::Duration;

pub(crate) use active::{CallEffect, ConnectionGate};
pub(crate) use board::FaultBoard;
pub use parse::FaultSyntaxError;
use usher_bbb::call::ApiCall;

/// The kind of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// The listener and every open connection are closed.
    Refuse,
    /// Connections are accepted and never read; open ones are closed.
    HangOnAccept,
    /// The request is read; it is not carried out and gets no answer.
    Hang,
    /// The request is carried out after this delay.
    Slow(Duration),
    /// The request is carried out, then the connection is closed without an answer.
    LostAnswer,
    /// The request is not carried out; the answer is a 500 with HTML.
    Status500,
    /// The request is not carried out; the answer is a 200 with HTML.
    Html,
    /// The request is carried out; the answer ends in its middle, with a matching `Content-Length`.
    CutXml,
    /// The request is carried out; the answer has no body.
    EmptyBody,
    /// The request is not carried out; signed calls fail with `checksumError`, as with another
    /// secret.
    ChecksumError,
    /// `getMeetings` returns the list as it was when the fault was set.
    FrozenList,
    /// `getMeetings` returns an empty list.
    EmptyList,
    /// The answer is sent one byte at a time, with this pause between two bytes.
    Trickle(Duration),
    /// The webhooks application is not installed: its calls get a 404.
    NoHooks,
}

impl FaultKind {
    /// Returns the name of the kind in the HTTP control.
    pub fn name(self) -> &'static str {
        match self {
            Self::Refuse => "refuse",
            Self::HangOnAccept => "hang-on-accept",
            Self::Hang => "hang",
            Self::Slow(_) => "slow",
            Self::LostAnswer => "lost-answer",
            Self::Status500 => "500",
            Self::Html => "html",
            Self::CutXml => "cut-xml",
            Self::EmptyBody => "empty-body",
            Self::ChecksumError => "checksum-error",
            Self::FrozenList => "frozen-list",
            Self::EmptyList => "empty-list",
            Self::Trickle(_) => "trickle",
            Self::NoHooks => "no-hooks",
        }
    }

    /// Returns whether the kind concerns connections and not calls.
    pub(crate) fn is_of_connections(self) -> bool {
        matches!(self, Self::Refuse | Self::HangOnAccept)
    }
}

/// A fault and its limits. Faults of connections cannot be limited to a call; `Refuse` has no count
/// either, because a refused connection is not seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SimFault {
    /// The kind of failure.
    pub kind: FaultKind,
    /// The only call that is concerned; `None` means all calls.
    pub call: Option<ApiCall>,
    /// The number of calls or connections it applies to; `None` means until it is cleared.
    pub count: Option<u32>,
    /// How long the fault lasts; `None` means until it is cleared.
    pub lasts: Option<Duration>,
}

impl SimFault {
    /// Returns a fault of all calls that lasts until it is cleared.
    pub fn new(kind: FaultKind) -> Self {
        Self { kind, call: None, count: None, lasts: None }
    }

    /// Limits the fault to one call.
    #[must_use]
    pub fn on(mut self, call: ApiCall) -> Self {
        self.call = Some(call);
        self
    }

    /// Limits the fault to this number of calls or connections.
    #[must_use]
    pub fn times(mut self, count: u32) -> Self {
        self.count = Some(count);
        self
    }

    /// Limits the fault to this duration, from the moment when it is set.
    #[must_use]
    pub fn lasting(mut self, duration: Duration) -> Self {
        self.lasts = Some(duration);
        self
    }
}

impl From<FaultKind> for SimFault {
    fn from(kind: FaultKind) -> Self {
        Self::new(kind)
    }
}
