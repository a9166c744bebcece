//! Asking the control planes while a request waits: each try has a deadline, and one that cannot be
//! reached gives way to the next. Every call is safe to repeat at another replica: records are made
//! create-if-absent, and confirming, abandoning or ending twice is as once.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tonic::{Code, Response, Status};
use tonic_types::StatusExt;
use tracing::{debug, instrument};
use usher_common::{
    bbb::reply::Refusal,
    id::ServerId,
    meeting::MeetingKey,
    proto::{
        ConvertError,
        v1::{self, placement_service_client::PlacementServiceClient as Client},
    },
    revision::Revision,
    routing::{MeetingRoute, RouteState, ServerRoute},
};

use super::planes::{Connection, Planes};
use crate::core::rules::Wishes;

/// Longest wait for one control plane to place: it may hold a create back for up to 5 s (F5).
const PLACE_TIMEOUT: Duration = Duration::from_secs(8);
/// Longest wait for one control plane to look a meeting up.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(2);
/// Longest wait for one control plane to note an outcome.
const REPORT_TIMEOUT: Duration = Duration::from_secs(4);

/// An answer that did not come.
#[derive(Debug, thiserror::Error)]
pub enum PlacementError {
    /// No control plane could be asked; the caller may try again.
    #[error("no control plane answers")]
    Unreachable(#[source] Status),
    /// The control plane says no.
    #[error("the control plane refuses: {}", .0.message())]
    Refused(#[source] Status),
    /// The answer does not say what it must.
    #[error("answer of the control plane")]
    Malformed(#[from] ConvertError),
}

impl PlacementError {
    /// Returns what the application is told: where another try may help, that the server is unavailable.
    pub fn refusal(&self) -> Refusal {
        let Self::Refused(status) = self else { return Refusal::SERVER_UNAVAILABLE };
        match status.get_details_error_info().map(|info| info.reason).as_deref() {
            Some("TENANT_FULL") => Refusal::TOO_MANY_MEETINGS,
            Some("TAG_UNAVAILABLE") => Refusal::TAG_UNAVAILABLE,
            _ => Refusal::SERVER_UNAVAILABLE,
        }
    }
}

/// A server to call for a create.
#[derive(Debug, Clone)]
pub struct Placed {
    /// The record.
    pub meeting: MeetingRoute,
    /// The server to call.
    pub server: ServerRoute,
    /// Proves that the placement is ours; `None` when the record stood already.
    pub token: Option<String>,
    /// Where the store stands.
    pub revision: Option<Revision>,
}

/// How sure it is that a server did nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Certainty {
    /// Nothing was sent, or the server refused.
    Definite,
    /// The request was sent and its answer is not known.
    Unknown,
}

/// The client.
#[derive(Debug, Clone)]
pub struct Placement {
    planes: Planes,
    /// Place in `planes` of the one that answered last.
    preferred: Arc<AtomicUsize>,
}

impl Placement {
    /// Makes a client.
    pub fn new(planes: Planes) -> Self {
        Self { planes, preferred: Arc::new(AtomicUsize::new(0)) }
    }

    /// Asks for a server for a meeting, or for the record that stands.
    ///
    /// # Errors
    /// No control plane answers, or no server takes meetings.
    #[instrument(name = "PlaceMeeting", level = "info", skip_all, err(level = "debug"))]
    pub async fn place(
        &self,
        key: &MeetingKey,
        digest: [u8; 32],
        wishes: &Wishes,
        excluded: &[ServerId],
    ) -> Result<Placed, PlacementError> {
        let request = v1::PlaceMeetingRequest {
            key: Some(key.into()),
            request_digest: bytes::Bytes::copy_from_slice(&digest),
            max_users: wishes.max_users,
            size_hint: wishes.size_hint,
            excluded_servers: excluded.iter().map(ToString::to_string).collect(),
            server_tag: wishes.server_tag.clone(),
            supersede: wishes.supersede,
        };
        let answer =
            self.ask(PLACE_TIMEOUT, async |mut plane| plane.place_meeting(request.clone()).await).await?;
        Ok(Placed {
            meeting: answer.meeting.ok_or(ConvertError::Missing("meeting"))?.try_into()?,
            server: answer.server.ok_or(ConvertError::Missing("server"))?.try_into()?,
            token: (!answer.existing).then_some(answer.token),
            revision: answer.revision.map(Into::into),
        })
    }

    /// Reports a successful create; tells whether the meeting is routed to that instance.
    ///
    /// # Errors
    /// No control plane answers.
    #[instrument(name = "ConfirmMeeting", level = "info", skip_all, err(level = "debug"))]
    pub async fn confirm(&self, request: v1::ConfirmMeetingRequest) -> Result<bool, PlacementError> {
        let answer =
            self.ask(REPORT_TIMEOUT, async |mut plane| plane.confirm_meeting(request.clone()).await).await?;
        Ok(answer.routed)
    }

    /// Reports that a placed create came to nothing.
    ///
    /// # Errors
    /// No control plane answers.
    #[instrument(name = "AbandonMeeting", level = "info", skip_all, err(level = "debug"))]
    pub async fn abandon(
        &self,
        key: &MeetingKey,
        server: &ServerId,
        token: &str,
        certainty: Certainty,
    ) -> Result<(), PlacementError> {
        let certainty = match certainty {
            Certainty::Definite => v1::AbandonCertainty::Definite,
            Certainty::Unknown => v1::AbandonCertainty::Unknown,
        };
        let request = v1::AbandonMeetingRequest {
            key: Some(key.into()),
            server_id: server.to_string(),
            token: token.to_owned(),
            certainty: certainty.into(),
        };
        self.ask(REPORT_TIMEOUT, async |mut plane| plane.abandon_meeting(request.clone()).await).await?;
        Ok(())
    }

    /// Looks a meeting up in a fleet at least as new as the store is now.
    ///
    /// # Errors
    /// No control plane answers.
    #[instrument(name = "ResolveMeeting", level = "info", skip_all, err(level = "debug"))]
    pub async fn resolve(
        &self,
        key: &MeetingKey,
    ) -> Result<Option<(MeetingRoute, ServerRoute)>, PlacementError> {
        let request = v1::ResolveMeetingRequest { key: Some(key.into()) };
        let answer =
            self.ask(RESOLVE_TIMEOUT, async |mut plane| plane.resolve_meeting(request.clone()).await).await?;
        match (answer.meeting, answer.server) {
            (Some(meeting), Some(server)) => Ok(Some((meeting.try_into()?, server.try_into()?))),
            _ => Ok(None),
        }
    }

    /// Reports that a meeting was asked to end; returns from when on nobody routes to it.
    ///
    /// # Errors
    /// No control plane answers.
    #[instrument(name = "ReportEnd", level = "info", skip_all, err(level = "debug"))]
    pub async fn report_end(
        &self,
        key: &MeetingKey,
        server: &ServerId,
        instance: &RouteState,
    ) -> Result<Option<Revision>, PlacementError> {
        let internal_id = match instance {
            RouteState::Active(id) => id.to_string(),
            RouteState::Pending => String::new(),
        };
        let request =
            v1::ReportEndRequest { key: Some(key.into()), server_id: server.to_string(), internal_id };
        let answer =
            self.ask(REPORT_TIMEOUT, async |mut plane| plane.report_end(request.clone()).await).await?;
        Ok(answer.revision.map(Into::into))
    }

    /// Reports that a call to a server failed (X6).
    ///
    /// # Errors
    /// No control plane answers.
    pub async fn report_failure(
        &self,
        server: &ServerId,
        kind: v1::FailureKind,
        call: &str,
    ) -> Result<(), PlacementError> {
        let request = v1::ReportFailureRequest {
            server_id: server.to_string(),
            kind: kind.into(),
            call: call.to_owned(),
        };
        self.ask(REPORT_TIMEOUT, async |mut plane| plane.report_failure(request.clone()).await).await?;
        Ok(())
    }

    /// Asks the control plane that answered last, then the others, each for at most `timeout`.
    async fn ask<T, F>(
        &self,
        timeout: Duration,
        call: impl Fn(Client<Connection>) -> F,
    ) -> Result<T, PlacementError>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let first = self.preferred.load(Ordering::Relaxed);
        let mut last = Status::unavailable("nobody was asked");
        for index in first..first + self.planes.len() {
            let plane = self.planes.nth(index);
            let answer = tokio::time::timeout(timeout, call(Client::new(plane.connection.clone()))).await;
            let status = match answer {
                Ok(Ok(answer)) => {
                    self.preferred.store(index % self.planes.len(), Ordering::Relaxed);
                    return Ok(answer.into_inner());
                }
                Ok(Err(status)) => status,
                Err(_) => Status::deadline_exceeded("the control plane did not answer in time"),
            };
            if !may_do_better(status.code()) {
                return Err(PlacementError::Refused(status));
            }
            debug!(plane = plane.address, code = ?status.code(), "control plane does not answer");
            last = status;
        }
        Err(PlacementError::Unreachable(last))
    }
}

/// Tells whether another replica may answer where one failed like this.
fn may_do_better(code: Code) -> bool {
    matches!(
        code,
        Code::Unavailable
            | Code::DeadlineExceeded
            | Code::Cancelled
            | Code::Unknown
            | Code::Internal
            | Code::Unimplemented
    )
}
