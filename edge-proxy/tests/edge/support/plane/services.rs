//! The services of the fake control plane.

use std::{collections::HashMap, pin::Pin, sync::atomic::Ordering, time::Duration};

use tokio::sync::mpsc;
use tokio_stream::{Stream, StreamExt, wrappers::ReceiverStream};
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_types::{ErrorDetails, StatusExt};
use usher_model::{
    callback::CallbackKey,
    id::{InternalMeetingId, ServerId},
    meeting::MeetingKey,
    routing::{MeetingRoute, RouteState},
    server::{AdminState, Health},
};
use usher_proto::{
    SharedFrame,
    v1::{
        self, StreamRoutesRequest, StreamRoutesResponse, callback_service_server::CallbackService,
        placement_service_server::PlacementService, routing_service_server::RoutingService,
        stream_routes_request::Message as FromEdge,
    },
};

use super::{FakePlane, Heard, snapshot};

/// The time between two heartbeats on a stream.
const BEAT: Duration = Duration::from_millis(500);

#[tonic::async_trait]
impl RoutingService for FakePlane {
    type StreamRoutesStream = Pin<Box<dyn Stream<Item = Result<SharedFrame, Status>> + Send>>;

    async fn stream_routes(
        &self,
        request: Request<Streaming<StreamRoutesRequest>>,
    ) -> Result<Response<Self::StreamRoutesStream>, Status> {
        self.opened.fetch_add(1, Ordering::SeqCst);
        let (sender, frames) = mpsc::channel(1024);
        let (plane, said) = (self.clone(), request.into_inner());
        self.tasks.spawn_short("edge", async move {
            let _ = plane.follow(said, sender).await; // the edge or the test has closed the stream
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(frames))))
    }
}

impl FakePlane {
    async fn follow(
        &self,
        mut said: Streaming<StreamRoutesRequest>,
        sender: mpsc::Sender<Result<SharedFrame, Status>>,
    ) -> Result<(), Status> {
        let mut beat = tokio::time::interval(BEAT);
        let mut frozen = self.frozen.subscribe();
        loop {
            let _ = frozen.wait_for(|frozen| !frozen).await;
            let message = tokio::select! {
                message = said.next() => message,
                () = self.stop.cancelled() => return Ok(()),
                _ = beat.tick() => {
                    let alive = SharedFrame::Decoded(StreamRoutesResponse { message: None });
                    let _ = sender.try_send(Ok(alive)); // an edge that does not read needs no heartbeat
                    continue;
                }
            };
            let Some(Ok(message)) = message else { return Ok(()) };
            match message.message {
                Some(FromEdge::Hello(hello)) => {
                    let mut state = self.note(Heard::Hello { had_table: hello.have.is_some() })?;
                    state.streams.push(sender.clone());
                    for message in snapshot(&state.table.clone(), true) {
                        state.send(message);
                    }
                }
                Some(FromEdge::Ack(ack)) => {
                    let mut state = self.state();
                    if let Some(applied) = ack.applied {
                        state.acked = Some(applied.into());
                    }
                    if !ack.shed.is_empty() {
                        let shed = ack.shed.into_iter().map(|shed| (shed.reason, shed.count)).collect();
                        state.heard.push(Heard::Shed(shed));
                    }
                }
                Some(FromEdge::Resync(resync)) => {
                    let mut state = self.note(Heard::Resync(resync.reason))?;
                    for message in snapshot(&state.table.clone(), true) {
                        state.send(message);
                    }
                }
                None => {}
            }
        }
    }
}

#[tonic::async_trait]
impl PlacementService for FakePlane {
    async fn place_meeting(
        &self,
        request: Request<v1::PlaceMeetingRequest>,
    ) -> Result<Response<v1::PlaceMeetingResponse>, Status> {
        self.answer(move |plane| {
            let request = request.into_inner();
            let key: MeetingKey = request.key.expect("is set").try_into().expect("is a key");
            let token = request.token.clone();
            let mut state = plane.note(Heard::Placed { meeting: key.meeting.to_string(), token })?;
            if let Some(reason) = state.no_rooms.filter(|_| !request.parent_meeting_id.is_empty()) {
                let details = ErrorDetails::with_error_info(reason, "usher", HashMap::new());
                return Err(Status::with_error_details(Code::FailedPrecondition, reason, details));
            }
            if let Some(reason) = state.no_servers {
                let details = ErrorDetails::with_error_info(reason, "usher", HashMap::new());
                let message = format!("no server takes the meeting: {}", reason.to_lowercase());
                return Err(Status::with_error_details(Code::Unavailable, message, details));
            }
            let standing = state.table.meeting(&key).cloned().and_then(|route| {
                let server = state.table.server(&route.server).cloned()?;
                let routable = server.health != Health::Offline && server.admin != AdminState::Disabled;
                routable.then_some((route, server))
            });
            if let Some((route, server)) = standing.filter(|_| !request.supersede) {
                let own = state.tokens.get(&key) == Some(&request.token);
                return Ok(v1::PlaceMeetingResponse {
                    meeting: Some((&route).into()),
                    server: Some((&server).into()),
                    existing: !own,
                    token: if own { request.token } else { String::new() },
                    revision: Some(state.table.revision().into()),
                });
            }
            let server = match request.parent_meeting_id.as_str() {
                "" => state.choose(&request.excluded_servers),
                parent => {
                    let parent = MeetingKey::new(key.tenant.clone(), parent.parse().expect("is an id"));
                    let home = state.table.meeting(&parent).map(|parent| parent.server.clone());
                    home.and_then(|home| state.table.server(&home).cloned())
                }
            };
            let server = server.ok_or_else(|| Status::resource_exhausted("no_server_healthy"))?;
            state.tokens.insert(key.clone(), request.token.clone());
            let refused = &request.refused_voice_bridges;
            let mut numbers = state.numbers.iter().filter(|number| !refused.contains(&number.number()));
            let route = MeetingRoute {
                key: key.clone(),
                server: server.id.clone(),
                state: RouteState::Pending,
                // Breakout rooms get no voice bridge from Usher.
                voice_bridge: numbers.next().copied().filter(|_| request.parent_meeting_id.is_empty()),
            };
            state.set_meeting(&key, Some(route.clone()));
            Ok(v1::PlaceMeetingResponse {
                meeting: Some((&route).into()),
                server: Some((&server).into()),
                token: request.token,
                existing: false,
                revision: Some(state.table.revision().into()),
            })
        })
        .await
    }

    async fn confirm_meeting(
        &self,
        request: Request<v1::ConfirmMeetingRequest>,
    ) -> Result<Response<v1::ConfirmMeetingResponse>, Status> {
        self.answer(move |plane| {
            let request = request.into_inner();
            let key: MeetingKey = request.key.expect("is set").try_into().expect("is a key");
            let mut state = plane.note(Heard::Confirmed {
                server: request.server_id.clone(),
                token: request.token,
                internal_id: request.internal_id.clone(),
            })?;
            let routed = state.routed;
            if routed {
                state.tokens.remove(&key);
                let route = MeetingRoute {
                    key: key.clone(),
                    server: ServerId::parse(&request.server_id).expect("is an id"),
                    voice_bridge: state.table.meeting(&key).and_then(|route| route.voice_bridge),
                    state: RouteState::Active(
                        InternalMeetingId::parse(&request.internal_id).expect("is an id"),
                    ),
                };
                state.set_meeting(&key, Some(route));
            }
            let revision = Some(state.table.revision().into());
            Ok(v1::ConfirmMeetingResponse { routed, revision })
        })
        .await
    }

    async fn abandon_meeting(
        &self,
        request: Request<v1::AbandonMeetingRequest>,
    ) -> Result<Response<v1::AbandonMeetingResponse>, Status> {
        self.answer(move |plane| {
            let request = request.into_inner();
            let definite = request.certainty() == v1::AbandonCertainty::Definite;
            let key: MeetingKey = request.key.expect("is set").try_into().expect("is a key");
            let (server, token) = (request.server_id, request.token);
            let mut state =
                plane.note(Heard::Abandoned { server: server.clone(), token: token.clone(), definite })?;
            let placed = state.table.meeting(&key).is_some_and(|meeting| meeting.server.as_str() == server);
            if placed && state.tokens.get(&key) == Some(&token) {
                state.tokens.remove(&key);
                state.set_meeting(&key, None);
            }
            Ok(v1::AbandonMeetingResponse {})
        })
        .await
    }

    async fn resolve_meeting(
        &self,
        request: Request<v1::ResolveMeetingRequest>,
    ) -> Result<Response<v1::ResolveMeetingResponse>, Status> {
        self.answer(move |plane| {
            let key: MeetingKey = request.into_inner().key.expect("is set").try_into().expect("is a key");
            let state = plane.note(Heard::Resolved)?;
            let is_named = |meeting: &&MeetingRoute| {
                let instance = match &meeting.state {
                    RouteState::Active(instance) => instance.as_str(),
                    RouteState::Pending => return false,
                };
                meeting.key.tenant == key.tenant && instance == key.meeting.as_str()
            };
            let meeting = state.table.meeting(&key).or_else(|| state.table.meetings().find(is_named));
            let server = meeting.and_then(|meeting| state.table.server(&meeting.server));
            let pending = meeting.is_some_and(|meeting| meeting.state == RouteState::Pending);
            let key = meeting.map_or(&key, |meeting| &meeting.key);
            let token = state.tokens.get(key).filter(|_| pending);
            Ok(v1::ResolveMeetingResponse {
                token: token.cloned().unwrap_or_default(),
                meeting: meeting.map(Into::into),
                server: server.map(Into::into),
                revision: Some(state.table.revision().into()),
            })
        })
        .await
    }

    async fn report_end(
        &self,
        request: Request<v1::ReportEndRequest>,
    ) -> Result<Response<v1::ReportEndResponse>, Status> {
        self.answer(move |plane| {
            let request = request.into_inner();
            let key: MeetingKey = request.key.expect("is set").try_into().expect("is a key");
            let mut state = plane.note(Heard::Ended {
                meeting: key.meeting.to_string(),
                internal_id: request.internal_id,
                token: request.token,
                unsent: request.unsent,
            })?;
            state.set_meeting(&key, None);
            Ok(v1::ReportEndResponse { revision: Some(state.table.revision().into()) })
        })
        .await
    }

    async fn report_failure(
        &self,
        request: Request<v1::ReportFailureRequest>,
    ) -> Result<Response<v1::ReportFailureResponse>, Status> {
        self.answer(move |plane| {
            let request = request.into_inner();
            let callers = request.failed_callers.into_iter();
            drop(plane.note(Heard::Failure {
                server: request.server_id,
                call: request.call,
                callers: callers.map(|caller| (caller.tenant, caller.meeting_id)).collect(),
                elsewhere: request.succeeds_elsewhere,
            })?);
            Ok(v1::ReportFailureResponse {})
        })
        .await
    }
}

#[tonic::async_trait]
impl CallbackService for FakePlane {
    async fn get_callback_key(
        &self,
        _: Request<v1::GetCallbackKeyRequest>,
    ) -> Result<Response<v1::GetCallbackKeyResponse>, Status> {
        self.answer(|plane| {
            plane.keys_asked.fetch_add(1, Ordering::SeqCst);
            let key = CallbackKey::encode([plane.key.load(Ordering::SeqCst); 32]).expose().to_owned();
            Ok(v1::GetCallbackKeyResponse { key })
        })
        .await
    }

    async fn accept_callback(
        &self,
        request: Request<v1::AcceptCallbackRequest>,
    ) -> Result<Response<v1::AcceptCallbackResponse>, Status> {
        self.answer(move |plane| {
            let request = request.into_inner();
            let tenant = request.key.clone().unwrap_or_default().tenant;
            let state = plane.note(Heard::Callback(request))?;
            if state.no_share == Some(tenant.as_str()) {
                return Err(Status::resource_exhausted("its share is taken"));
            }
            Ok(v1::AcceptCallbackResponse {})
        })
        .await
    }
}
