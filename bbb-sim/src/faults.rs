//! Faults on demand: what can go wrong with a server, set and cleared while it runs.

mod active;
mod parse;

use std::time::Duration;

pub(crate) use active::{ActiveFaults, Gate, Hits};
pub use parse::BadFault;
use usher_bbb::call::ApiCall;

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// The listener is closed, and every open connection with it.
    Refuse,
    /// Connections are accepted and never read; open ones are closed.
    HangOnAccept,
    /// The request is read, nothing is done, no answer comes.
    Hang,
    /// The request waits this long before anything is done.
    Slow(Duration),
    /// What was asked for is done, then the connection is closed without an answer.
    LostAnswer,
    /// Nothing is done; the answer is a 500 with HTML.
    Status500,
    /// Nothing is done; the answer is a 200 with HTML.
    Html,
    /// What was asked for is done; the answer ends in its middle, its `Content-Length` too.
    CutXml,
    /// What was asked for is done; the answer has no body.
    EmptyBody,
    /// Nothing is done; signed calls are told that the checksum is wrong, as with another secret.
    ChecksumError,
    /// `getMeetings` answers what it would have answered when the fault was set.
    FrozenList,
    /// `getMeetings` says that there are no meetings.
    EmptyList,
    /// The answer comes a byte at a time, with this long between two.
    Trickle(Duration),
    /// The webhooks application is not installed: its calls lead nowhere.
    NoHooks,
}

impl FaultKind {
    /// Returns the name by which it is set over HTTP.
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

    /// Tells whether it concerns connections and not calls.
    pub(crate) fn is_of_connections(self) -> bool {
        matches!(self, Self::Refuse | Self::HangOnAccept)
    }
}

/// A fault and how far it goes. Faults of connections know no call; `Refuse` is not counted either.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// What goes wrong.
    pub kind: FaultKind,
    /// The one call it concerns; none means all.
    pub call: Option<ApiCall>,
    /// How often it happens; none means until it is cleared.
    pub count: Option<u32>,
    /// How long it stands; none means until it is cleared.
    pub lasts: Option<Duration>,
}

impl Fault {
    /// Returns a fault of every call until it is cleared.
    pub fn new(kind: FaultKind) -> Self {
        Self { kind, call: None, count: None, lasts: None }
    }

    /// Limits it to one call.
    #[must_use]
    pub fn on(mut self, call: ApiCall) -> Self {
        self.call = Some(call);
        self
    }

    /// Limits it to so many times.
    #[must_use]
    pub fn times(mut self, count: u32) -> Self {
        self.count = Some(count);
        self
    }

    /// Limits it to this long from when it is set.
    #[must_use]
    pub fn lasting(mut self, duration: Duration) -> Self {
        self.lasts = Some(duration);
        self
    }
}

impl From<FaultKind> for Fault {
    fn from(kind: FaultKind) -> Self {
        Self::new(kind)
    }
}
