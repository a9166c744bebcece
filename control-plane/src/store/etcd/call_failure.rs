//! Classification of etcd's errors by their meaning for the call.

use std::error::Error as _;

use etcd_client::Error;
use tonic::{Code, ConnectError, Status};

/// The three ways in which a call fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum CallFailure {
    /// The call is certainly not done; another endpoint, or the same one later, may do it.
    NotDone(String),
    /// The call is perhaps done.
    Lost(String),
    /// The call is not done, and no endpoint would do it.
    Refused(String),
}

/// The texts by which alone etcd tells these two errors apart from others of their code
/// (`rpctypes/error.go`). Both occur before the request is proposed to the cluster.
const NO_LEADER: &str = "etcdserver: no leader";
const TOO_MANY_REQUESTS: &str = "etcdserver: too many requests";

/// The alerts of TLS by which etcd demands a client certificate: that of TLS 1.3, and the one that
/// older releases of Go send.
const CERTIFICATE_ALERTS: [&str; 2] = ["CertificateRequired", "BadCertificate"];

/// tonic's text for a connection that broke. The end of a connection often overtakes the alert.
const BROKEN: &str = "transport error";

impl CallFailure {
    /// Adds the endpoint to the reason. `lacks_certificate` says that the settings name no client
    /// certificate and that the endpoint has never answered over TLS: if it seems to demand one, the
    /// reason names the settings.
    pub(super) fn at(self, url: &str, lacks_certificate: bool) -> Self {
        let alerts = |why: &str| CERTIFICATE_ALERTS.iter().any(|alert| why.contains(alert));
        let tell = |why: String, demands: bool| {
            if lacks_certificate && demands {
                format!(
                    "{url}: etcd ends the connection: if it demands a client certificate, set `store.cert` and \
                     `store.key`: {why}"
                )
            } else {
                format!("{url}: {why}")
            }
        };
        match self {
            Self::NotDone(why) => Self::NotDone(tell(why.clone(), alerts(&why))),
            Self::Lost(why) => Self::Lost(tell(why.clone(), alerts(&why) || why.contains(BROKEN))),
            Self::Refused(why) => Self::Refused(tell(why, false)),
        }
    }
}

pub(super) fn classify(error: Error) -> CallFailure {
    match error {
        Error::GRpcStatus(status) => of_status(&status),
        // The client itself checks its options and arguments before it sends a request.
        Error::InvalidArgs(_)
        | Error::InvalidUri(_)
        | Error::InvalidMetadataValue(_)
        | Error::TransportError(_)
        | Error::EndpointError(_)
        // The client returns this error when the lease is gone.
        | Error::LeaseKeepAliveError(_) => CallFailure::Refused(error.to_string()),
        other => CallFailure::Lost(other.to_string()),
    }
}

fn of_status(status: &Status) -> CallFailure {
    let text = status.message().to_owned();
    match status.code() {
        _ if never_connected(status) => CallFailure::NotDone(with_causes(status)),
        Code::Unavailable if text == NO_LEADER => CallFailure::NotDone(text),
        Code::ResourceExhausted if text == TOO_MANY_REQUESTS => CallFailure::NotDone(text),
        Code::ResourceExhausted
        | Code::InvalidArgument
        | Code::PermissionDenied
        | Code::FailedPrecondition
        | Code::Unauthenticated
        | Code::OutOfRange
        | Code::NotFound
        | Code::AlreadyExists
        | Code::Unimplemented => CallFailure::Refused(text),
        code => CallFailure::Lost(format!("{code:?}: {}", with_causes(status))),
    }
}

/// Returns the text of an error with those of its causes; the cause of a broken connection, as an
/// alert of TLS, is in the last one.
fn with_causes(status: &Status) -> String {
    let (mut text, mut cause) = (status.message().to_owned(), status.source());
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

fn never_connected(status: &Status) -> bool {
    let mut cause = status.source();
    while let Some(error) = cause {
        if error.is::<ConnectError>() {
            return true;
        }
        cause = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(code: Code, text: &str) -> CallFailure {
        classify(Error::GRpcStatus(Status::new(code, text)))
    }

    #[test]
    fn only_calls_that_are_certainly_not_done_are_repeated() {
        for (code, text) in [(Code::Unavailable, NO_LEADER), (Code::ResourceExhausted, TOO_MANY_REQUESTS)] {
            assert!(matches!(of(code, text), CallFailure::NotDone(_)), "{text}");
        }
        let connect = Status::from_error(Box::new(ConnectError("refused".into())));
        assert!(matches!(classify(Error::GRpcStatus(connect)), CallFailure::NotDone(_)));
    }

    #[test]
    fn a_call_that_may_be_done_is_unknown() {
        for (code, text) in [
            (Code::Unavailable, "etcdserver: request timed out"),
            (Code::Unavailable, "etcdserver: request timed out, possibly due to previous leader failure"),
            (Code::Unavailable, "etcdserver: leader changed"),
            (Code::Unknown, "h2 protocol error"),
            (Code::Cancelled, "operation was canceled"),
            (Code::DeadlineExceeded, "context deadline exceeded"),
            (Code::Internal, "stream error"),
        ] {
            assert!(matches!(of(code, text), CallFailure::Lost(_)), "{text}");
        }
    }

    #[test]
    fn a_fault_that_an_operator_must_repair_is_rejected() {
        for (code, text) in [
            (Code::ResourceExhausted, "etcdserver: mvcc: database space exceeded"),
            (Code::PermissionDenied, "etcdserver: permission denied"),
            (Code::InvalidArgument, "etcdserver: request is too large"),
            (Code::InvalidArgument, "etcdserver: authentication failed, invalid user ID or password"),
            (Code::NotFound, "etcdserver: requested lease not found"),
        ] {
            assert!(matches!(of(code, text), CallFailure::Refused(_)), "{text}");
        }
        assert!(matches!(
            classify(Error::LeaseKeepAliveError("lease not found".into())),
            CallFailure::Refused(_)
        ));
    }
}
