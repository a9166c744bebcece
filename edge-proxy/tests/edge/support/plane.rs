//! A control plane that keeps its records in memory: a double of the generated services.

use std::{
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{net::TcpListener, sync::mpsc};
use tokio_stream::{
    Stream, StreamExt,
    wrappers::{ReceiverStream, TcpListenerStream},
};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming, transport::Server};
use usher_common::{
    id::{InternalMeetingId, ServerId},
    meeting::MeetingKey,
    proto::{
        SharedFrame,
        v1::{
            self, StreamRoutesRequest, StreamRoutesResponse,
            placement_service_server::{PlacementService, PlacementServiceServer},
            routing_service_server::{RoutingService, RoutingServiceServer},
            stream_routes_request::Message as FromEdge,
            stream_routes_response::Message as ToEdge,
        },
    },
    revision::Revision,
    routing::{Delta, MeetingRoute, RouteState, RoutingTable, ServerRoute, TenantRoute},
    runtime::tasks::Tasks,
    server::{AdminState, Health},
};

/// What an edge said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Heard {
    Hello { had_table: bool },
    Resync(String),
    Placed(String),
    Confirmed { server: String, token: String, internal_id: String },
    Abandoned { server: String, definite: bool },
    Resolved,
    Ended(String),
    Failure { server: String, call: String },
}

struct State {
    table: RoutingTable,
    streams: Vec<mpsc::Sender<Result<SharedFrame, Status>>>,
    heard: Vec<Heard>,
    acked: Option<Revision>,
    tokens: u64,
    /// Answers that confirmations get; `true` when none is set.
    routed: bool,
}

/// The double; clones are the same.
#[derive(Clone)]
pub(crate) struct FakePlane {
    state: Arc<Mutex<State>>,
    tasks: Tasks,
    silent: Arc<AtomicBool>,
    stop: CancellationToken,
    pub(crate) address: SocketAddr,
}

impl FakePlane {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("is bound");
        Self::serve(RoutingTable::empty(Revision::new(7, 1)), listener, address)
    }

    fn serve(table: RoutingTable, listener: TcpListener, address: SocketAddr) -> Self {
        let state =
            State { table, streams: Vec::new(), heard: Vec::new(), acked: None, tokens: 0, routed: true };
        let (tasks, stop) = (Tasks::new(), CancellationToken::new());
        let plane = Self {
            state: Arc::new(Mutex::new(state)),
            tasks: tasks.clone(),
            silent: Arc::default(),
            stop: stop.clone(),
            address,
        };
        let server = Server::builder()
            .add_service(RoutingServiceServer::new(plane.clone()))
            .add_service(PlacementServiceServer::new(plane.clone()))
            .serve_with_incoming_shutdown(TcpListenerStream::new(listener), stop.cancelled_owned());
        tasks.spawn("fake-plane", |_| async move { Ok(server.await?) });
        plane
    }

    /// Stops as a killed process does: streams break, calls fail.
    pub(crate) async fn kill(&self) {
        self.state().streams.clear();
        self.silent.store(true, Ordering::SeqCst);
        self.stop.cancel();
        self.tasks.shutdown().await;
    }

    /// Takes the place of a killed one, with its table.
    pub(crate) async fn restart(&self) -> Self {
        let mut listener = TcpListener::bind(self.address).await;
        while listener.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
            listener = TcpListener::bind(self.address).await;
        }
        Self::serve(self.state().table.clone(), listener.expect("is bound"), self.address)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no test panics here")
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn heard(&self) -> Vec<Heard> {
        self.state().heard.clone()
    }

    pub(crate) fn count(&self, wanted: impl Fn(&Heard) -> bool) -> usize {
        self.state().heard.iter().filter(|heard| wanted(heard)).count()
    }

    pub(crate) fn revision(&self) -> Revision {
        self.state().table.revision()
    }

    pub(crate) fn acked(&self) -> Option<Revision> {
        self.state().acked
    }

    /// Lets confirmations say that the id lives elsewhere.
    pub(crate) fn route_confirmed(&self, routed: bool) {
        self.state().routed = routed;
    }

    /// Changes the table and tells every edge, or, with `lost`, no edge.
    pub(crate) fn change(&self, lost: bool, edit: impl FnOnce(&mut Delta)) {
        self.state().change(lost, edit);
    }

    pub(crate) fn set_server(&self, route: ServerRoute) {
        self.change(false, |delta| {
            delta.servers.insert(route.id.clone(), Some(route));
        });
    }

    pub(crate) fn alter_server(&self, id: &str, alter: impl FnOnce(&mut ServerRoute)) {
        let id = ServerId::parse(id).expect("is an id");
        let mut route = self.state().table.server(&id).expect("is known").clone();
        alter(&mut route);
        self.set_server(route);
    }

    pub(crate) fn set_tenant(&self, route: TenantRoute) {
        self.change(false, |delta| {
            delta.tenants.insert(route.id.clone(), Some(route));
        });
    }

    pub(crate) fn set_meeting(&self, route: MeetingRoute) {
        self.change(false, |delta| {
            delta.meetings.insert(route.key.clone(), Some(route));
        });
    }

    pub(crate) fn meeting(&self, key: &MeetingKey) -> Option<MeetingRoute> {
        self.state().table.meeting(key).cloned()
    }

    /// Sends a frame of the test's own to every edge.
    pub(crate) fn send(&self, message: ToEdge) {
        self.state().send(message);
    }

    /// Sends the whole table to every edge.
    pub(crate) fn send_snapshot(&self, table: &RoutingTable, shrink_allowed: bool) {
        for message in snapshot(table, shrink_allowed) {
            self.send(message);
        }
    }

    pub(crate) fn table(&self) -> RoutingTable {
        self.state().table.clone()
    }

    fn note(&self, heard: Heard) -> Result<MutexGuard<'_, State>, Status> {
        if self.silent.load(Ordering::SeqCst) {
            return Err(Status::unavailable("is killed"));
        }
        let mut state = self.state();
        state.heard.push(heard);
        Ok(state)
    }
}

impl State {
    fn change(&mut self, lost: bool, edit: impl FnOnce(&mut Delta)) {
        let base = self.table.revision();
        let mut delta = Delta::new(base, Revision::new(base.epoch, base.seq + 1));
        edit(&mut delta);
        self.table.apply(&delta).expect("follows the table");
        if !lost {
            self.send(ToEdge::Delta((&delta).into()));
        }
    }

    fn send(&mut self, message: ToEdge) {
        let frame = SharedFrame::encode_once(&StreamRoutesResponse { message: Some(message) });
        self.streams.retain(|stream| stream.try_send(Ok(frame.clone())).is_ok());
    }

    fn set_meeting(&mut self, key: &MeetingKey, route: Option<MeetingRoute>) {
        self.change(false, |delta| {
            delta.meetings.insert(key.clone(), route);
        });
    }

    fn choose(&self, excluded: &[String]) -> Option<ServerRoute> {
        let loads = |server: &ServerRoute| self.table.meetings().filter(|m| m.server == server.id).count();
        self.table
            .servers()
            .filter(|server| server.admin == AdminState::Enabled && server.health == Health::Online)
            .filter(|server| !excluded.iter().any(|id| id == server.id.as_str()))
            .min_by_key(|server| loads(server))
            .cloned()
    }
}

fn snapshot(table: &RoutingTable, shrink_allowed: bool) -> Vec<ToEdge> {
    let revision = Some(table.revision().into());
    vec![
        ToEdge::SnapshotBegin(v1::SnapshotBegin {
            revision,
            servers: table.servers().len() as u64,
            tenants: table.tenants().len() as u64,
            meetings: table.meeting_count() as u64,
            shrink_allowed,
        }),
        ToEdge::SnapshotChunk(v1::SnapshotChunk {
            servers: table.servers().map(Into::into).collect(),
            tenants: table.tenants().map(Into::into).collect(),
            meetings: table.meetings().map(Into::into).collect(),
        }),
        ToEdge::SnapshotEnd(v1::SnapshotEnd { revision, digest: table.digest().0 }),
    ]
}

#[tonic::async_trait]
impl RoutingService for FakePlane {
    type StreamRoutesStream = Pin<Box<dyn Stream<Item = Result<SharedFrame, Status>> + Send>>;

    async fn stream_routes(
        &self,
        request: Request<Streaming<StreamRoutesRequest>>,
    ) -> Result<Response<Self::StreamRoutesStream>, Status> {
        let (sender, frames) = mpsc::channel(1024);
        let (plane, mut said) = (self.clone(), request.into_inner());
        self.tasks.spawn_short("edge", async move {
            while let Some(Ok(message)) = said.next().await {
                match message.message {
                    Some(FromEdge::Hello(hello)) => {
                        let Ok(mut state) = plane.note(Heard::Hello { had_table: hello.have.is_some() })
                        else {
                            return;
                        };
                        state.streams.push(sender.clone());
                        for message in snapshot(&state.table.clone(), true) {
                            state.send(message);
                        }
                    }
                    Some(FromEdge::Ack(ack)) => plane.state().acked = ack.applied.map(Into::into),
                    Some(FromEdge::Resync(resync)) => {
                        let Ok(mut state) = plane.note(Heard::Resync(resync.reason)) else { return };
                        for message in snapshot(&state.table.clone(), true) {
                            state.send(message);
                        }
                    }
                    None => {}
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(frames))))
    }
}

#[tonic::async_trait]
impl PlacementService for FakePlane {
    async fn place_meeting(
        &self,
        request: Request<v1::PlaceMeetingRequest>,
    ) -> Result<Response<v1::PlaceMeetingResponse>, Status> {
        let request = request.into_inner();
        let key: MeetingKey = request.key.expect("is set").try_into().expect("is a key");
        let mut state = self.note(Heard::Placed(key.meeting.to_string()))?;
        let standing = state.table.meeting(&key).cloned().and_then(|route| {
            let server = state.table.server(&route.server).cloned()?;
            let routable = server.health != Health::Offline && server.admin != AdminState::Disabled;
            routable.then_some((route, server))
        });
        if let Some((route, server)) = standing.filter(|_| !request.supersede) {
            return Ok(Response::new(v1::PlaceMeetingResponse {
                meeting: Some((&route).into()),
                server: Some((&server).into()),
                existing: true,
                ..v1::PlaceMeetingResponse::default()
            }));
        }
        let server = state.choose(&request.excluded_servers);
        let server = server.ok_or_else(|| Status::resource_exhausted("no_server_healthy"))?;
        state.tokens += 1;
        let route = MeetingRoute { key: key.clone(), server: server.id.clone(), state: RouteState::Pending };
        state.set_meeting(&key, Some(route.clone()));
        Ok(Response::new(v1::PlaceMeetingResponse {
            meeting: Some((&route).into()),
            server: Some((&server).into()),
            token: format!("token-{}", state.tokens),
            existing: false,
            revision: Some(state.table.revision().into()),
        }))
    }

    async fn confirm_meeting(
        &self,
        request: Request<v1::ConfirmMeetingRequest>,
    ) -> Result<Response<v1::ConfirmMeetingResponse>, Status> {
        let request = request.into_inner();
        let key: MeetingKey = request.key.expect("is set").try_into().expect("is a key");
        let mut state = self.note(Heard::Confirmed {
            server: request.server_id.clone(),
            token: request.token,
            internal_id: request.internal_id.clone(),
        })?;
        let routed = state.routed;
        if routed {
            let route = MeetingRoute {
                key: key.clone(),
                server: ServerId::parse(&request.server_id).expect("is an id"),
                state: RouteState::Active(InternalMeetingId::parse(&request.internal_id).expect("is an id")),
            };
            state.set_meeting(&key, Some(route));
        }
        let revision = Some(state.table.revision().into());
        Ok(Response::new(v1::ConfirmMeetingResponse { routed, revision }))
    }

    async fn abandon_meeting(
        &self,
        request: Request<v1::AbandonMeetingRequest>,
    ) -> Result<Response<v1::AbandonMeetingResponse>, Status> {
        let request = request.into_inner();
        let definite = request.certainty() == v1::AbandonCertainty::Definite;
        let key: MeetingKey = request.key.expect("is set").try_into().expect("is a key");
        let mut state = self.note(Heard::Abandoned { server: request.server_id, definite })?;
        state.set_meeting(&key, None);
        Ok(Response::new(v1::AbandonMeetingResponse {}))
    }

    async fn resolve_meeting(
        &self,
        request: Request<v1::ResolveMeetingRequest>,
    ) -> Result<Response<v1::ResolveMeetingResponse>, Status> {
        let key: MeetingKey = request.into_inner().key.expect("is set").try_into().expect("is a key");
        let state = self.note(Heard::Resolved)?;
        let meeting = state.table.meeting(&key);
        let server = meeting.and_then(|meeting| state.table.server(&meeting.server));
        Ok(Response::new(v1::ResolveMeetingResponse {
            meeting: meeting.map(Into::into),
            server: server.map(Into::into),
            revision: Some(state.table.revision().into()),
        }))
    }

    async fn report_end(
        &self,
        request: Request<v1::ReportEndRequest>,
    ) -> Result<Response<v1::ReportEndResponse>, Status> {
        let key: MeetingKey = request.into_inner().key.expect("is set").try_into().expect("is a key");
        let mut state = self.note(Heard::Ended(key.meeting.to_string()))?;
        state.set_meeting(&key, None);
        Ok(Response::new(v1::ReportEndResponse { revision: Some(state.table.revision().into()) }))
    }

    async fn report_failure(
        &self,
        request: Request<v1::ReportFailureRequest>,
    ) -> Result<Response<v1::ReportFailureResponse>, Status> {
        let request = request.into_inner();
        drop(self.note(Heard::Failure { server: request.server_id, call: request.call })?);
        Ok(Response::new(v1::ReportFailureResponse {}))
    }
}
