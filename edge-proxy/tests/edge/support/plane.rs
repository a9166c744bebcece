//! A fake control plane that keeps its records in memory and implements the generated services.

mod hooks;
mod services;

use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering},
    },
};

use tokio::{
    net::TcpListener,
    sync::{mpsc, watch},
};
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::CancellationToken;
use tonic::{Response, Status, transport::Server};
use usher_model::{
    id::ServerId,
    meeting::MeetingKey,
    revision::Revision,
    routing::{MeetingRoute, RoutingDelta, RoutingTable, ServerRoute, TenantRoute},
    server::{AdminState, Health},
    voice::VoiceBridge,
};
use usher_proto::{
    SharedFrame,
    v1::{
        self, StreamRoutesResponse, callback_service_server::CallbackServiceServer,
        hook_service_server::HookServiceServer, placement_service_server::PlacementServiceServer,
        routing_service_server::RoutingServiceServer, stream_routes_response::Message as ToEdge,
    },
};
use usher_runtime::tasks::TaskGroup;

use super::eventually;

/// A message from an edge.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Heard {
    Hello { had_table: bool },
    Resync(String),
    Shed(Vec<(String, u64)>),
    Placed { meeting: String, token: String },
    Confirmed { server: String, token: String, internal_id: String },
    Abandoned { server: String, token: String, definite: bool },
    Resolved,
    Ended { meeting: String, internal_id: String, token: String, unsent: bool },
    Failure { server: String, call: String, callers: Vec<(String, String)>, elsewhere: bool },
    Callback(v1::AcceptCallbackRequest),
    Events(v1::AcceptEventsRequest),
}

/// Returns a filter for reports of the end of a meeting.
pub(crate) fn ended(id: &str) -> impl Fn(&Heard) -> bool {
    move |heard| matches!(heard, Heard::Ended { meeting, .. } if meeting == id)
}

struct State {
    table: RoutingTable,
    streams: Vec<mpsc::Sender<Result<SharedFrame, Status>>>,
    heard: Vec<Heard>,
    acked: Option<Revision>,
    /// The tokens of unconfirmed records.
    tokens: HashMap<MeetingKey, String>,
    /// The hooks that applications registered, by their names.
    hooks: BTreeMap<String, v1::Hook>,
    /// The answer to confirmations, `true` by default.
    routed: bool,
    /// Whether no edge gets the changes, as over a slow stream.
    silent: bool,
    /// The voice bridges: each create gets the first that no server refused to it.
    numbers: Vec<VoiceBridge>,
    /// The reason why no breakout room is placed, if there is one.
    no_rooms: Option<&'static str>,
    /// The largest number of webhooks, if there is one.
    hooks_max: Option<usize>,
    /// The reason why no meeting is placed now, if there is one.
    no_servers: Option<&'static str>,
    /// The tenant whose callbacks have no share of the space, if there is one.
    no_share: Option<&'static str>,
}

/// The fake control plane; clones share its state.
#[derive(Clone)]
pub(crate) struct FakePlane {
    state: Arc<Mutex<State>>,
    tasks: TaskGroup,
    killed: Arc<AtomicBool>,
    /// Whether it is frozen: it then accepts connections and answers no request.
    frozen: watch::Sender<bool>,
    /// The number of requests that arrived while it was frozen.
    missed: Arc<AtomicUsize>,
    /// The number of routing streams that were opened here.
    opened: Arc<AtomicUsize>,
    /// The seed of the key that seals callback addresses.
    key: Arc<AtomicU8>,
    /// The number of requests for that key.
    keys_asked: Arc<AtomicUsize>,
    stop: CancellationToken,
    pub(crate) address: SocketAddr,
}

impl FakePlane {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("is bound");
        Self::with_table(RoutingTable::empty(Revision::new(7, 1)), listener, address)
    }

    /// Changes the key of callback addresses, as after the loss of the store.
    pub(crate) fn lose_callback_key(&self) {
        self.key.fetch_add(1, Ordering::SeqCst);
    }

    fn with_table(table: RoutingTable, listener: TcpListener, address: SocketAddr) -> Self {
        let state = State {
            table,
            streams: Vec::new(),
            heard: Vec::new(),
            acked: None,
            tokens: HashMap::new(),
            hooks: BTreeMap::new(),
            routed: true,
            silent: false,
            numbers: Vec::new(),
            no_rooms: None,
            hooks_max: None,
            no_servers: None,
            no_share: None,
        };
        Self::serve(Arc::new(Mutex::new(state)), listener, address)
    }

    fn serve(state: Arc<Mutex<State>>, listener: TcpListener, address: SocketAddr) -> Self {
        let (tasks, stop) = (TaskGroup::new(), CancellationToken::new());
        let plane = Self {
            state,
            tasks: tasks.clone(),
            killed: Arc::default(),
            frozen: watch::Sender::new(false),
            missed: Arc::default(),
            opened: Arc::default(),
            key: Arc::new(AtomicU8::new(5)),
            keys_asked: Arc::default(),
            stop: stop.clone(),
            address,
        };
        let server = Server::builder()
            .add_service(RoutingServiceServer::new(plane.clone()))
            .add_service(PlacementServiceServer::new(plane.clone()))
            .add_service(CallbackServiceServer::new(plane.clone()))
            .add_service(HookServiceServer::new(plane.clone()))
            .serve_with_incoming_shutdown(TcpListenerStream::new(listener), stop.cancelled_owned());
        tasks.spawn("fake-plane", |_| async move { Ok(server.await?) });
        plane
    }

    /// Returns another replica of the same store.
    pub(crate) async fn replica(&self) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("is bound");
        Self::serve(Arc::clone(&self.state), listener, address)
    }

    /// Stops as a killed process does: streams break and calls fail.
    pub(crate) async fn kill(&self) {
        self.state().streams.clear();
        self.killed.store(true, Ordering::SeqCst);
        self.frozen.send_replace(false);
        self.stop.cancel();
        self.tasks.shutdown().await;
    }

    /// Stops as a frozen process does, or continues. Requests from the time in between are answered
    /// then, whether their callers still wait or not.
    pub(crate) fn freeze(&self, frozen: bool) {
        self.frozen.send_replace(frozen);
    }

    /// Returns the number of requests that arrived while it was frozen.
    pub(crate) fn missed(&self) -> usize {
        self.missed.load(Ordering::SeqCst)
    }

    /// Returns the number of requests for the key of callback addresses.
    pub(crate) fn keys_asked(&self) -> usize {
        self.keys_asked.load(Ordering::SeqCst)
    }

    /// Returns the number of routing streams that were opened here.
    pub(crate) fn opened(&self) -> usize {
        self.opened.load(Ordering::SeqCst)
    }

    /// Starts in place of a killed one, with its table.
    pub(crate) async fn restart(&self) -> Self {
        let bound = Mutex::new(None);
        eventually("the port is free", async || {
            let listener = TcpListener::bind(self.address).await.ok();
            let free = listener.is_some();
            *bound.lock().expect("no test panics here") = listener;
            free
        })
        .await;
        let listener = bound.into_inner().expect("no test panics here").expect("is bound");
        Self::with_table(self.state().table.clone(), listener, self.address)
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

    /// Sets the voice bridges for the following creates.
    pub(crate) fn give_numbers(&self, numbers: &[u32]) {
        self.state().numbers = numbers.iter().filter_map(|number| VoiceBridge::new(*number)).collect();
    }

    /// Refuses breakout rooms from now on for this reason, or accepts them again.
    pub(crate) fn refuse_rooms(&self, reason: Option<&'static str>) {
        self.state().no_rooms = reason;
    }

    /// Refuses webhooks beyond this number.
    pub(crate) fn set_hooks_max(&self, max: usize) {
        self.state().hooks_max = Some(max);
    }

    /// Refuses placements from now on for this passing reason, or accepts them again.
    pub(crate) fn decline_placements(&self, reason: Option<&'static str>) {
        self.state().no_servers = reason;
    }

    /// Refuses the callbacks of a tenant from now on for lack of space.
    pub(crate) fn refuse_share(&self, tenant: &'static str) {
        self.state().no_share = Some(tenant);
    }

    /// Sets the answer to confirmations: whether the id is routed to the confirmed instance.
    pub(crate) fn route_confirmed(&self, routed: bool) {
        self.state().routed = routed;
    }

    /// Sends no change to any edge from now on.
    pub(crate) fn fall_silent(&self) {
        self.state().silent = true;
    }

    /// Changes the table and sends the delta to every edge; with `lost`, to no edge.
    pub(crate) fn change(&self, lost: bool, edit: impl FnOnce(&mut RoutingDelta)) {
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

    /// Answers once it is not frozen, even if the caller has gone away.
    async fn answer<T: Send + 'static>(
        &self,
        answer: impl FnOnce(&Self) -> Result<T, Status> + Send + 'static,
    ) -> Result<Response<T>, Status> {
        let (plane, mut frozen) = (self.clone(), self.frozen.subscribe());
        if *frozen.borrow() {
            self.missed.fetch_add(1, Ordering::SeqCst);
        }
        let answering = self.tasks.spawn_short("answer", async move {
            let _ = frozen.wait_for(|frozen| !frozen).await;
            answer(&plane)
        });
        answering.await.map_err(|error| Status::internal(error.to_string()))?.map(Response::new)
    }

    fn note(&self, heard: Heard) -> Result<MutexGuard<'_, State>, Status> {
        if self.killed.load(Ordering::SeqCst) {
            return Err(Status::unavailable("is killed"));
        }
        let mut state = self.state();
        state.heard.push(heard);
        Ok(state)
    }
}

impl State {
    fn change(&mut self, lost: bool, edit: impl FnOnce(&mut RoutingDelta)) {
        let base = self.table.revision();
        let mut delta = RoutingDelta::new(base, Revision::new(base.epoch, base.seq + 1));
        edit(&mut delta);
        self.table.apply(&delta).expect("follows the table");
        if !lost && !self.silent {
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
