//! A stub control plane: it streams one table and never changes it. Placements choose the first
//! server, and their confirmations are in the table already.

use std::{net::SocketAddr, pin::Pin, time::Duration};

use tokio::{net::TcpListener, sync::mpsc, time::interval};
use tokio_stream::{
    Stream,
    wrappers::{ReceiverStream, TcpListenerStream},
};
use tonic::{Request, Response, Status, Streaming, transport::Server};
use usher_model::{callback::CallbackKey, meeting::MeetingKey, routing::RoutingTable};
use usher_proto::{
    SharedFrame,
    v1::{
        self, StreamRoutesRequest, StreamRoutesResponse,
        callback_service_server::{CallbackService, CallbackServiceServer},
        hook_service_server::{HookService, HookServiceServer},
        placement_service_server::{PlacementService, PlacementServiceServer},
        routing_service_server::{RoutingService, RoutingServiceServer},
        stream_routes_response::Message,
    },
};
use usher_runtime::tasks::TaskGroup;

use super::fleet::CANARY;

/// The time between two heartbeats of the stream.
const HEARTBEAT: Duration = Duration::from_millis(500);

/// The key of callback addresses.
pub(super) fn key() -> CallbackKey {
    CallbackKey::parse(&CallbackKey::encode([5; 32])).expect("is a key")
}

/// Starts a control plane and returns its address.
pub(super) async fn start(table: RoutingTable, tasks: &TaskGroup) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("is bound");
    let plane = StubPlane { table, tasks: tasks.clone() };
    tasks.spawn("stub control plane", |stop| async move {
        let served = Server::builder()
            .add_service(RoutingServiceServer::new(plane.clone()))
            .add_service(PlacementServiceServer::new(plane.clone()))
            .add_service(CallbackServiceServer::new(plane.clone()))
            .add_service(HookServiceServer::new(plane))
            .serve_with_incoming_shutdown(TcpListenerStream::new(listener), stop.cancelled_owned());
        Ok(served.await?)
    });
    address
}

#[derive(Clone)]
struct StubPlane {
    table: RoutingTable,
    tasks: TaskGroup,
}

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl RoutingService for StubPlane {
    type StreamRoutesStream = Pin<Box<dyn Stream<Item = Result<SharedFrame, Status>> + Send>>;

    async fn stream_routes(
        &self,
        request: Request<Streaming<StreamRoutesRequest>>,
    ) -> Answer<Self::StreamRoutesStream> {
        let (frames, stream) = mpsc::channel(16);
        let (table, mut said) = (self.table.clone(), request.into_inner());
        self.tasks.spawn_short("stream", async move {
            let mut beat = interval(HEARTBEAT);
            for message in snapshot(&table) {
                send(&frames, Some(message)).await;
            }
            loop {
                tokio::select! {
                    _ = beat.tick() => send(&frames, None).await,
                    message = said.message() => match message {
                        Ok(Some(_)) => {}
                        _ => return,
                    },
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(stream))))
    }
}

async fn send(frames: &mpsc::Sender<Result<SharedFrame, Status>>, message: Option<Message>) {
    let frame = SharedFrame::encode_once(&StreamRoutesResponse { message });
    let _ = frames.send(Ok(frame)).await; // the edge may have closed the stream
}

fn snapshot(table: &RoutingTable) -> [Message; 3] {
    let revision = Some(table.revision().into());
    [
        Message::SnapshotBegin(v1::SnapshotBegin {
            revision,
            servers: table.servers().len() as u64,
            tenants: table.tenants().len() as u64,
            meetings: table.meeting_count() as u64,
            shrink_allowed: true,
        }),
        Message::SnapshotChunk(v1::SnapshotChunk {
            servers: table.servers().map(Into::into).collect(),
            tenants: table.tenants().map(Into::into).collect(),
            meetings: table.meetings().map(Into::into).collect(),
        }),
        Message::SnapshotEnd(v1::SnapshotEnd { revision, digest: table.digest().0 }),
    ]
}

fn key_of(key: Option<v1::MeetingKey>) -> Result<MeetingKey, Status> {
    let key = key.ok_or_else(|| Status::invalid_argument("no key"))?;
    key.try_into().map_err(|_| Status::invalid_argument("no id"))
}

#[tonic::async_trait]
impl PlacementService for StubPlane {
    async fn place_meeting(
        &self,
        request: Request<v1::PlaceMeetingRequest>,
    ) -> Answer<v1::PlaceMeetingResponse> {
        let request = request.into_inner();
        let key = key_of(request.key)?;
        let excluded = |id: &str| request.excluded_servers.iter().any(|excluded| excluded == id);
        let server = self.table.servers().find(|server| !excluded(server.id.as_str()));
        let server = server.ok_or_else(|| Status::resource_exhausted("no_server_healthy"))?;
        let known = self.table.meeting(&key);
        let placed = usher_model::routing::MeetingRoute {
            key,
            server: server.id.clone(),
            state: usher_model::routing::RouteState::Pending,
            voice_bridge: None,
        };
        Ok(Response::new(v1::PlaceMeetingResponse {
            meeting: Some(known.unwrap_or(&placed).into()),
            server: Some(server.into()),
            token: request.token,
            existing: false,
            revision: Some(self.table.revision().into()),
        }))
    }

    async fn confirm_meeting(
        &self,
        _: Request<v1::ConfirmMeetingRequest>,
    ) -> Answer<v1::ConfirmMeetingResponse> {
        let revision = Some(self.table.revision().into());
        Ok(Response::new(v1::ConfirmMeetingResponse { routed: true, revision }))
    }

    async fn abandon_meeting(
        &self,
        _: Request<v1::AbandonMeetingRequest>,
    ) -> Answer<v1::AbandonMeetingResponse> {
        Ok(Response::new(v1::AbandonMeetingResponse {}))
    }

    async fn resolve_meeting(
        &self,
        request: Request<v1::ResolveMeetingRequest>,
    ) -> Answer<v1::ResolveMeetingResponse> {
        let key = key_of(request.into_inner().key)?;
        let meeting = self.table.meeting(&key);
        let server = meeting.and_then(|meeting| self.table.server(&meeting.server));
        Ok(Response::new(v1::ResolveMeetingResponse {
            token: String::new(),
            meeting: meeting.map(Into::into),
            server: server.map(Into::into),
            revision: Some(self.table.revision().into()),
        }))
    }

    async fn report_end(&self, _: Request<v1::ReportEndRequest>) -> Answer<v1::ReportEndResponse> {
        Ok(Response::new(v1::ReportEndResponse { revision: Some(self.table.revision().into()) }))
    }

    async fn report_failure(
        &self,
        _: Request<v1::ReportFailureRequest>,
    ) -> Answer<v1::ReportFailureResponse> {
        Ok(Response::new(v1::ReportFailureResponse {}))
    }
}

#[tonic::async_trait]
impl CallbackService for StubPlane {
    async fn get_callback_key(
        &self,
        _: Request<v1::GetCallbackKeyRequest>,
    ) -> Answer<v1::GetCallbackKeyResponse> {
        let key = CallbackKey::encode([5; 32]).expose().to_owned();
        Ok(Response::new(v1::GetCallbackKeyResponse { key }))
    }

    async fn accept_callback(
        &self,
        _: Request<v1::AcceptCallbackRequest>,
    ) -> Answer<v1::AcceptCallbackResponse> {
        Ok(Response::new(v1::AcceptCallbackResponse {}))
    }
}

#[tonic::async_trait]
impl HookService for StubPlane {
    async fn create_hook(&self, request: Request<v1::CreateHookRequest>) -> Answer<v1::CreateHookResponse> {
        let request = request.into_inner();
        let hook =
            request.hook.map(|hook| v1::Hook { name: format!("{}/hooks/id-1", request.parent), ..hook });
        Ok(Response::new(v1::CreateHookResponse { hook, existing: false }))
    }

    /// Lists a hook of the tenant, and for the other tenant one of its own.
    async fn list_hooks(&self, request: Request<v1::ListHooksRequest>) -> Answer<v1::ListHooksResponse> {
        let parent = request.into_inner().parent;
        let word = if parent.contains(CANARY) { CANARY } else { "app" };
        let hook = v1::Hook {
            name: format!("{parent}/hooks/id-1"),
            callback_url: format!("https://{word}.example.org/hook"),
            ..v1::Hook::default()
        };
        Ok(Response::new(v1::ListHooksResponse { hooks: vec![hook], ..Default::default() }))
    }

    async fn get_hook(&self, _: Request<v1::GetHookRequest>) -> Answer<v1::GetHookResponse> {
        Ok(Response::new(v1::GetHookResponse::default()))
    }

    async fn delete_hook(&self, _: Request<v1::DeleteHookRequest>) -> Answer<v1::DeleteHookResponse> {
        Ok(Response::new(v1::DeleteHookResponse {}))
    }

    async fn accept_events(&self, _: Request<v1::AcceptEventsRequest>) -> Answer<v1::AcceptEventsResponse> {
        Ok(Response::new(v1::AcceptEventsResponse {}))
    }
}
