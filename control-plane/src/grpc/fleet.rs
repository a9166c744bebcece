//! `FleetService`: the fleet as a whole.

use std::{sync::Arc, time::Instant};

use tonic::{Request, Response, Status};
use usher_model::server::{AdminState, Health};
use usher_proto::{
    time::duration,
    v1::{
        Alarm, GetStatusRequest, GetStatusResponse, WatchAlarmsRequest, WatchAlarmsResponse,
        fleet_service_server::FleetService,
    },
};
use usher_runtime::clock;

use super::{
    edges::{EdgeList, shed_counts},
    replicas,
    watch::{PolledSnapshot, WatchStream, Watchers},
};
use crate::{
    core::{fleet::Fleet, load},
    notifications::tasks::{deliveries::DeliveryBook, hooks::WebhookRegistry},
    ports::Store,
    tasks::{
        edges::ConnectedEdges, fleet_handle::FleetHandle, leadership::Leadership, replicas::ReplicaDirectory,
        upkeep::SpaceFigures,
    },
};

/// The implementation of `FleetService`.
pub(super) struct FleetStatus {
    /// The fleet of this replica.
    pub(super) fleet: FleetHandle,
    /// The edges that are connected to this replica.
    pub(super) edges: ConnectedEdges,
    /// The edges of all replicas.
    pub(super) all_edges: EdgeList,
    /// The replicas.
    pub(super) replicas: ReplicaDirectory,
    /// The places of watchers.
    pub(super) watchers: Watchers,
    /// The waiting callbacks and events.
    pub(super) deliveries: DeliveryBook,
    /// The registered webhooks.
    pub(super) hooks: WebhookRegistry,
    /// The leadership of this replica.
    pub(super) leadership: Leadership,
    /// The observed size of the store.
    pub(super) space: SpaceFigures,
    /// The store, which knows the leader.
    pub(super) store: Arc<dyn Store>,
    /// Name of this replica.
    pub(super) replica: String,
    /// Longest time of the request for the leader's name.
    pub(super) ask_within: std::time::Duration,
    /// Time at which this replica started.
    pub(super) started: Instant,
}

#[tonic::async_trait]
impl FleetService for FleetStatus {
    async fn get_status(&self, _: Request<GetStatusRequest>) -> Result<Response<GetStatusResponse>, Status> {
        // The lease decides: a leader whose process was suspended leads no more although its role
        // still says so.
        let leading = self.leadership.token(clock::now()).is_some();
        let leader = if leading {
            replicas::name(&self.replica)
        } else {
            // The status is useful without the leader's name, so a failure to read it is not an
            // error.
            let leader = tokio::time::timeout(self.ask_within, self.store.leader()).await;
            leader
                .ok()
                .and_then(Result::ok)
                .flatten()
                .map(|leader| replicas::name(&leader))
                .unwrap_or_default()
        };
        let (deliveries, oldest_delivery) = self.deliveries.waiting();
        let hooks = self.hooks.figures();
        let space = self.space.space();
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let status = GetStatusResponse {
            unread: !self.fleet.complete(),
            replica: replicas::name(&self.replica),
            leader,
            leading,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_duration: Some(duration(clock::now().saturating_duration_since(self.started))),
            edges: number(self.all_edges.all().len()),
            shed: shed_counts(self.edges.shed()),
            alarms: replicas::alarms(&self.replicas),
            deliveries: number(deliveries),
            oldest_delivery_age: oldest_delivery.map(duration),
            hooks: number(hooks.registered),
            hook_events: number(self.deliveries.events_waiting()),
            servers_without_hooks: hooks.lacking.map(number),
            store_bytes: space.map(|space| space.taken),
            store_in_use_bytes: space.map(|space| space.in_use),
            store_quota_bytes: space.and_then(|space| space.quota),
            store_compaction_age: self.space.compacted(clock::now()).map(duration),
            ..self.fleet.read(counts)
        };
        Ok(Response::new(status))
    }

    type WatchAlarmsStream = WatchStream<WatchAlarmsResponse>;

    async fn watch_alarms(
        &self,
        _: Request<WatchAlarmsRequest>,
    ) -> Result<Response<Self::WatchAlarmsStream>, Status> {
        Ok(Response::new(self.watchers.watch_polled(WatchedAlarms(self.replicas.clone()))?))
    }
}

/// The alarms of all replicas, for watchers.
struct WatchedAlarms(ReplicaDirectory);

impl PolledSnapshot for WatchedAlarms {
    type State = Vec<Alarm>;
    type Message = WatchAlarmsResponse;

    fn state(&self) -> Vec<Alarm> {
        replicas::alarms(&self.0)
    }

    fn messages(&self, _: &Vec<Alarm>, now: &Vec<Alarm>, _: bool) -> Vec<WatchAlarmsResponse> {
        vec![WatchAlarmsResponse { alarms: now.clone() }]
    }
}

fn counts(fleet: &Fleet) -> GetStatusResponse {
    let count = |test: &dyn Fn(AdminState, Health) -> bool| {
        let servers = fleet.servers().filter(|server| test(server.admin(), server.health()));
        u32::try_from(servers.count()).unwrap_or(u32::MAX)
    };
    let polled = |admin| admin != AdminState::Disabled;
    let entries = fleet.servers().filter(|server| fleet.original_of(server.id()).is_none());
    let users: u64 = entries.map(crate::core::fleet::FleetServer::users).sum();
    GetStatusResponse {
        revision: Some(fleet.revision().into()),
        digest: fleet.routing().digest().0,
        servers_online: count(&|admin, health| polled(admin) && health == Health::Online),
        servers_unhealthy: count(&|admin, health| polled(admin) && health == Health::Unhealthy),
        servers_offline: count(&|admin, health| polled(admin) && health == Health::Offline),
        servers_cordoned: count(&|admin, _| admin == AdminState::Cordoned),
        servers_disabled: count(&|admin, _| admin == AdminState::Disabled),
        meetings: u32::try_from(fleet.records().len()).unwrap_or(u32::MAX),
        users: u32::try_from(users).unwrap_or(u32::MAX),
        zombies: u32::try_from(fleet.zombies().len()).unwrap_or(u32::MAX),
        placement_imbalance: load::imbalance(fleet),
        ..GetStatusResponse::default()
    }
}
