//! Calls to the control planes while a request waits (ADR 3). If a control plane is unreachable,
//! the client calls the next one. If it is silent for a moment, the client calls the next one as
//! well and takes the first answer (ADR 11). Every call may be repeated at another replica. Records
//! are created only if absent, under a token of the caller. Confirming, abandoning or ending an
//! instance twice, or late, has the effect of doing it once.

use std::{
    future::Future,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures::{StreamExt, stream::FuturesUnordered};
use prometheus_client::metrics::counter::Counter;
use tonic::{Code, Response, Status};
use tonic_types::StatusExt;
use tracing::{debug, instrument, warn};
use usher_bbb::reply::Refusal;
use usher_model::{
    id::{InternalMeetingId, ServerId},
    meeting::MeetingKey,
    revision::Revision,
    routing::{MeetingRoute, ServerRoute},
    voice::VoiceBridge,
};
use usher_proto::{
    ConvertError,
    v1::{self, placement_service_client::PlacementServiceClient as Client},
};

use usher_runtime::{
    clock,
    control_planes::{ControlPlanes, PlaneConnection},
    repeated_warnings::RequestWarnings,
};

use crate::core::{
    evidence::{FailureEvidence, FailureKind},
    hedge_delay::HedgeDelay,
    rules::PlacementWishes,
};

/// The longest wait for one control plane to place a meeting: it may hold a create back for up to 5
/// s (F5).
const PLACE_TIMEOUT: Duration = Duration::from_secs(8);
/// The longest wait for one control plane to look a meeting up. The lookup waits for up to two reads of
/// the store, and reads it a third time if the control plane is behind; on a store that takes 0.5 s for
/// a read, 2 s were too short, and joins of new meetings were refused.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(4);
/// The longest wait for one control plane to record an outcome.
const REPORT_TIMEOUT: Duration = Duration::from_secs(4);
/// The longest wait for one control plane to record a failure: it may have to poll the server
/// first.
const FAILURE_REPORT_TIMEOUT: Duration = Duration::from_secs(8);

/// The largest part of a control plane's reason that is logged, in characters.
const MAX_STATED: usize = 200;

/// The reason why there is no usable answer.
#[derive(Debug, thiserror::Error)]
pub enum PlacementError {
    /// No control plane is reachable. The caller may try again.
    #[error("no control plane answers")]
    Unreachable(#[source] Status),
    /// Control planes answer, and say why none can do it now. The caller may try again.
    #[error("no control plane can do it now: {}", stated(.0))]
    Declined(#[source] Status),
    /// The control plane refuses the request.
    #[error("the control plane refuses: {}", stated(.0))]
    Refused(#[source] Status),
    /// The answer lacks a required field.
    #[error("read the answer of the control plane")]
    Malformed(#[from] ConvertError),
}

impl PlacementError {
    /// Returns the refusal for the application. If another try may help, it says that the server is
    /// unavailable.
    pub fn refusal(&self) -> Refusal {
        let Self::Refused(status) = self else { return Refusal::SERVER_UNAVAILABLE };
        match status.get_details_error_info().map(|info| info.reason).as_deref() {
            Some("TENANT_FULL") => Refusal::TOO_MANY_MEETINGS,
            Some("TAG_UNAVAILABLE") => Refusal::TAG_UNAVAILABLE,
            Some("NO_PARENT") => Refusal::PARENT_UNKNOWN,
            Some("ID_TAKEN") => Refusal::ID_NOT_UNIQUE,
            _ => Refusal::SERVER_UNAVAILABLE,
        }
    }

    /// Returns a name for errors with the same cause, for counting.
    fn reason(&self) -> String {
        match self {
            Self::Declined(status) | Self::Refused(status) => {
                reason(status).unwrap_or_else(|| format!("{:?}", status.code()))
            }
            Self::Unreachable(_) => "UNREACHABLE".to_owned(),
            Self::Malformed(_) => "MALFORMED".to_owned(),
        }
    }
}

/// Returns the reason that a control plane of Usher gave; `None` if the connection or a program
/// between made the status.
fn reason(status: &Status) -> Option<String> {
    status.get_details_error_info().map(|info| info.reason).filter(|reason| !reason.is_empty())
}

/// Returns the words of a control plane, for one line of a log.
fn stated(status: &Status) -> String {
    let printable = |c: char| if c.is_control() { ' ' } else { c };
    status.message().chars().map(printable).take(MAX_STATED).collect()
}

/// A placement: the server to call for a create.
#[derive(Debug, Clone)]
pub struct PlacedMeeting {
    /// The record of the meeting.
    pub meeting: MeetingRoute,
    /// The server to call.
    pub server: ServerRoute,
    /// Whether the record was made for this create; otherwise it existed already.
    pub is_ours: bool,
    /// The revision of the store at the placement.
    pub revision: Option<Revision>,
}

/// A create that a server has answered with success.
#[derive(Debug, Clone)]
pub struct CreateConfirmation {
    /// The key of the meeting.
    pub meeting: MeetingKey,
    /// The server that created the meeting.
    pub server: ServerId,
    /// The token of the placement; empty if the record existed before this create.
    pub token: String,
    /// The internal id of the instance, as the server wrote it.
    pub internal_id: String,
    /// The time of the create by the server's clock, in milliseconds since 1970.
    pub create_time_ms: i64,
    /// Whether the server made a breakout room.
    pub breakout: bool,
}

/// A meeting that a control plane has looked up.
#[derive(Debug, Clone)]
pub struct ResolvedMeeting {
    /// The record of the meeting.
    pub meeting: MeetingRoute,
    /// The meeting's server, of any health.
    pub server: ServerRoute,
    /// The token of the placement while the meeting is not confirmed; empty afterwards.
    pub token: String,
}

/// The notice that a meeting has ended. It names the instance, and the token of the placement if the
/// meeting was not confirmed.
#[derive(Debug, Clone, Copy)]
pub struct EndNotice<'a> {
    /// The meeting.
    pub key: &'a MeetingKey,
    /// The server that has answered SUCCESS to the `end`, or is to get it.
    pub server: &'a ServerId,
    /// The internal id, if it is known.
    pub instance: Option<&'a InternalMeetingId>,
    /// The token of the placement; empty for a confirmed meeting.
    pub token: &'a str,
    /// Whether the server has still to get the `end`, because this edge takes it for unreachable.
    pub unsent: bool,
}

/// The certainty that a server did not create the meeting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AbandonCertainty {
    /// The server did not receive the request, or refused it.
    Definite,
    /// The server received the request, and its answer is unknown.
    Unknown,
}

/// Whether the client may call a second control plane while the first is silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hedging {
    /// The client may: the effect of two calls is that of one, however late the second arrives.
    Hedged,
    /// The client may not: it waits until the first call has ended.
    OneByOne,
}

/// The client for placement; clones share their knowledge of the control planes.
#[derive(Debug, Clone)]
pub struct PlacementClient {
    planes: ControlPlanes,
    /// The index in `planes` of the control plane that answered last.
    preferred: Arc<AtomicUsize>,
    delay: Arc<Mutex<HedgeDelay>>,
    warnings: RequestWarnings,
    hedges: Counter,
}

impl PlacementClient {
    /// Makes a client. `hedges` counts the second calls because of a silent control plane.
    pub fn new(planes: ControlPlanes, hedges: Counter) -> Self {
        Self {
            planes,
            preferred: Arc::default(),
            delay: Arc::default(),
            warnings: RequestWarnings::default(),
            hedges,
        }
    }

    /// Logs why a meeting was not placed. With all servers cordoned every create ends here, so each
    /// reason is logged with pauses.
    pub fn warn_not_placed(&self, error: &PlacementError) {
        let reason = error.reason();
        if let Some(held_back) = self.warnings.admit("not placed", &reason) {
            warn!(reason, %error, held_back, "a meeting was not placed");
        }
    }

    /// Requests a server for a meeting, or its existing record. `token` names the create: a record
    /// that was made under it belongs to the caller, whichever replica made it.
    ///
    /// # Errors
    /// No control plane answers, or no server accepts meetings.
    #[instrument(name = "PlaceMeeting", level = "info", skip_all, err(level = "debug"))]
    pub async fn place(
        &self,
        key: &MeetingKey,
        digest: [u8; 32],
        wishes: &PlacementWishes,
        excluded: &[ServerId],
        token: &str,
    ) -> Result<PlacedMeeting, PlacementError> {
        let request = v1::PlaceMeetingRequest {
            key: Some(key.into()),
            request_digest: bytes::Bytes::copy_from_slice(&digest),
            max_users: wishes.max_users,
            size_hint: wishes.size_hint,
            excluded_servers: excluded.iter().map(ToString::to_string).collect(),
            server_tag: wishes.server_tag.clone(),
            supersede: wishes.supersede,
            token: token.to_owned(),
            voice_bridge: wishes.voice_bridge.map_or(0, VoiceBridge::number),
            refused_voice_bridges: wishes.refused_bridges.iter().map(|bridge| bridge.number()).collect(),
            parent_meeting_id: wishes.parent.as_ref().map(ToString::to_string).unwrap_or_default(),
        };
        let answer = self
            .call(Hedging::Hedged, PLACE_TIMEOUT, async |mut plane| {
                plane.place_meeting(request.clone()).await
            })
            .await?;
        Ok(PlacedMeeting {
            meeting: answer.meeting.ok_or(ConvertError::Missing("meeting"))?.try_into()?,
            server: answer.server.ok_or(ConvertError::Missing("server"))?.try_into()?,
            // A control plane that does not know tokens invents one, and the edge cannot report
            // under it.
            is_ours: !answer.existing && answer.token == token,
            revision: answer.revision.map(Into::into),
        })
    }

    /// Reports a successful create. Returns whether the meeting is routed to that instance.
    ///
    /// # Errors
    /// No control plane answers.
    #[instrument(name = "ConfirmMeeting", level = "info", skip_all, err(level = "debug"))]
    pub async fn confirm(&self, created: &CreateConfirmation) -> Result<bool, PlacementError> {
        let request = v1::ConfirmMeetingRequest {
            key: Some((&created.meeting).into()),
            server_id: created.server.to_string(),
            token: created.token.clone(),
            internal_id: created.internal_id.clone(),
            create_time_ms: created.create_time_ms,
            breakout: created.breakout,
        };
        let answer = self
            .call(Hedging::Hedged, REPORT_TIMEOUT, async |mut plane| {
                plane.confirm_meeting(request.clone()).await
            })
            .await?;
        Ok(answer.routed)
    }

    /// Reports that a placed create failed.
    ///
    /// # Errors
    /// No control plane answers.
    #[instrument(name = "AbandonMeeting", level = "info", skip_all, err(level = "debug"))]
    pub async fn abandon(
        &self,
        key: &MeetingKey,
        server: &ServerId,
        token: &str,
        certainty: AbandonCertainty,
    ) -> Result<(), PlacementError> {
        let certainty = match certainty {
            AbandonCertainty::Definite => v1::AbandonCertainty::Definite,
            AbandonCertainty::Unknown => v1::AbandonCertainty::Unknown,
        };
        let request = v1::AbandonMeetingRequest {
            key: Some(key.into()),
            server_id: server.to_string(),
            token: token.to_owned(),
            certainty: certainty.into(),
        };
        self.call(Hedging::Hedged, REPORT_TIMEOUT, async |mut plane| {
            plane.abandon_meeting(request.clone()).await
        })
        .await?;
        Ok(())
    }

    /// Looks a meeting up, at a revision at least as new as the store at the time of the call.
    ///
    /// # Errors
    /// No control plane answers.
    #[instrument(name = "ResolveMeeting", level = "info", skip_all, err(level = "debug"))]
    pub async fn resolve(&self, key: &MeetingKey) -> Result<Option<ResolvedMeeting>, PlacementError> {
        let request = v1::ResolveMeetingRequest { key: Some(key.into()) };
        let answer = self
            .call(Hedging::Hedged, RESOLVE_TIMEOUT, async |mut plane| {
                plane.resolve_meeting(request.clone()).await
            })
            .await?;
        match (answer.meeting, answer.server) {
            (Some(meeting), Some(server)) => Ok(Some(ResolvedMeeting {
                meeting: meeting.try_into()?,
                server: server.try_into()?,
                token: answer.token,
            })),
            _ => Ok(None),
        }
    }

    /// Reports the end of a meeting. Returns the revision from which no table routes to it.
    ///
    /// # Errors
    /// No control plane answers.
    #[instrument(name = "ReportEnd", level = "info", skip_all, err(level = "debug"))]
    pub async fn report_end(&self, ended: EndNotice<'_>) -> Result<Option<Revision>, PlacementError> {
        let request = v1::ReportEndRequest {
            key: Some(ended.key.into()),
            server_id: ended.server.to_string(),
            internal_id: ended.instance.map(ToString::to_string).unwrap_or_default(),
            token: ended.token.to_owned(),
            unsent: ended.unsent,
        };
        let answer = self
            .call(Hedging::Hedged, REPORT_TIMEOUT, async |mut plane| plane.report_end(request.clone()).await)
            .await?;
        Ok(answer.revision.map(Into::into))
    }

    /// Reports that a call to a server failed (X6).
    ///
    /// # Errors
    /// No control plane answers.
    pub async fn report_failure(
        &self,
        server: &ServerId,
        kind: FailureKind,
        call: &str,
        evidence: &FailureEvidence,
    ) -> Result<(), PlacementError> {
        let request = v1::ReportFailureRequest {
            server_id: server.to_string(),
            kind: failure_kind(kind).into(),
            call: call.to_owned(),
            failed_callers: evidence
                .callers
                .iter()
                .map(|(tenant, meeting)| v1::FailedCaller {
                    tenant: tenant.to_string(),
                    meeting_id: meeting.as_ref().map(ToString::to_string).unwrap_or_default(),
                })
                .collect(),
            succeeds_elsewhere: evidence.succeeds_elsewhere,
        };
        // Each replica counts one failure in an interval, so a hedged call would count two.
        self.call(Hedging::OneByOne, FAILURE_REPORT_TIMEOUT, async |mut plane| {
            plane.report_failure(request.clone()).await
        })
        .await?;
        Ok(())
    }

    /// Calls the control plane that answered last, then the others, each for at most `limit`.
    async fn call<T, F>(
        &self,
        hedging: Hedging,
        limit: Duration,
        call: impl Fn(Client<PlaneConnection>) -> F,
    ) -> Result<T, PlacementError>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let (first, all) = (self.preferred.load(Ordering::Relaxed), self.planes.len());
        let one = |index: usize| {
            let plane = self.planes.nth(index);
            let (begun, answering) = (clock::now(), call(Client::new(plane.connection.clone())));
            async move {
                let answer = tokio::time::timeout(limit, answering).await;
                let late = || Status::deadline_exceeded("the control plane did not answer in time");
                (index, clock::now().saturating_duration_since(begun), answer.unwrap_or_else(|_| Err(late())))
            }
        };
        let mut called = 1;
        let mut declined = None;
        let mut waiting = FuturesUnordered::from_iter([one(first)]);
        loop {
            let hedged = hedging == Hedging::Hedged && called < all;
            let patience = if hedged { self.delay().current() } else { limit * 2 };
            let Ok(answer) = tokio::time::timeout(patience, waiting.next()).await else {
                if hedged {
                    debug!(
                        plane = self.planes.nth(first + called).address,
                        "is called beside a silent control plane"
                    );
                    self.hedges.inc();
                    waiting.push(one(first + called));
                    called += 1;
                }
                continue;
            };
            let status = match answer {
                Some((index, took, Ok(answer))) => {
                    self.preferred.store(index % all, Ordering::Relaxed);
                    self.delay().observe(took);
                    return Ok(answer.into_inner());
                }
                Some((_, _, Err(status))) if !may_do_better(status.code()) => {
                    return Err(PlacementError::Refused(status));
                }
                Some((index, _, Err(status))) => {
                    let plane = self.planes.nth(index);
                    debug!(plane = plane.address, code = ?status.code(), "control plane does not answer");
                    // A reason from a control plane says more than the silence of another one.
                    if reason(&status).is_some() {
                        declined = Some(status.clone());
                    }
                    status
                }
                None => Status::unavailable("no control plane was called"),
            };
            if called < all {
                waiting.push(one(first + called));
                called += 1;
            } else if waiting.is_empty() {
                return Err(declined.map_or(PlacementError::Unreachable(status), PlacementError::Declined));
            }
        }
    }

    fn delay(&self) -> std::sync::MutexGuard<'_, HedgeDelay> {
        self.delay.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the kind as the protobuf contract names it.
fn failure_kind(kind: FailureKind) -> v1::FailureKind {
    match kind {
        FailureKind::Connect => v1::FailureKind::Connect,
        FailureKind::Tls => v1::FailureKind::Tls,
        FailureKind::Timeout => v1::FailureKind::Timeout,
        FailureKind::ServerError => v1::FailureKind::ServerError,
        FailureKind::BadAnswer => v1::FailureKind::BadAnswer,
    }
}

/// Returns whether another replica may succeed after a failure with this code.
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
