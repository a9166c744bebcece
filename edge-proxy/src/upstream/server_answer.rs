//! How a call to a server came out: done, certainly not done, or unknown (style P9).

use std::{error::Error, io};

use http::StatusCode;
use hyper_util::client::legacy;
use usher_bbb::{parse::ReplyHeader, reply::Refusal};

use crate::core::evidence::FailureKind;

/// No descriptor is left, on this machine or in this process; the same number on every Unix.
const ENFILE: i32 = 23;
const EMFILE: i32 = 24;

/// A whole, well-formed answer.
#[derive(Clone, PartialEq, Eq)]
pub struct ServerAnswer {
    /// As it came: XML, or JSON from the calls about text tracks.
    pub text: String,
    /// What it says.
    pub outcome: ReplyHeader,
}

impl std::fmt::Debug for ServerAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Answer({} {})", self.outcome.success, self.outcome.key) // the rest holds passwords
    }
}

/// Tells whether a server refused our signature: the caller's was good, so it must not hear of it.
pub fn is_our_fault(answer: &ServerAnswer) -> bool {
    !answer.outcome.success && answer.outcome.key == Refusal::CHECKSUM_MISMATCH.key
}

/// A call without a readable answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ServerCallError {
    /// It cannot be sent from here, to this server or any other: its URL is none, or this process has no
    /// socket left. The server cannot be blamed.
    #[error("the call cannot be sent")]
    NotSendable,
    /// Nothing was sent: the server did nothing.
    #[error("no connection ({0:?})")]
    NotSent(FailureKind),
    /// The server's front end refused: the server did nothing.
    #[error("refused with HTTP {0}")]
    Refused(StatusCode),
    /// The client's own body broke off on the way: the server cannot be blamed.
    #[error("the client's body broke off")]
    BrokenUpload,
    /// It may have acted.
    #[error("outcome unknown ({0:?})")]
    Unknown(FailureKind),
}

impl ServerCallError {
    /// Tells whether the server certainly did nothing.
    pub fn is_definite(&self) -> bool {
        matches!(self, Self::NotSendable | Self::NotSent(_) | Self::Refused(_))
    }

    /// Returns what the control plane is to hear of it.
    pub fn kind(&self) -> Option<FailureKind> {
        match self {
            Self::NotSent(kind) | Self::Unknown(kind) => Some(*kind),
            Self::NotSendable | Self::Refused(_) | Self::BrokenUpload => None,
        }
    }
}

/// Reads the client's error: only a failed connection is certain to have sent nothing.
pub(super) fn of_client(error: &legacy::Error) -> ServerCallError {
    if error.is_connect() {
        if is_shortage(error) {
            return ServerCallError::NotSendable;
        }
        let kind = if is_tls(error) { FailureKind::Tls } else { FailureKind::Connect };
        return ServerCallError::NotSent(kind);
    }
    let hyper = error.source().and_then(<dyn Error>::downcast_ref::<hyper::Error>);
    if hyper.is_some_and(hyper::Error::is_user) {
        return ServerCallError::BrokenUpload;
    }
    ServerCallError::Unknown(FailureKind::BadAnswer)
}

/// Tells whether this machine, and no server, is why there is no connection: no descriptor, port or memory
/// was left. Requests can bring that about.
fn is_shortage(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.downcast_ref::<io::Error>().is_some_and(|error| {
            matches!(error.raw_os_error(), Some(ENFILE | EMFILE))
                || matches!(error.kind(), io::ErrorKind::AddrNotAvailable | io::ErrorKind::OutOfMemory)
        }) {
            return true;
        }
        next = error.source();
    }
    false
}

fn is_tls(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if error.is::<rustls::Error>() || wrapped.is_some_and(<dyn Error + Send + Sync>::is::<rustls::Error>)
        {
            return true;
        }
        next = error.source();
    }
    false
}
