//! The one table from errors to gRPC status, with `google.rpc` details.

use std::{collections::HashMap, time::Duration};

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};
use usher_model::{
    id::{ServerId, TenantId},
    server::AdminState,
};
use usher_proto::ConvertError;

use crate::{
    core::{
        lifecycle::{AdminError, NoRoomServer, SupersedeError, TenantError},
        placement::NoServer,
    },
    ports::StoreError,
    tasks::{placer::PlacementRefusal, writer::WriteError},
};

/// Domain of every `ErrorInfo`.
const DOMAIN: &str = "usher";

/// An invalid field and its remedy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RequestViolation {
    /// Path of the field, as in `server.url`.
    pub(crate) field: String,
    /// The fault and its remedy.
    pub(crate) problem: String,
}

impl RequestViolation {
    /// Names a field and its fault.
    pub(crate) fn new(field: &str, problem: impl Into<String>) -> Self {
        Self { field: field.to_owned(), problem: problem.into() }
    }
}

/// The reason why a request is refused, in the terms of the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RpcRefusal {
    /// Some fields are invalid.
    Invalid(Vec<RequestViolation>),
    /// The resource does not exist.
    NotFound {
        /// Kind of the resource: `server`, `meeting`, …
        kind: &'static str,
        /// Resource name of the missing resource.
        name: String,
    },
    /// The resource exists already.
    Exists {
        /// Kind of the resource: `server`, `meeting`, …
        kind: &'static str,
        /// Resource name of the existing resource.
        name: String,
    },
    /// The system is not in the state that the request needs.
    Precondition {
        /// Reason in upper case, for programs.
        reason: &'static str,
        /// Resource name of the subject.
        subject: String,
        /// The fault and its remedy, for operators.
        problem: String,
    },
    /// A concurrent write changed the resource.
    Conflict(String),
    /// The same request may succeed later.
    Retry {
        /// Reason in upper case, for programs.
        reason: &'static str,
        /// The fault, for operators.
        problem: String,
        /// Time after which the caller may repeat the request.
        after: Duration,
    },
    /// The store refuses writes until an operator acts: it has no space, or does not permit them. The
    /// same request fails again, so that nothing tells the caller to repeat it.
    StoreRefuses(String),
    /// The caller has used up its share, and no replica has more for it. It may try again much later.
    Exhausted {
        /// Reason in upper case, for programs.
        reason: &'static str,
        /// The share, for operators.
        problem: String,
    },
    /// The revision of the request is too old to continue from: the caller begins anew.
    Outdated {
        /// Reason in upper case, for programs.
        reason: &'static str,
        /// The fault and its remedy.
        problem: String,
    },
    /// The deadline passed first.
    Deadline(String),
    /// A fault of this program.
    Bug(String),
}

impl RpcRefusal {
    /// Refuses one field.
    pub(crate) fn field(field: &str, problem: impl Into<String>) -> Self {
        Self::Invalid(vec![RequestViolation::new(field, problem)])
    }
}

/// The remedy of a store that refuses writes.
const STORE_REMEDY: &str = "give it space (compact and defragment it, or raise its quota), or the user of Usher \
                            the permission to write below `store.prefix`, then repeat the request";

/// Pause before another attempt of a request that failed for a passing reason.
const RETRY_AFTER: Duration = Duration::from_secs(1);

impl RpcRefusal {
    /// Refuses a request for a passing reason.
    pub(crate) fn retry(reason: &'static str, problem: impl Into<String>) -> Self {
        Self::Retry { reason, problem: problem.into(), after: RETRY_AFTER }
    }

    /// Refuses a request whose id another request with other content had (ADR 35).
    pub(crate) fn other_content(name: &str) -> Self {
        Self::field(
            "request_id",
            format!(
                "`{name}` was created by a request with this id and another content; each request needs an id of \
                 its own"
            ),
        )
    }

    /// Converts the error of a server's administration.
    pub(crate) fn admin(error: WriteError<AdminError>, id: &ServerId) -> Self {
        let name = format!("servers/{id}");
        match error {
            WriteError::Decision(AdminError::NotFound) => Self::NotFound { kind: "server", name },
            WriteError::Decision(AdminError::Exists) => Self::Exists { kind: "server", name },
            WriteError::Decision(AdminError::OtherContent) => Self::other_content(&name),
            WriteError::Decision(AdminError::Changed) => Self::Conflict(format!(
                "another operator changed `{name}` meanwhile; the remaining steps are not done: \
                 look at it and ask again"
            )),
            WriteError::Decision(AdminError::AddressTaken(other)) => Self::field(
                "server.url",
                format!(
                    "`servers/{other}` has this address already: one server under two ids would be polled and \
                     counted twice; change that entry, or remove it first"
                ),
            ),
            WriteError::Decision(AdminError::HasMeetings { meetings, stays }) => Self::Precondition {
                reason: "SERVER_HAS_MEETINGS",
                problem: format!(
                    "{meetings} meetings live on `{name}`: {}; or use panic, which frees their ids at once",
                    match stays {
                        AdminState::Enabled =>
                            "it is unchanged and stays enabled; cordon it, and it becomes disabled when they \
                             have ended",
                        AdminState::Cordoned => "it stays cordoned and becomes disabled when they have ended",
                        AdminState::Disabled => "it stays disabled, and Usher ends them there",
                    }
                ),
                subject: name,
            },
            other => Self::written(other),
        }
    }

    /// Converts the error of a tenant's change.
    pub(crate) fn tenant(error: WriteError<TenantError>, id: &TenantId) -> Self {
        let name = format!("tenants/{id}");
        match error {
            WriteError::Decision(TenantError::NotFound) => Self::NotFound { kind: "tenant", name },
            WriteError::Decision(TenantError::Exists) => Self::Exists { kind: "tenant", name },
            WriteError::Decision(TenantError::OtherContent) => Self::other_content(&name),
            WriteError::Decision(TenantError::Changed) => {
                Self::Conflict(format!("`{name}` was changed since it was read; read it again"))
            }
            WriteError::Decision(TenantError::HostTaken { host, owner }) => {
                Self::field("tenant.hosts", format!("`{host}` belongs to `tenants/{owner}` already"))
            }
            WriteError::Decision(TenantError::NoSuchSecret) => {
                Self::NotFound { kind: "secret", name: format!("{name}/secrets/***") }
            }
            WriteError::Decision(TenantError::LastSecret) => Self::Precondition {
                reason: "LAST_SECRET",
                problem: format!(
                    "it is the last secret of `{name}`: add another first, or disable the tenant"
                ),
                subject: name,
            },
            other => Self::written(other),
        }
    }

    /// Converts the error of a supersede.
    pub(crate) fn supersede(error: WriteError<SupersedeError>, name: String) -> Self {
        match error {
            WriteError::Decision(SupersedeError::NotFound) => Self::NotFound { kind: "meeting", name },
            WriteError::Decision(SupersedeError::Online) => Self::Precondition {
                reason: "SERVER_ONLINE",
                problem: "the meeting's server is online: end the meeting instead".into(),
                subject: name,
            },
            WriteError::Decision(SupersedeError::Pending) => {
                let problem = "its server has not confirmed it yet; try again in a moment";
                Self::retry("MEETING_PENDING", problem)
            }
            WriteError::Decision(SupersedeError::Changed) => Self::another_instance(&name),
            other => Self::written(other),
        }
    }

    /// Refuses a request whose id belongs to another instance than it names.
    pub(crate) fn another_instance(name: &str) -> Self {
        Self::Conflict(format!(
            "`{name}` is another meeting by now; no change was made: read it again and repeat the request"
        ))
    }

    /// Converts the reason why a meeting was not placed.
    pub(crate) fn place(error: WriteError<PlacementRefusal>) -> Self {
        let lasting =
            |reason| Self::Precondition { reason, subject: "key".into(), problem: error.to_string() };
        let reason = match &error {
            WriteError::Decision(PlacementRefusal::TenantFull) => return lasting("TENANT_FULL"),
            WriteError::Decision(PlacementRefusal::NoServer(NoServer::TagUnavailable)) => {
                return lasting("TAG_UNAVAILABLE");
            }
            WriteError::Decision(PlacementRefusal::NoRoom(NoRoomServer::NoParent)) => {
                return lasting("NO_PARENT");
            }
            WriteError::Decision(PlacementRefusal::NoRoom(NoRoomServer::Taken)) => {
                return lasting("ID_TAKEN");
            }
            WriteError::Decision(PlacementRefusal::NoRoom(NoRoomServer::ServerAway)) => "PARENT_AWAY",
            WriteError::Decision(PlacementRefusal::NoRoom(NoRoomServer::Leftover)) => "LEFTOVER",
            WriteError::Decision(PlacementRefusal::Rebuilding) => "REBUILDING",
            WriteError::Decision(PlacementRefusal::NoServer(NoServer::NoneHealthy)) => "NO_SERVER_HEALTHY",
            WriteError::Decision(PlacementRefusal::NoServer(NoServer::PoolEmpty)) => "POOL_EMPTY",
            WriteError::Decision(PlacementRefusal::NoServer(NoServer::LoadUnknown)) => "LOAD_UNKNOWN",
            WriteError::Decision(PlacementRefusal::NoServer(NoServer::Saturated)) => "SATURATED",
            WriteError::Store(_) | WriteError::Deadline => return Self::written(error).for_edge(),
        };
        Self::retry(reason, error.to_string())
    }

    /// Converts the reason why a write failed.
    pub(crate) fn written<E: std::fmt::Display>(error: WriteError<E>) -> Self {
        match error {
            WriteError::Store(error) => Self::store(&error),
            WriteError::Deadline => Self::Deadline("the store did not take it by the deadline".into()),
            WriteError::Decision(error) => Self::Bug(format!("unexpected decision: {error}")),
        }
    }

    /// Converts an error of the store. The caller may repeat the request after a passing one, because
    /// every request is idempotent.
    pub(crate) fn store(error: &StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) => Self::retry("STORE_UNAVAILABLE", error.to_string()),
            StoreError::Unknown(_) => Self::retry("STORE_ANSWER_LOST", error.to_string()),
            StoreError::Rejected(_) => Self::StoreRefuses(error.to_string()),
        }
    }

    /// Returns the refusal for an edge. A store that refuses one replica may take the write of
    /// another, which an edge calls next, and its application may try again later.
    #[must_use]
    pub(crate) fn for_edge(self) -> Self {
        match self {
            Self::StoreRefuses(problem) => Self::retry("STORE_REJECTS", problem),
            other => other,
        }
    }
}

impl From<ConvertError> for RpcRefusal {
    fn from(error: ConvertError) -> Self {
        match error {
            ConvertError::Missing(field) | ConvertError::UnknownValue(field) => {
                Self::field(field, error.to_string())
            }
            ConvertError::Id(error) => Self::field("key", error.to_string()),
        }
    }
}

impl From<RpcRefusal> for Status {
    fn from(refusal: RpcRefusal) -> Self {
        let mut details = ErrorDetails::new();
        let (code, message) = match refusal {
            RpcRefusal::Invalid(violations) => {
                let message = violations
                    .iter()
                    .map(|violation| format!("{}: {}", violation.field, violation.problem))
                    .collect::<Vec<_>>()
                    .join("; ");
                for violation in violations {
                    details.add_bad_request_violation(violation.field, violation.problem);
                }
                details.set_error_info("INVALID_ARGUMENT", DOMAIN, HashMap::new());
                (Code::InvalidArgument, message)
            }
            RpcRefusal::NotFound { kind, name } => {
                details.set_resource_info(kind, name.clone(), "", "does not exist");
                details.set_error_info("NOT_FOUND", DOMAIN, HashMap::new());
                (Code::NotFound, format!("{kind} `{name}` does not exist"))
            }
            RpcRefusal::Exists { kind, name } => {
                details.set_resource_info(kind, name.clone(), "", "exists already");
                details.set_error_info("ALREADY_EXISTS", DOMAIN, HashMap::new());
                (Code::AlreadyExists, format!("{kind} `{name}` exists already"))
            }
            RpcRefusal::Precondition { reason, subject, problem } => {
                details.add_precondition_failure_violation(reason, subject, problem.clone());
                details.set_error_info(reason, DOMAIN, HashMap::new());
                (Code::FailedPrecondition, problem)
            }
            RpcRefusal::StoreRefuses(problem) => {
                let problem = format!("{problem}; {STORE_REMEDY}");
                details.add_precondition_failure_violation("STORE_REJECTS", "store", problem.clone());
                let remedy = HashMap::from([("remedy".to_owned(), STORE_REMEDY.to_owned())]);
                details.set_error_info("STORE_REJECTS", DOMAIN, remedy);
                (Code::FailedPrecondition, problem)
            }
            RpcRefusal::Conflict(problem) => {
                details.set_error_info("CONFLICT", DOMAIN, HashMap::new());
                (Code::Aborted, problem)
            }
            RpcRefusal::Retry { reason, problem, after } => {
                details.set_error_info(reason, DOMAIN, HashMap::new());
                details.set_retry_info(Some(after));
                (Code::Unavailable, problem)
            }
            RpcRefusal::Exhausted { reason, problem } => {
                details.set_error_info(reason, DOMAIN, HashMap::new());
                (Code::ResourceExhausted, problem)
            }
            RpcRefusal::Outdated { reason, problem } => {
                details.set_error_info(reason, DOMAIN, HashMap::new());
                (Code::OutOfRange, problem)
            }
            RpcRefusal::Deadline(problem) => {
                details.set_error_info("DEADLINE", DOMAIN, HashMap::new());
                (Code::DeadlineExceeded, problem)
            }
            RpcRefusal::Bug(problem) => {
                details.set_error_info("BUG", DOMAIN, HashMap::new());
                (Code::Internal, problem)
            }
        };
        Self::with_error_details(code, message, details)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_passing_error_of_the_store_tells_to_retry() {
        for (error, reason) in [
            (StoreError::Unavailable("x".into()), "STORE_UNAVAILABLE"),
            (StoreError::Unknown("x".into()), "STORE_ANSWER_LOST"),
        ] {
            let status = Status::from(RpcRefusal::store(&error));
            assert_eq!(status.code(), Code::Unavailable);
            assert!(status.get_details_retry_info().is_some());
            assert_eq!(status.get_details_error_info().map(|info| info.reason).as_deref(), Some(reason));
        }
        for cause in ["etcdserver: mvcc: database space exceeded", "etcdserver: permission denied"] {
            let error = StoreError::Rejected(cause.into());
            let status = Status::from(RpcRefusal::store(&error));
            assert_eq!(status.code(), Code::FailedPrecondition);
            assert!(status.get_details_retry_info().is_none() && status.message().contains(cause));
            let info = status.get_details_error_info().expect("is given");
            assert_eq!(info.reason, "STORE_REJECTS");
            assert!(info.metadata["remedy"].contains("quota"), "{info:?}");
            let for_edge = Status::from(RpcRefusal::store(&error).for_edge());
            assert_eq!(for_edge.code(), Code::Unavailable, "another replica may be permitted");
        }
    }

    #[test]
    fn refusals_carry_the_details_for_a_program() {
        let status = Status::from(RpcRefusal::field("server.url", "must end in `/`"));
        assert_eq!(status.code(), Code::InvalidArgument);
        let violations = status.get_details_bad_request().map(|bad| bad.field_violations).unwrap_or_default();
        assert_eq!(violations[0].field, "server.url");

        let after = Duration::from_secs(2);
        let status =
            Status::from(RpcRefusal::Retry { reason: "NO_SERVER_HEALTHY", problem: "none".into(), after });
        assert_eq!(status.code(), Code::Unavailable);
        assert_eq!(status.get_details_retry_info().and_then(|info| info.retry_delay), Some(after));
        assert_eq!(
            status.get_details_error_info().map(|info| info.reason).as_deref(),
            Some("NO_SERVER_HEALTHY")
        );
    }
}
