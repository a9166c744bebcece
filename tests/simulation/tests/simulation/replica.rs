//! Control planes: the product's own engine and services over the simulated ports.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use prometheus_client::registry::Registry;
use tokio::sync::watch;
use usher_control_plane::{
    engine::{Engine, EngineDependencies},
    grpc::{placement::PlacementRpc, readiness::ReadGate, routing::RoutingRpc},
    notifications::{
        metrics::{deliveries::DeliveryMetrics, hooks::HookMetrics},
        tasks::{callback_key::CallbackKeys, deliveries::DeliveryBook, hooks::WebhookRegistry},
    },
    ops::{metrics::ControlPlaneMetrics, watchdog::Watchdog},
    tasks::{admin::FleetAdmin, edges::ConnectedEdges},
};
use usher_model::settings::Settings;
use usher_runtime::tasks::TaskGroup;

use crate::{
    broken_guarantee::BrokenGuarantee,
    network::{NodeLife, SimNetwork, SimNode},
    servers::{NoServerHooks, ServersLink, SimServers},
    store::{SimStore, StoreLink},
    wall_clock::SimWallClock,
    witness::HistoryWitness,
};

/// The parts of the cluster that a replica uses.
#[derive(Clone)]
pub(crate) struct ReplicaParts {
    pub(crate) settings: Settings,
    pub(crate) net: Arc<SimNetwork>,
    pub(crate) store: Arc<SimStore>,
    pub(crate) servers: Arc<SimServers>,
    pub(crate) witness: Arc<HistoryWitness>,
    pub(crate) sabotage: Option<BrokenGuarantee>,
}

/// One run of a control plane, from its start to its crash or stop.
pub(crate) struct RunningReplica {
    pub(crate) life: NodeLife,
    pub(crate) engine: Engine,
    placement: PlacementRpc,
    routing: RoutingRpc,
    hooks: WebhookRegistry,
    read: ReadGate,
    /// The name of the replica in the election.
    pub(crate) candidate: String,
    front: TaskGroup,
    back: TaskGroup,
}

impl RunningReplica {
    /// Returns the service, as far as the port of the product opens it.
    pub(crate) fn placement(&self) -> Result<&PlacementRpc, tonic::Status> {
        self.read.check().map(|()| &self.placement)
    }

    /// Returns the creators of servers, tenants and webhooks, as far as the port of the product opens their
    /// services.
    pub(crate) fn creators(&self) -> Result<(&FleetAdmin, &WebhookRegistry), tonic::Status> {
        self.read.check().map(|()| (&self.engine.admin, &self.hooks))
    }

    /// Returns the service, as far as the port of the product opens it.
    pub(crate) fn routing(&self) -> Result<&RoutingRpc, tonic::Status> {
        self.read.check().map(|()| &self.routing)
    }
}

/// A replica, which may run or not.
pub(crate) struct SimReplica {
    index: usize,
    ground: ReplicaParts,
    pub(crate) wall: SimWallClock,
    lives: AtomicU64,
    running: Mutex<Option<Arc<RunningReplica>>>,
}

impl SimReplica {
    pub(crate) fn new(index: usize, ground: ReplicaParts) -> Self {
        let replica = Self {
            index,
            ground,
            wall: SimWallClock::new(),
            lives: AtomicU64::new(0),
            running: Mutex::new(None),
        };
        replica.start();
        replica
    }

    pub(crate) fn node(&self) -> SimNode {
        SimNode::Replica(self.index)
    }

    /// Returns the current run, if there is one.
    pub(crate) fn running(&self) -> Option<Arc<RunningReplica>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn take(&self) -> Option<Arc<RunningReplica>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Starts the replica, unless it runs.
    pub(crate) fn start(&self) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if running.is_none() {
            let life = self.lives.fetch_add(1, Ordering::Relaxed) + 1;
            *running = Some(Arc::new(self.begin(format!("r{}.{life}", self.index))));
        }
    }

    fn begin(&self, candidate: String) -> RunningReplica {
        let ReplicaParts { settings, net, store, servers, witness, sabotage } = self.ground.clone();
        let life = NodeLife::new(self.node());
        let patience = settings.store.timeout;
        let link = StoreLink { store: store.clone(), net, replica: life.clone(), patience, sabotage };
        let port = ServersLink {
            servers,
            store,
            witness,
            replica: life.clone(),
            candidate: candidate.clone(),
            poll_patience: settings.health.deadline,
            call_patience: settings.meetings.call_timeout,
            sabotage,
        };
        let metrics = ControlPlaneMetrics::new(&mut Registry::default());
        let dependencies = EngineDependencies {
            replica: candidate.clone(),
            store: Arc::new(link),
            servers: Arc::new(port),
            wall: self.wall.port(),
            metrics: metrics.clone(),
            watchdog: Watchdog::default(),
        };
        let (front, back) = (TaskGroup::new(), TaskGroup::new());
        let engine = Engine::start(&settings, dependencies, &back);
        let placement = PlacementRpc::new(
            engine.placer.clone(),
            engine.resolver.clone(),
            engine.fleet.clone(),
            engine.poll_requests.clone(),
        );
        let heartbeat = settings.health.interval.min(std::time::Duration::from_secs(2));
        let routing = RoutingRpc::new(
            engine.fleet.clone(),
            ConnectedEdges::new(metrics),
            watch::channel(Vec::new()).1,
            front.clone(),
            heartbeat,
        );
        let read = ReadGate::of_fleet(engine.fleet.clone());
        let hooks = registry(&settings, &engine);
        RunningReplica { life, engine, placement, routing, hooks, read, candidate, front, back }
    }

    /// Kills the replica: from now on no message leaves it. Messages in transit continue.
    pub(crate) fn crash(&self) {
        if let Some(running) = self.take() {
            running.life.crashed.cancel();
            running.front.stop();
            running.back.stop();
        }
    }

    /// Stops the replica in order: streams end, and the lease is handed over.
    pub(crate) fn stop(&self) {
        if let Some(running) = self.take() {
            tokio::spawn(async move {
                running.front.shutdown().await;
                running.back.shutdown().await;
                running.life.crashed.cancel();
            });
        }
    }
}

/// Returns the registry of webhooks of a replica. Nothing follows it: no event is sent.
fn registry(settings: &Settings, engine: &Engine) -> WebhookRegistry {
    let EngineDependencies { store, wall, .. } = engine.dependencies.clone();
    let settings = Settings { public_url: Some("https://usher.example".into()), ..settings.clone() };
    let figures = (DeliveryMetrics::default(), engine.alarms.clone());
    let writes = (store, engine.epoch_writer.clone());
    let deliveries = DeliveryBook::new(writes.clone(), wall.clone(), &settings.callbacks, figures);
    let keys = CallbackKeys::new(writes.clone(), engine.fleet.clone());
    let metrics = HookMetrics::default();
    WebhookRegistry::new(
        writes,
        engine.fleet.clone(),
        deliveries,
        keys,
        Arc::new(NoServerHooks),
        (wall, metrics),
        &settings,
    )
}
