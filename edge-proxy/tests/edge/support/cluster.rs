//! A fake control plane, an edge and some simulated servers, connected to each other.

use std::time::Duration;

use usher_bbb::{checksum::ChecksumAlgorithm, secret::Secret};
use usher_bbb_sim::{BbbSim, SimOptions};
use usher_edge_proxy::app::Edge;
use usher_model::{
    id::{MeetingId, ServerId, TenantId},
    meeting::MeetingKey,
    routing::{ServerRoute, TenantRoute},
    server::{AdminState, Health},
    settings::Settings,
};
use usher_runtime::{ops::OpsHandle, tasks::TaskGroup};

use super::{Client, FakePlane, eventually};

/// The secret of the tenant `default`.
pub(crate) const SECRET: &str = "lb-Secret.0123456789ABCDEFabcdef";

pub(crate) struct Cluster {
    pub(crate) plane: FakePlane,
    pub(crate) edge: Edge,
    pub(crate) client: Client,
    pub(crate) sims: Vec<BbbSim>,
    pub(crate) ops: OpsHandle,
    pub(crate) tasks: TaskGroup,
}

/// Returns settings with short timeouts.
pub(crate) fn settings(plane: &FakePlane) -> Settings {
    let mut settings = Settings::default();
    settings.addresses.listen = ([127, 0, 0, 1], 0).into();
    settings.edge.control_plane = vec![plane.url()];
    settings.edge.id = Some("edge-1".into());
    settings.edge.shutdown_wait = Duration::ZERO;
    settings.edge.shutdown_grace = Duration::from_secs(5);
    settings.health.connect_timeout = Duration::from_millis(300);
    settings.meetings.create_timeout = Duration::from_secs(2);
    settings.meetings.call_timeout = Duration::from_secs(1);
    settings.meetings.recordings_timeout = Duration::from_secs(1);
    settings
}

/// Gives creates the time that an edge gives them by default. A debug build checks, edits and receives a document of
/// some megabytes in one thread, which beside other tests may take longer than [`settings`] allow.
pub(crate) fn with_time_for_documents(settings: &mut Settings) {
    settings.meetings.create_timeout = Settings::default().meetings.create_timeout;
}

impl Cluster {
    /// Starts `servers` simulated servers behind an edge with short timeouts.
    pub(crate) async fn start(servers: usize) -> Self {
        Self::start_with(servers, |_| {}).await
    }

    /// Starts a cluster as [`Cluster::start`] does, with changed settings.
    pub(crate) async fn start_with(servers: usize, alter: impl FnOnce(&mut Settings)) -> Self {
        Self::on(FakePlane::start().await, servers, alter).await
    }

    /// Starts a cluster as [`Cluster::start`] does, with a second replica of the control plane.
    pub(crate) async fn replicated(servers: usize) -> (Self, FakePlane) {
        let plane = FakePlane::start().await;
        let other = plane.replica().await;
        let both = vec![plane.url(), other.url()];
        (Self::on(plane, servers, |settings| settings.edge.control_plane = both).await, other)
    }

    /// Starts one server with these settings behind an edge.
    pub(crate) async fn over(server: SimOptions) -> Self {
        Self::behind(FakePlane::start().await, vec![server], |_| {}).await
    }

    async fn on(plane: FakePlane, servers: usize, alter: impl FnOnce(&mut Settings)) -> Self {
        // These tests are about the edge: servers take any body, and do at once what they accept.
        let options = |index: usize| SimOptions {
            body_limit: 64 << 20,
            ..SimOptions::new(&format!("server-secret-{index}")).at_once()
        };
        Self::behind(plane, (0..servers).map(options).collect(), alter).await
    }

    async fn behind(plane: FakePlane, servers: Vec<SimOptions>, alter: impl FnOnce(&mut Settings)) -> Self {
        plane.set_tenant(tenant(TenantId::DEFAULT, &[SECRET], &[]));
        let mut sims = Vec::new();
        for (index, options) in servers.into_iter().enumerate() {
            let sim = BbbSim::start(options).await.expect("a free port");
            plane.set_server(route(index, &sim));
            sims.push(sim);
        }
        let mut settings = settings(&plane);
        alter(&mut settings);
        let (tasks, ops) = (TaskGroup::new(), OpsHandle::new());
        let edge = Edge::start(&settings, &ops, &tasks).await.expect("the edge starts");
        edge.ready().await;
        let client = Client::new(edge.api_addr());
        let cluster = Self { plane, edge, client, sims, ops, tasks };
        cluster.settled().await;
        cluster
    }

    /// Waits until the edge has applied the newest table.
    pub(crate) async fn settled(&self) {
        eventually("the edge has the newest table", async || {
            self.plane.acked() == Some(self.plane.revision())
        })
        .await;
    }

    /// Returns the value of a metric; 0 if it does not exist yet.
    pub(crate) fn metric(&self, line: &str) -> f64 {
        let text = self.ops.metrics().encode().expect("encodes");
        let found = text.lines().find_map(|l| l.strip_prefix(line)?.trim().parse().ok());
        found.unwrap_or(0.0)
    }

    /// Returns the number of calls of a name that all servers received.
    pub(crate) fn calls(&self, name: &str) -> usize {
        self.sims.iter().map(|sim| sim.calls().iter().filter(|call| call.name == name).count()).sum()
    }

    /// Returns the index of the server that runs a meeting.
    pub(crate) fn home(&self, id: &str) -> usize {
        let runs = |sim: &BbbSim| sim.meetings().iter().any(|meeting| meeting.meeting_id == id);
        let homes: Vec<usize> = (0..self.sims.len()).filter(|index| runs(&self.sims[*index])).collect();
        assert_eq!(homes.len(), 1, "`{id}` runs on {homes:?}");
        homes[0]
    }

    /// Waits until the control plane and the edge know the meeting as confirmed.
    pub(crate) async fn confirmed(&self, id: &str) {
        use usher_model::routing::RouteState;
        eventually("the meeting is confirmed", async || {
            self.plane.meeting(&key(id)).is_some_and(|meeting| matches!(meeting.state, RouteState::Active(_)))
        })
        .await;
        self.settled().await;
    }
}

pub(crate) fn key(id: &str) -> MeetingKey {
    MeetingKey::new(TenantId::default_tenant(), MeetingId::parse(id).expect("is an id"))
}

pub(crate) fn tenant(id: &str, secrets: &[&str], hosts: &[&str]) -> TenantRoute {
    TenantRoute {
        secrets: secrets.iter().map(|secret| Secret::new(secret)).collect(),
        hosts: hosts.iter().map(ToString::to_string).collect(),
        ..TenantRoute::new(TenantId::parse(id).expect("is an id"))
    }
}

pub(crate) fn route(index: usize, sim: &BbbSim) -> ServerRoute {
    ServerRoute {
        id: ServerId::parse(&format!("s{index}")).expect("is an id"),
        url: sim.url(),
        secret: sim.secret().clone(),
        admin: AdminState::Enabled,
        health: Health::Online,
        algorithm: ChecksumAlgorithm::Sha256,
    }
}
