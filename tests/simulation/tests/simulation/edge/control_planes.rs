//! Calls to the control planes, by the rules of `edge-proxy/src/control/placement.rs`.

use std::{
    future::Future,
    sync::{Arc, PoisonError, atomic::Ordering},
    time::Duration,
};

use tokio::time::Instant;
use tonic::{Code, Request, Response, Status};
use usher_bbb::call::ApiCall;
use usher_edge_proxy::core::evidence::{CallOrigin, FailureEvidence};
use usher_model::{
    id::{InternalMeetingId, ServerId},
    meeting::MeetingKey,
    revision::Revision,
    routing::{MeetingRoute, ServerRoute},
};
use usher_proto::v1::{self, placement_service_server::PlacementService};

use super::{EdgeOwner, SimEdge};
use crate::{network::LostCall, replica::RunningReplica, servers::CreatedInstance};

const PLACE_TIMEOUT: Duration = Duration::from_secs(8);
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(2);
const REPORT_TIMEOUT: Duration = Duration::from_secs(4);
const FAILURE_REPORT_TIMEOUT: Duration = Duration::from_secs(8);
/// The shortest time between two reports about one server.
const REPORT_PAUSE: Duration = Duration::from_secs(1);

/// The failure of a call to the control planes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PlaneCallError {
    Unreachable,
    Refused,
}

/// A server that a create is sent to.
pub(super) struct PlacedCreate {
    pub(super) owner: EdgeOwner,
    /// The token of the placement; `None` if the record existed already.
    pub(super) token: Option<String>,
}

impl SimEdge {
    pub(super) async fn place(
        self: &Arc<Self>,
        key: &MeetingKey,
        supersede: bool,
        excluded: &[ServerId],
    ) -> Result<PlacedCreate, PlaneCallError> {
        let request = v1::PlaceMeetingRequest {
            key: Some(key.into()),
            excluded_servers: excluded.iter().map(ToString::to_string).collect(),
            supersede,
            ..Default::default()
        };
        let answer = self
            .ask(PLACE_TIMEOUT, move |plane| {
                let request = Request::new(request.clone());
                async move { plane.placement()?.place_meeting(request).await }
            })
            .await?;
        let meeting = answer.meeting.and_then(|meeting| MeetingRoute::try_from(meeting).ok());
        let server = answer.server.and_then(|server| ServerRoute::try_from(server).ok());
        let (Some(meeting), Some(server)) = (meeting, server) else { return Err(PlaneCallError::Refused) };
        let owner = EdgeOwner { server, state: meeting.state, token: String::new() };
        Ok(PlacedCreate { owner, token: (!answer.existing).then_some(answer.token) })
    }

    pub(super) async fn resolve(
        self: &Arc<Self>,
        key: &MeetingKey,
    ) -> Result<Option<EdgeOwner>, PlaneCallError> {
        let request = v1::ResolveMeetingRequest { key: Some(key.into()) };
        let answer = self
            .ask(RESOLVE_TIMEOUT, move |plane| {
                let request = Request::new(request.clone());
                async move { plane.placement()?.resolve_meeting(request).await }
            })
            .await?;
        let meeting = answer.meeting.and_then(|meeting| MeetingRoute::try_from(meeting).ok());
        let server = answer.server.and_then(|server| ServerRoute::try_from(server).ok());
        let token = answer.token;
        Ok(meeting.zip(server).map(|(meeting, server)| EdgeOwner { server, state: meeting.state, token }))
    }

    pub(super) async fn confirm(
        self: &Arc<Self>,
        key: &MeetingKey,
        server: &ServerId,
        token: &str,
        created: &CreatedInstance,
    ) -> Result<bool, PlaneCallError> {
        let request = v1::ConfirmMeetingRequest {
            key: Some(key.into()),
            server_id: server.to_string(),
            token: token.to_owned(),
            internal_id: created.internal_id.to_string(),
            create_time_ms: created.create_time_ms,
            breakout: false,
        };
        let answer = self.ask(REPORT_TIMEOUT, move |plane| {
            let request = Request::new(request.clone());
            async move { plane.placement()?.confirm_meeting(request).await }
        });
        answer.await.map(|answer| answer.routed)
    }

    pub(super) async fn abandon(
        self: &Arc<Self>,
        key: &MeetingKey,
        server: &ServerId,
        token: &str,
        certainty: v1::AbandonCertainty,
    ) {
        let request = v1::AbandonMeetingRequest {
            key: Some(key.into()),
            server_id: server.to_string(),
            token: token.to_owned(),
            certainty: certainty.into(),
        };
        let answer = self.ask(REPORT_TIMEOUT, move |plane| {
            let request = Request::new(request.clone());
            async move { plane.placement()?.abandon_meeting(request).await }
        });
        let _ = answer.await; // without the report, polls resolve the pending record
    }

    pub(super) async fn report_end(
        self: &Arc<Self>,
        key: &MeetingKey,
        owner: &EdgeOwner,
        instance: Option<&InternalMeetingId>,
        unsent: bool,
    ) -> Result<Option<Revision>, PlaneCallError> {
        let request = v1::ReportEndRequest {
            unsent,
            key: Some(key.into()),
            server_id: owner.server.id.to_string(),
            internal_id: instance.map(ToString::to_string).unwrap_or_default(),
            token: owner.token.clone(),
        };
        let answer = self.ask(REPORT_TIMEOUT, move |plane| {
            let request = Request::new(request.clone());
            async move { plane.placement()?.report_end(request).await }
        });
        answer.await.map(|answer| answer.revision.map(Into::into))
    }

    /// Reports a failed call, unless one of the same server was reported recently, by the rules of
    /// `edge-proxy/src/upstream/passive_reports.rs`.
    pub(crate) fn report_failure(
        self: &Arc<Self>,
        server: &ServerId,
        kind: v1::FailureKind,
        caller: &CallOrigin,
    ) {
        let now = Instant::now();
        let no_connection = kind == v1::FailureKind::Connect;
        let evidence = if no_connection {
            FailureEvidence::default()
        } else {
            self.ledger().failed(server, ApiCall::Create, caller, now.into_std())
        };
        let about = (server.clone(), no_connection);
        let mut reported = self.reported.lock().unwrap_or_else(PoisonError::into_inner);
        if reported.get(&about).is_some_and(|at| now.duration_since(*at) < REPORT_PAUSE) {
            return;
        }
        reported.insert(about, now);
        let callers = evidence.callers.iter().map(|(tenant, meeting)| v1::FailedCaller {
            tenant: tenant.to_string(),
            meeting_id: meeting.as_ref().map(ToString::to_string).unwrap_or_default(),
        });
        let request = v1::ReportFailureRequest {
            server_id: server.to_string(),
            kind: kind.into(),
            call: "create".into(),
            failed_callers: callers.collect(),
            succeeds_elsewhere: evidence.succeeds_elsewhere,
        };
        let edge = self.clone();
        tokio::spawn(async move {
            let asked = edge.ask(FAILURE_REPORT_TIMEOUT, move |plane| {
                let request = Request::new(request.clone());
                async move { plane.placement()?.report_failure(request).await }
            });
            let _ = asked.await; // the next failure causes another report
        });
    }

    /// Calls the control plane that answered last, then the others.
    async fn ask<T, F>(
        self: &Arc<Self>,
        patience: Duration,
        call: impl Fn(Arc<RunningReplica>) -> F,
    ) -> Result<T, PlaneCallError>
    where
        T: Send + 'static,
        F: Future<Output = Result<Response<T>, Status>> + Send + 'static,
    {
        let first = self.preferred.load(Ordering::Relaxed);
        for index in first..first + self.replicas.len() {
            let index = index % self.replicas.len();
            let answer = match self.replicas[index].running() {
                Some(plane) => {
                    let there = plane.life.clone();
                    self.net.call(&self.life, &there, patience, call(plane)).await
                }
                None => Err(LostCall::NotSent),
            };
            match answer {
                Ok(Ok(answer)) => {
                    self.preferred.store(index, Ordering::Relaxed);
                    return Ok(answer.into_inner());
                }
                Ok(Err(status)) if !may_do_better(status.code()) => return Err(PlaneCallError::Refused),
                Ok(Err(_)) | Err(_) => {}
            }
        }
        Err(PlaneCallError::Unreachable)
    }
}

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
