//! `PlacementService`: the calls of edges while they serve requests.

use std::time::{Duration, Instant};

use tonic::{Request, Response, Status};
use tracing::{Instrument, debug, info_span};
use usher_model::{
    id::{IdError, InternalMeetingId, MeetingId, ServerId, TenantId},
    meeting::{MeetingKey, RecordState},
    voice::VoiceBridge,
};
use usher_proto::v1::{
    self, AbandonMeetingRequest, AbandonMeetingResponse, ConfirmMeetingRequest, ConfirmMeetingResponse,
    PlaceMeetingRequest, PlaceMeetingResponse, ReportEndRequest, ReportEndResponse, ReportFailureRequest,
    ReportFailureResponse, ResolveMeetingRequest, ResolveMeetingResponse,
    placement_service_server::PlacementService,
};
use usher_runtime::clock;

use super::{deadline, status::RpcRefusal};
use crate::{
    core::{
        fleet::meeting_route,
        health::FailureReport,
        lifecycle::{CreateAnswer, CreateCertainty, CreateRequest, EndReport, NoRoomServer},
        placement::{PlacementRequest, TagWish, WhenFull},
        voice::VoiceWish,
    },
    tasks::{
        fleet_handle::FleetHandle,
        placer::{ChosenPlacement, MeetingPlacer, MeetingResolver, PlacementRefusal},
        poll_requests::PollRequests,
        writer::{WriteError, WriteReceipt},
    },
};

/// Longest time that a create of a breakout room waits for a poll of the room's former instance.
const LEFTOVER_WITHIN: Duration = Duration::from_secs(3);

/// Largest number of callers that are read from one report.
const CALLERS: usize = 32;

/// The implementation of `PlacementService`. Tests call it without a socket. Its caller checks that
/// the fleet was read ([`super::readiness`]): a decision from an empty fleet would be wrong.
pub struct PlacementRpc {
    placer: MeetingPlacer,
    resolver: MeetingResolver,
    fleet: FleetHandle,
    polls: PollRequests,
}

impl PlacementRpc {
    /// Returns the service. It places by `placer`, looks up by `resolver` and requests polls by
    /// `polls`.
    pub fn new(
        placer: MeetingPlacer,
        resolver: MeetingResolver,
        fleet: FleetHandle,
        polls: PollRequests,
    ) -> Self {
        Self { placer, resolver, fleet, polls }
    }

    /// Places a breakout room. A former instance of the room may have ended long ago; only a poll
    /// shows it, and the next one may be a whole interval away, so one is requested.
    async fn place_room(
        &self,
        request: CreateRequest,
        parent: MeetingKey,
        deadline: Instant,
    ) -> Result<WriteReceipt<ChosenPlacement>, WriteError<PlacementRefusal>> {
        let placed = self.placer.place(request.clone(), deadline).await;
        if !matches!(placed, Err(WriteError::Decision(PlacementRefusal::NoRoom(NoRoomServer::Leftover)))) {
            return placed;
        }
        let home = self.fleet.read(|fleet| Some(fleet.record(&parent)?.value.server.clone()));
        let Some(home) = home else { return placed };
        match self.polls.ask(&home, deadline.min(clock::now() + LEFTOVER_WITHIN)).await {
            Ok(()) => self.placer.place(request, deadline).await,
            Err(error) => {
                debug!(server = %home, %error, "former instance of a breakout room not polled");
                placed
            }
        }
    }
}

#[tonic::async_trait]
impl PlacementService for PlacementRpc {
    async fn place_meeting(
        &self,
        request: Request<PlaceMeetingRequest>,
    ) -> Result<Response<PlaceMeetingResponse>, Status> {
        let deadline = deadline::of(request.metadata());
        let request = place_request(request.into_inner())?;
        let key = request.placement.key.clone();
        let span = info_span!("place meeting", meeting = %key);
        let parent = request.parent.as_ref().map(|id| MeetingKey::new(key.tenant.clone(), id.clone()));
        let placed = match parent {
            Some(parent) => self.place_room(request, parent, deadline).instrument(span).await,
            None => self.placer.place(request, deadline).instrument(span).await,
        };
        let placed = placed.map_err(RpcRefusal::place)?;
        let placement = placed.outcome;
        Ok(Response::new(PlaceMeetingResponse {
            meeting: meeting_route(&key, &placement.record).as_ref().map(Into::into),
            server: Some((&placement.server).into()),
            token: if placement.existing { String::new() } else { placement.record.token },
            existing: placement.existing,
            revision: Some(placed.revision.into()),
        }))
    }

    async fn confirm_meeting(
        &self,
        request: Request<ConfirmMeetingRequest>,
    ) -> Result<Response<ConfirmMeetingResponse>, Status> {
        let deadline = deadline::of(request.metadata());
        let request = request.into_inner();
        let key = key(request.key)?;
        let answer = CreateAnswer {
            server: server_id(&request.server_id)?,
            token: Some(request.token).filter(|token| !token.is_empty()),
            internal_id: instance(&request.internal_id)?,
            create_time_ms: request.create_time_ms,
            breakout: request.breakout,
        };
        let confirmed = self.placer.confirm(&key, &answer, deadline).await;
        let confirmed = confirmed.map_err(|error| RpcRefusal::written(error).for_edge())?;
        let revision = Some(confirmed.revision.into());
        Ok(Response::new(ConfirmMeetingResponse { routed: confirmed.outcome, revision }))
    }

    async fn abandon_meeting(
        &self,
        request: Request<AbandonMeetingRequest>,
    ) -> Result<Response<AbandonMeetingResponse>, Status> {
        let deadline = deadline::of(request.metadata());
        let request = request.into_inner();
        let certainty = match request.certainty() {
            v1::AbandonCertainty::Definite => CreateCertainty::Definite,
            v1::AbandonCertainty::Unknown => CreateCertainty::Unknown,
            v1::AbandonCertainty::Unspecified => {
                return Err(RpcRefusal::field("certainty", "must be definite or unknown").into());
            }
        };
        let (key, server) = (key(request.key)?, server_id(&request.server_id)?);
        let abandoned = self.placer.abandon(&key, &server, &request.token, certainty, deadline).await;
        abandoned.map_err(|error| RpcRefusal::written(error).for_edge())?;
        Ok(Response::new(AbandonMeetingResponse {}))
    }

    async fn resolve_meeting(
        &self,
        request: Request<ResolveMeetingRequest>,
    ) -> Result<Response<ResolveMeetingResponse>, Status> {
        let deadline = deadline::of(request.metadata());
        let key = key(request.into_inner().key)?;
        // Read before the lookup: a rebuild that ends in between may have added the record after it
        // was looked up.
        let (epoch, rebuilding) = self.placer.rebuilding();
        let resolved = self
            .resolver
            .resolve(&key, deadline)
            .await
            .map_err(|error| RpcRefusal::store(&error).for_edge())?;
        let routed = resolved.found.as_ref().is_some_and(|found| found.server.is_some());
        if !routed && (rebuilding || resolved.revision.epoch != epoch) {
            return Err(RpcRefusal::place(WriteError::Decision(PlacementRefusal::Rebuilding)).into());
        }
        let found = resolved.found.as_ref();
        let pending = found.filter(|found| found.record.state == RecordState::Pending);
        let route = found.and_then(|found| meeting_route(&found.key, &found.record));
        Ok(Response::new(ResolveMeetingResponse {
            token: pending.map(|found| found.record.token.clone()).unwrap_or_default(),
            meeting: route.as_ref().map(Into::into),
            server: found.and_then(|found| found.server.as_ref()).map(Into::into),
            revision: Some(resolved.revision.into()),
        }))
    }

    async fn report_end(
        &self,
        request: Request<ReportEndRequest>,
    ) -> Result<Response<ReportEndResponse>, Status> {
        let deadline = deadline::of(request.metadata());
        let request = request.into_inner();
        let (key, server) = (key(request.key)?, server_id(&request.server_id)?);
        let running = match request.internal_id.as_str() {
            "" => None,
            id => Some(instance(id)?),
        };
        let placement = Some(request.token.as_str()).filter(|token| !token.is_empty());
        let ended = EndReport { instance: running.as_ref(), placement, unsent: request.unsent };
        let ended = self.placer.report_end(&key, &server, ended, deadline).await;
        let ended = ended.map_err(|error| RpcRefusal::written(error).for_edge())?;
        Ok(Response::new(ReportEndResponse { revision: Some(ended.revision.into()) }))
    }

    async fn report_failure(
        &self,
        request: Request<ReportFailureRequest>,
    ) -> Result<Response<ReportFailureResponse>, Status> {
        let deadline = deadline::of(request.metadata());
        let request = request.into_inner();
        let server = server_id(&request.server_id)?;
        let what = match request.kind() {
            v1::FailureKind::Connect => "no connection",
            v1::FailureKind::Tls => "no TLS connection",
            v1::FailureKind::Timeout => "no answer in time",
            v1::FailureKind::ServerError => "server error",
            v1::FailureKind::BadAnswer => "unreadable answer",
            v1::FailureKind::Unspecified => {
                return Err(RpcRefusal::field("kind", "must say what the call died of").into());
            }
        };
        // The edge names the call freely; only characters of BBB's call names go into the store.
        let call: String = request.call.chars().filter(char::is_ascii_alphanumeric).take(32).collect();
        let reason = format!("an edge's `{call}` failed: {what}");
        let report = failure_report(&request);
        let reported = self.placer.report_failure(&server, &report, &reason, deadline).await;
        // The server's own poll shows whether a server at which only one tenant's calls fail is
        // ill. The poll is made even if the deadline passes first.
        if reported.map_err(|error| RpcRefusal::written(error).for_edge())?
            && let Err(error) = self.polls.ask(&server, deadline).await
        {
            debug!(%server, %error, "server with a failed call not polled");
        }
        Ok(Response::new(ReportFailureResponse {}))
    }
}

fn failure_report(wire: &ReportFailureRequest) -> FailureReport {
    let caller = |caller: &v1::FailedCaller| {
        // A caller with an unreadable tenant is dropped.
        Some((TenantId::parse(&caller.tenant).ok()?, MeetingId::parse(&caller.meeting_id).ok()))
    };
    FailureReport {
        no_connection: matches!(wire.kind(), v1::FailureKind::Connect | v1::FailureKind::Tls),
        callers: wire.failed_callers.iter().take(CALLERS).filter_map(caller).collect(),
        succeeds_elsewhere: wire.succeeds_elsewhere,
    }
}

fn place_request(wire: PlaceMeetingRequest) -> Result<CreateRequest, RpcRefusal> {
    let excluded: Result<_, RpcRefusal> = wire.excluded_servers.iter().map(|id| server_id(id)).collect();
    Ok(CreateRequest {
        placement: PlacementRequest {
            key: key(wire.key)?,
            max_users: wire.max_users,
            size_hint: wire.size_hint,
            excluded: excluded?,
            when_full: WhenFull::default(),
            tag: TagWish::parse(&wire.server_tag),
        },
        token: token(wire.token)?,
        request_digest: wire.request_digest,
        supersede: wire.supersede,
        parent: parent(&wire.parent_meeting_id)?,
        voice: VoiceWish {
            wanted: VoiceBridge::new(wire.voice_bridge),
            refused: wire.refused_voice_bridges.into_iter().filter_map(VoiceBridge::new).collect(),
        },
    })
}

fn parent(id: &str) -> Result<Option<MeetingId>, RpcRefusal> {
    let invalid = |error: IdError| RpcRefusal::field("parent_meeting_id", error.to_string());
    if id.is_empty() { Ok(None) } else { MeetingId::parse(id).map(Some).map_err(invalid) }
}

/// Returns the caller's token for its create, or a random one.
fn token(given: String) -> Result<String, RpcRefusal> {
    if given.is_empty() {
        return Ok(format!("{:032x}", rand::random::<u128>()));
    }
    let sound = (16..=64).contains(&given.len())
        && given.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if sound { Ok(given) } else { Err(RpcRefusal::field("token", "must be 16 to 64 of 0-9, a-z, A-Z and -")) }
}

fn key(wire: Option<v1::MeetingKey>) -> Result<MeetingKey, RpcRefusal> {
    let wire = wire.ok_or_else(|| RpcRefusal::field("key", "is missing"))?;
    Ok(MeetingKey::try_from(wire)?)
}

fn instance(id: &str) -> Result<InternalMeetingId, RpcRefusal> {
    InternalMeetingId::parse(id).map_err(|error| RpcRefusal::field("internal_id", error.to_string()))
}

fn server_id(text: &str) -> Result<ServerId, RpcRefusal> {
    ServerId::parse(text).map_err(|error| RpcRefusal::field("server_id", error.to_string()))
}
