//! Builds the edge from its parts: table, routing stream, clients, router, listener.

use std::{
    net::SocketAddr,
    path::PathBuf,
    process,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use usher_model::{
    id::{EdgeId, IdError},
    settings::Settings,
};
use usher_runtime::{memory, ops::OpsHandle, program::ProgramService, tasks::TaskGroup};

use crate::{
    control::{
        callbacks::CallbackClient,
        current_table::CurrentTable,
        hooks::HookClient,
        last_good,
        placement::PlacementClient,
        planes::{ControlPlanes, ControlPlanesError},
        subscriber::{EdgeIdentity, RoutingSubscriber, SubscriberTimeouts},
    },
    core::admission::{ByteBudget, ServerLanes},
    metrics::EdgeMetrics,
    server::{CallbackPorts, ClientListener, EdgePorts, ListenerError, RequestRouter, ShutdownPhase},
    upstream::{
        CallBudgets, ConnectorError, FairCompute, PassiveReports, ServerClient, SharedLists, SharedReads,
    },
};

/// Least size of the bodies and answers in memory, unless one is set: a list of a large server and the merged
/// one fit into half of it.
const MEMORY_BUDGET_LEAST: u64 = 64 << 20;
/// Largest such size: more only hides that a client reads too slowly.
const MEMORY_BUDGET_MOST: u64 = 1 << 30;

/// The reasons why an edge cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// `edge.id`, or the name that is made of the host's, is not valid.
    #[error("name of the edge")]
    Id(#[from] IdError),
    /// The addresses of the control planes or the token cannot be used.
    #[error("control planes of the edge")]
    ControlPlanes(#[from] ControlPlanesError),
    /// The system's certificates cannot be used.
    #[error("client for BBB servers")]
    ServerClient(#[from] ConnectorError),
    /// The listener cannot be opened.
    #[error(transparent)]
    Listener(#[from] ListenerError),
}

/// A running edge.
#[derive(Debug)]
pub struct Edge {
    api: SocketAddr,
    current: Arc<CurrentTable>,
    ops: OpsHandle,
    stopping: Arc<AtomicBool>,
    phase: ShutdownPhase,
    accepting: CancellationToken,
    listener: TaskGroup,
    tasks: TaskGroup,
    wait: Duration,
}

impl Edge {
    /// Starts an edge: binds its listener, subscribes to routes, registers metrics and readiness with
    /// `ops`. The edge serves requests at once, and is ready when it has a table. If one of its parts
    /// ends, `tasks` are requested to stop.
    ///
    /// # Errors
    /// Returns an error if a setting cannot be used, or the address is in use.
    pub async fn start(settings: &Settings, ops: &OpsHandle, tasks: &TaskGroup) -> Result<Self, StartError> {
        let id = edge_id(settings)?;
        let planes = ControlPlanes::new(&settings.edge.control_plane, settings.admin.token.as_ref())?;
        let current = Arc::new(CurrentTable::default());
        let from_disk =
            settings.edge.last_good.as_ref().is_some_and(|path| last_good::load_into(&current, path));
        let metrics = ops.metrics().register(|registry| EdgeMetrics::new(registry, Arc::clone(&current)));
        let placement = PlacementClient::new(planes.clone(), metrics.hedges.clone());
        let passive = PassiveReports::new(placement.clone(), tasks.clone());
        let bytes = ByteBudget::new(memory_budget(settings));
        let budgets = CallBudgets {
            lanes: ServerLanes::new(settings.edge.max_server_reads, settings.edge.max_server_writes),
            bytes: bytes.clone(),
            compute: FairCompute::new(tasks.clone(), metrics.requests.shed.clone()),
            shed: metrics.requests.shed.clone(),
        };
        let compute = budgets.compute.clone();
        let upstream = ServerClient::new(settings.health.connect_timeout, ops.pending(), passive, budgets)?;
        let keys = CallbackClient::new(planes.clone());
        let tickets = keys.ticket_secrets();
        let callbacks = settings.public_url.clone().map(|public_url| CallbackPorts {
            public_url,
            callbacks: keys.clone(),
            hooks: HookClient::new(planes.clone()),
        });
        if callbacks.is_some() || settings.edge.tls_cert.is_some() {
            tasks.spawn("callback key", |stop| keys.run(stop));
        }
        if callbacks.is_none() {
            warn!(
                "public_url is not set: callbacks go from BBB servers straight to applications, signed \
                 with the servers' secrets, and are not retried"
            );
        }
        let ports = EdgePorts {
            current: Arc::clone(&current),
            placement,
            callbacks,
            upstream,
            reads: SharedReads::new(tasks.clone(), metrics.requests.shared_reads.clone()),
            lists: SharedLists::new(
                settings.meetings.share_lists_for,
                kept_lists_max(settings),
                tasks.clone(),
                metrics.requests.shared_reads.clone(),
            ),
            bytes,
            compute,
            tasks: tasks.clone(),
            metrics: metrics.requests.clone(),
        };
        let router = Arc::new(RequestRouter::new(settings, ports));
        let listener = ClientListener::bind(
            settings.addresses.listen,
            &settings.edge,
            router,
            tickets,
            metrics.connections.clone(),
            metrics.connections_shed.clone(),
        )
        .await?;
        let api = listener.address();
        let subscriber = RoutingSubscriber {
            planes,
            current: Arc::clone(&current),
            identity: EdgeIdentity { id: id.clone(), address: api.to_string() },
            patience: SubscriberTimeouts::default(),
            metrics: metrics.stream,
            from_disk,
        };
        info!(edge = %id, address = %api, "edge is starting");
        let edge = Self {
            api,
            current,
            ops: ops.clone(),
            stopping: Arc::default(),
            phase: listener.phase(),
            accepting: tasks.stopping().child_token(),
            listener: TaskGroup::new(),
            tasks: tasks.clone(),
            wait: settings.edge.shutdown_wait,
        };
        edge.spawn(listener, subscriber, settings.edge.last_good.clone());
        Ok(edge)
    }

    fn spawn(
        &self,
        listener: ClientListener<RequestRouter>,
        subscriber: RoutingSubscriber,
        last_good: Option<PathBuf>,
    ) {
        let (current, stopping) = (Arc::clone(&self.current), Arc::clone(&self.stopping));
        self.ops.ready_when("routing table", move || {
            if stopping.load(Ordering::Acquire) {
                return Err("the edge is shutting down".into());
            }
            current.revision().map(|_| ()).ok_or_else(|| "there is no complete table yet".into())
        });
        if let Some(tls) = listener.tls() {
            self.tasks.spawn("certificate", |stop| tls.reload(stop));
        }
        if let Some(path) = last_good {
            let current = Arc::clone(&self.current);
            self.tasks.spawn("last-good", |stop| last_good::keep(current, path, stop));
        }
        self.tasks.spawn("subscriber", |stop| subscriber.run(stop));
        let pending = self.ops.pending();
        self.tasks.spawn("pending-calls", |stop| pending.watch(stop));
        let (accepting, connections) = (self.accepting.clone(), self.tasks.clone());
        self.listener.spawn("listener", move |_| listener.serve(connections, accepting));
        // Only a shutdown may end the listener before the other tasks: an edge without a listener must not
        // go on as if it served.
        let (ended, stopping) = (self.listener.stopping(), Arc::clone(&self.stopping));
        self.tasks.spawn("listener-watch", async move |stop| {
            tokio::select! {
                () = ended.cancelled() => {}
                () = stop.cancelled() => return Ok(()),
            }
            anyhow::ensure!(stopping.load(Ordering::Acquire), "the listener has ended");
            stop.cancelled().await;
            Ok(())
        });
    }

    /// Returns the address at which the BBB API is served.
    pub fn api_addr(&self) -> SocketAddr {
        self.api
    }

    /// Waits until the edge has a table.
    pub async fn ready(&self) {
        self.current.ready().await;
    }

    /// Stops in order (style P16): report not ready, wait for load balancers, stop accepting, finish
    /// requests. During the wait the edge serves, and each answer is the last of its connection. The
    /// caller then stops its tasks and, if it owns them, the rest of the process.
    pub async fn shutdown(&self) {
        self.stopping.store(true, Ordering::Release);
        self.phase.leave();
        tokio::time::sleep(self.wait).await;
        self.accepting.cancel();
        self.listener.shutdown().await;
        info!(address = %self.api, "edge has stopped");
    }
}

impl ProgramService for Edge {
    fn addresses(&self) -> String {
        format!("listen={}", self.api)
    }

    async fn until_ready(&self) {
        self.ready().await;
    }

    async fn stop(&self) {
        self.shutdown().await;
    }
}

/// Returns the configured name, else one made of the host's name and the process id.
fn edge_id(settings: &Settings) -> Result<EdgeId, IdError> {
    if let Some(id) = &settings.edge.id {
        return EdgeId::parse(id);
    }
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let mut name: String = host
        .trim()
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
        .take(48)
        .collect();
    if name.is_empty() {
        name.push_str("edge");
    }
    EdgeId::parse(&format!("{name}-{}", process::id()))
}

/// Returns the size of the bodies and answers that may be in memory.
fn memory_budget(settings: &Settings) -> u64 {
    settings.edge.memory_budget.unwrap_or_else(|| {
        let usable = memory::usable().map_or(MEMORY_BUDGET_LEAST, |usable| usable / 4);
        usable.clamp(MEMORY_BUDGET_LEAST, MEMORY_BUDGET_MOST)
    })
}

/// Returns the memory in which lists of servers are kept between requests: a small part of the budget, so
/// that new lists find room beside them.
fn kept_lists_max(settings: &Settings) -> usize {
    let budget = match memory_budget(settings) {
        0 => MEMORY_BUDGET_MOST, // there is no limit
        budget => budget,
    };
    usize::try_from(budget / 4).unwrap_or(usize::MAX)
}
