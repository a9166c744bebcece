//! Builds the edge from its parts: cells, router, listener.

mod cell_parts;

use std::{
    net::SocketAddr,
    process,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use usher_model::{
    id::{EdgeId, IdError},
    settings::Settings,
};
use usher_runtime::{memory, ops::OpsHandle, program::ProgramService, tasks::TaskGroup};

pub use cell_parts::CellError;
use cell_parts::CellParts;

use crate::{
    control::{callbacks::CallbackClient, cell_directory::CellDirectory},
    core::admission::ByteBudget,
    metrics::EdgeMetrics,
    server::{ClientListener, EdgePorts, ListenerError, RequestRouter, SharedPorts, ShutdownPhase},
    upstream::FairCompute,
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
    /// A cell cannot be followed.
    #[error(transparent)]
    Cell(#[from] CellError),
    /// The listener cannot be opened.
    #[error(transparent)]
    Listener(#[from] ListenerError),
}

/// A running edge.
#[derive(Debug)]
pub struct Edge {
    api: SocketAddr,
    directory: Arc<CellDirectory>,
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
        let cells = CellParts::of(settings)?;
        let followed: Vec<_> = cells.iter().map(|cell| cell.followed.clone()).collect();
        let metrics = ops.metrics().register(|registry| EdgeMetrics::new(registry, &followed));
        let directory = Arc::new(CellDirectory::new(followed, metrics.conflicts.clone()));
        let bytes = ByteBudget::new(memory_budget(settings));
        let compute = FairCompute::new(tasks.clone(), metrics.requests.shed.clone());
        let shared = SharedPorts { bytes, compute, tasks: tasks.clone(), metrics: metrics.requests.clone() };
        if settings.public_url.is_none() {
            warn!(
                "public_url is not set: callbacks go from BBB servers straight to applications, signed \
                 with the servers' secrets, and are not retried"
            );
        }
        let kept_lists = kept_lists_max(settings) / cells.len().max(1);
        let (mut ports, mut subscribers, mut tickets) = (Vec::new(), Vec::new(), None);
        for (cell, metrics) in cells.into_iter().zip(metrics.cells) {
            let keys = CallbackClient::new(cell.planes.clone());
            // Sessions are the edges' and not a cell's. Another cell's secret while the first one's is unknown
            // would be one more that differs between edges (ADR 29).
            let needs_tickets = tickets.is_none() && settings.edge.tls_cert.is_some();
            tickets.get_or_insert_with(|| keys.ticket_secrets());
            if settings.public_url.is_some() || needs_tickets {
                let keys = keys.clone();
                tasks.spawn("callback key", |stop| keys.run(stop));
            }
            ports.push(cell.ports(settings, ops, (keys, metrics.hedges), kept_lists, &shared)?);
            subscribers.push((cell, metrics.stream));
        }
        let tickets = tickets.unwrap_or_else(|| watch::channel(None).1);
        let ports = EdgePorts { directory: Arc::clone(&directory), cells: ports, shared };
        let router = Arc::new(RequestRouter::new(settings, ports).map_err(CellError::from)?);
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
        info!(edge = %id, address = %api, "edge is starting");
        let edge = Self {
            api,
            directory,
            ops: ops.clone(),
            stopping: Arc::default(),
            phase: listener.phase(),
            accepting: tasks.stopping().child_token(),
            listener: TaskGroup::new(),
            tasks: tasks.clone(),
            wait: settings.edge.shutdown_wait,
        };
        edge.spawn(listener);
        for (cell, stream) in subscribers {
            cell.follow(&id, api, stream, tasks);
        }
        Ok(edge)
    }

    fn spawn(&self, listener: ClientListener<RequestRouter>) {
        let (directory, stopping) = (Arc::clone(&self.directory), Arc::clone(&self.stopping));
        self.ops.ready_when("routing table", move || {
            if stopping.load(Ordering::Acquire) {
                return Err("the edge is shutting down".into());
            }
            directory.ready()
        });
        if let Some(tls) = listener.tls() {
            self.tasks.spawn("certificate", |stop| tls.reload(stop));
        }
        if self.directory.only().is_none() {
            let directory = Arc::clone(&self.directory);
            self.tasks.spawn("tenants of cells", |stop| directory.run(stop));
        }
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

    /// Waits until the edge has its tables.
    pub async fn ready(&self) {
        self.directory.until_ready().await;
    }

    /// Waits until the edge knows a recordings library of its cells. An edge serves meetings without one, so that this is
    /// no part of its readiness.
    pub async fn until_library(&self) {
        self.directory.until_library().await;
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
