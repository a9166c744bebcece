//! The errors of etcd that a new token repairs.

use etcd_client::Error;
use tonic::Code;

/// The texts by which etcd reports that a call has no valid token (`rpctypes/error.go`; the second
/// is that of etcd 3.4, which gives it no code). All are given before anything is written.
const WANTS_TOKEN: [&str; 5] = [
    "etcdserver: revision of auth store is old",
    "auth: revision in header is old",
    "etcdserver: invalid auth token",
    "etcdserver: user name is empty",
    SWITCHED_OFF,
];

const SWITCHED_OFF: &str = "etcdserver: authentication is not enabled";

/// Returns whether a call was refused, and not done, because its token is missing, expired, of a
/// member that forgot it, or older than the users.
pub(super) fn wants_token(error: &Error) -> bool {
    match error {
        Error::GRpcStatus(status) => {
            status.code() == Code::Unauthenticated || WANTS_TOKEN.contains(&status.message())
        }
        _ => false,
    }
}

/// Returns whether etcd gives no tokens because its authentication is off.
pub(super) fn is_switched_off(error: &Error) -> bool {
    matches!(error, Error::GRpcStatus(status) if status.message() == SWITCHED_OFF)
}

#[cfg(test)]
mod tests {
    use tonic::Status;

    use super::*;

    #[test]
    fn only_errors_of_the_token_lead_to_another_one() {
        for (code, text) in [
            (Code::InvalidArgument, "etcdserver: revision of auth store is old"),
            (Code::Unknown, "auth: revision in header is old"),
            (Code::Unauthenticated, "etcdserver: invalid auth token"),
            (Code::InvalidArgument, "etcdserver: user name is empty"),
            (Code::FailedPrecondition, "etcdserver: authentication is not enabled"),
        ] {
            assert!(wants_token(&Error::GRpcStatus(Status::new(code, text))), "{text}");
        }
        for (code, text) in [
            (Code::PermissionDenied, "etcdserver: permission denied"),
            (Code::InvalidArgument, "etcdserver: authentication failed, invalid user ID or password"),
            (Code::Unknown, "raft proposal dropped"),
        ] {
            assert!(!wants_token(&Error::GRpcStatus(Status::new(code, text))), "{text}");
        }
    }
}
