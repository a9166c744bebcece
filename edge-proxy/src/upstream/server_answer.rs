//! The outcome of a call to a server: done, certainly not done, or unknown (style P9).

use std::{error::Error, io, sync::Arc};

use hyper_util::client::legacy;
use usher_bbb::{parse::ReplyHeader, reply::Refusal};

use crate::core::{admission::ByteHolder, evidence::FailureKind, server_refusal::ServerRefusal};

/// The error of the operating system if no descriptor is left on this machine. Both numbers are the
/// same on every Unix.
const ENFILE: i32 = 23;
/// The error of the operating system if no descriptor is left in this process.
const EMFILE: i32 = 24;

/// The bytes of an answer in the budget, held by all of its clones.
#[derive(Clone, Default)]
pub struct AnswerBytes(
    #[expect(dead_code, reason = "held until the answer is dropped")] Option<Arc<ByteHolder>>,
);

impl From<ByteHolder> for AnswerBytes {
    fn from(bytes: ByteHolder) -> Self {
        Self(Some(Arc::new(bytes)))
    }
}

/// A complete, well-formed answer.
#[derive(Clone)]
pub struct ServerAnswer {
    /// The answer as the server sent it: XML, or JSON from the calls about text tracks.
    pub text: String,
    /// The result that the answer states.
    pub outcome: ReplyHeader,
    /// The bytes of `text` in the budget.
    pub bytes: AnswerBytes,
}

impl PartialEq for ServerAnswer {
    fn eq(&self, other: &Self) -> bool {
        (&self.text, &self.outcome) == (&other.text, &other.outcome)
    }
}

impl std::fmt::Debug for ServerAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // the other fields contain passwords
        write!(f, "Answer({} {})", self.outcome.success, self.outcome.key)
    }
}

/// Returns whether a server refused the edge's signature. The caller's own checksum was correct, so
/// this refusal must not reach the caller.
pub fn is_our_fault(answer: &ServerAnswer) -> bool {
    !answer.outcome.success && answer.outcome.key == Refusal::CHECKSUM_MISMATCH.key
}

/// The reason why a call has no readable answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ServerCallError {
    /// The edge cannot send the call to this server or any other, because its URL is invalid or
    /// this process has no socket left. The failure is not evidence against the server.
    #[error("the call cannot be sent")]
    NotSendable,
    /// The edge sent no request: the server did not act.
    #[error("no connection ({0:?})")]
    NotSent(FailureKind),
    /// The server's front end refused the request: the server did not act.
    #[error("refused with HTTP {}", .0.status)]
    Refused(ServerRefusal),
    /// The client's own body broke off. The failure is not evidence against the server.
    #[error("the client's body broke off")]
    BrokenUpload,
    /// As many calls of the caller are under way at the server as may be: the edge sent no request.
    #[error("too many calls are under way at the server")]
    ServerBusy,
    /// The memory for answers is in use. The server may have acted.
    #[error("the memory for answers is in use")]
    OverByteBudget,
    /// Too many answers for the caller wait to be read. The server may have acted.
    #[error("too many answers wait to be read")]
    Unread,
    /// The server may have acted.
    #[error("outcome unknown ({0:?})")]
    Unknown(FailureKind),
}

impl ServerCallError {
    /// Returns whether the server certainly did not act.
    pub fn is_definite(&self) -> bool {
        matches!(self, Self::NotSendable | Self::NotSent(_) | Self::Refused(_) | Self::ServerBusy)
    }

    /// Returns the refusal that the caller gets; `None` if another try may succeed. `body_bytes` is the size of the
    /// body, if it is known.
    pub fn refusal(&self, body_bytes: Option<u64>) -> Option<Refusal> {
        match self {
            Self::Refused(refusal) => refusal.of_caller(body_bytes),
            Self::NotSendable
            | Self::NotSent(_)
            | Self::BrokenUpload
            | Self::ServerBusy
            | Self::OverByteBudget
            | Self::Unread
            | Self::Unknown(_) => None,
        }
    }

    /// Returns the kind of failure to report to the control plane, if it is evidence against the
    /// server.
    pub fn kind(&self) -> Option<FailureKind> {
        match self {
            Self::NotSent(kind) | Self::Unknown(kind) => Some(*kind),
            Self::NotSendable
            | Self::Refused(_)
            | Self::BrokenUpload
            | Self::ServerBusy
            | Self::OverByteBudget
            | Self::Unread => None,
        }
    }
}

/// Reads the error of the HTTP client. Only a failed connection ensures that no request was sent.
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

/// Returns whether the connection failed because of this machine: no descriptor, port or memory was
/// left. Requests of clients can cause such a shortage.
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
