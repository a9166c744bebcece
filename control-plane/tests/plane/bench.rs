//! One control plane, its servers, and its clients.

use std::{
    future::Future,
    net::SocketAddr,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use tonic::{Code, Status, transport::Channel};
use usher_bbb::parse::{CreateReply, ServerReply, create_reply};
use usher_bbb_sim::{BbbSim, SimOptions};
use usher_control_plane::{app::RunningControlPlane, ports::Store, store::embedded::EmbeddedStore};
use usher_model::settings::Settings;
use usher_proto::v1::{self, *};
use usher_runtime::{ops::OpsHandle, tasks::TaskGroup};

pub(crate) use v1::{
    edge_service_client::EdgeServiceClient, fleet_service_client::FleetServiceClient,
    meeting_service_client::MeetingServiceClient, placement_service_client::PlacementServiceClient,
    routing_service_client::RoutingServiceClient, server_service_client::ServerServiceClient,
};

/// Longest wait of any condition; a passing test never waits that long.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// Polling interval in these tests.
pub(crate) const INTERVAL: Duration = Duration::from_millis(300);

/// A running control plane with its clients.
pub(crate) struct Bench {
    pub(crate) plane: RunningControlPlane,
    pub(crate) ops: OpsHandle,
    pub(crate) tasks: TaskGroup,
    pub(crate) channel: Channel,
    pub(crate) sims: Vec<BbbSim>,
    pub(crate) http: reqwest::Client,
}

/// Returns settings with the proportions of the defaults, thirty times as fast.
pub(crate) fn settings() -> Settings {
    let mut settings = Settings::default();
    settings.addresses.control = SocketAddr::from(([127, 0, 0, 1], 0));
    settings.leader.ttl = Duration::from_secs(2);
    settings.health.interval = INTERVAL;
    settings.health.deadline = INTERVAL * 4 / 5;
    settings.health.connect_timeout = INTERVAL / 2;
    settings.health.unhealthy_after = INTERVAL * 5;
    settings.meetings.create_timeout = Duration::from_secs(1);
    settings.meetings.call_timeout = Duration::from_secs(1);
    settings.placement.slow_start = Duration::ZERO;
    settings
}

impl Bench {
    /// Starts a control plane on an empty store in memory, with servers that are online.
    pub(crate) async fn with_servers(count: usize) -> Self {
        Self::with(settings(), count).await
    }

    pub(crate) async fn with(settings: Settings, count: usize) -> Self {
        let store = EmbeddedStore::open(None).expect("opens in memory");
        let mut bench = Self::on(settings, Arc::new(store)).await;
        for _ in 0..count {
            let sim = BbbSim::start(SimOptions::new("server-secret")).await.expect("listens");
            bench.add(&format!("bbb{}", bench.sims.len() + 1), &sim, AdminState::Enabled).await;
            bench.sims.push(sim);
        }
        for number in 1..=count {
            bench.until_health(&format!("bbb{number}"), Health::Online).await;
        }
        bench
    }

    pub(crate) async fn on_disk(directory: &Path) -> Self {
        let store = EmbeddedStore::open(Some(directory)).expect("opens on disk");
        Self::on(settings(), Arc::new(store)).await
    }

    pub(crate) async fn on(settings: Settings, store: Arc<dyn Store>) -> Self {
        let (ops, tasks) = (OpsHandle::new(), TaskGroup::new());
        let plane = RunningControlPlane::start(&settings, store, &ops, &tasks).await.expect("starts");
        plane.ready().await;
        let endpoint = format!("http://{}", plane.grpc_addr());
        let channel = Channel::from_shared(endpoint).expect("is a URL").connect().await.expect("connects");
        let http = reqwest::Client::builder().no_proxy().build().expect("builds");
        Self { plane, ops, tasks, channel, sims: Vec::new(), http }
    }

    pub(crate) fn servers(&self) -> ServerServiceClient<Channel> {
        ServerServiceClient::new(self.channel.clone())
    }

    pub(crate) fn placement(&self) -> PlacementServiceClient<Channel> {
        PlacementServiceClient::new(self.channel.clone())
    }

    pub(crate) fn meetings(&self) -> MeetingServiceClient<Channel> {
        MeetingServiceClient::new(self.channel.clone())
    }

    pub(crate) async fn add(&self, id: &str, sim: &BbbSim, admin: AdminState) -> Server {
        let mut server = Server { url: sim.url(), secret: "server-secret".into(), ..Server::default() };
        server.set_admin_state(admin);
        let request = CreateServerRequest {
            server: Some(server),
            server_id: id.into(),
            validate_only: false,
            request_id: String::new(),
        };
        let created = self.servers().create_server(request).await.expect("is created");
        created.into_inner().server.expect("is shown")
    }

    pub(crate) async fn server(&self, id: &str) -> Server {
        let request = GetServerRequest { name: format!("servers/{id}"), view: 0 };
        let got = self.servers().get_server(request).await.expect("is known").into_inner();
        got.server.expect("is shown")
    }

    pub(crate) async fn until_health(&self, id: &str, health: Health) {
        until(&format!("{id} to be {health:?}"), async || {
            (self.server(id).await.health() == health).then_some(())
        })
        .await;
    }

    /// Places a meeting and confirms it as if a server had answered, without a call to one.
    pub(crate) async fn place(&self, id: &str) -> Result<PlaceMeetingResponse, Status> {
        let request = PlaceMeetingRequest { key: Some(key(id)), ..PlaceMeetingRequest::default() };
        self.placement().place_meeting(request).await.map(tonic::Response::into_inner)
    }

    /// Creates a meeting as an edge does: place, call the server, confirm. Returns its server.
    pub(crate) async fn create(&self, id: &str) -> String {
        let placed = self.place(id).await.expect("is placed");
        self.call_and_confirm(id, &placed).await
    }

    pub(crate) async fn call_and_confirm(&self, id: &str, placed: &PlaceMeetingResponse) -> String {
        let server = placed.server.clone().expect("names the server");
        let sim = self.sims.iter().find(|sim| sim.url() == server.url).expect("is one of ours");
        let reply = self.create_at(sim, id).await;
        let confirm = ConfirmMeetingRequest {
            key: Some(key(id)),
            server_id: server.id.clone(),
            token: placed.token.clone(),
            internal_id: reply.internal_id,
            create_time_ms: reply.create_time_ms,
            breakout: false,
        };
        let confirmed = self.placement().confirm_meeting(confirm).await.expect("is confirmed").into_inner();
        assert!(confirmed.routed);
        server.id
    }

    /// Calls `create` of a server with Usher's mark.
    pub(crate) async fn create_at(&self, sim: &BbbSim, id: &str) -> CreateReply {
        let query = format!("meetingID={id}&name={id}&meta_usher-tenant=default");
        let answer = self.http.get(sim.signed_url("create", &query)).send().await.expect("answers");
        let body = answer.text().await.expect("is text");
        match create_reply(&body).expect("is readable") {
            ServerReply::Success(reply) => reply,
            ServerReply::Failed(failure) => panic!("create failed: {failure:?}"),
        }
    }

    pub(crate) async fn meeting(&self, id: &str) -> Option<Meeting> {
        let name = format!("tenants/default/meetings/{id}");
        match self.meetings().get_meeting(GetMeetingRequest { name }).await {
            Ok(got) => got.into_inner().meeting,
            Err(status) if status.code() == Code::NotFound => None,
            Err(status) => panic!("{status}"),
        }
    }

    pub(crate) fn sim(&self, id: &str) -> &BbbSim {
        let number: usize = id.strip_prefix("bbb").and_then(|number| number.parse().ok()).expect("is bbbN");
        &self.sims[number - 1]
    }

    /// Returns the value of a metric, whose name includes the labels; 0 if it is missing.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let text = self.ops.metrics().encode().expect("encodes");
        let line =
            text.lines().find(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(' ')));
        line.and_then(|line| line.rsplit(' ').next()).and_then(|value| value.parse().ok()).unwrap_or(0.0)
    }

    pub(crate) async fn stop(self) {
        self.plane.shutdown().await;
        self.tasks.shutdown().await;
    }
}

pub(crate) fn key(id: &str) -> MeetingKey {
    MeetingKey { tenant: "default".into(), meeting_id: id.into() }
}

/// Repeats `condition` until it gives a value.
pub(crate) async fn until<T, F: Future<Output = Option<T>>>(what: &str, condition: impl Fn() -> F) -> T {
    let (start, mut look) = (Instant::now(), tokio::time::interval(Duration::from_millis(10)));
    loop {
        look.tick().await;
        if let Some(value) = condition().await {
            return value;
        }
        assert!(start.elapsed() < DEADLINE, "waited {DEADLINE:?} for {what}");
    }
}
