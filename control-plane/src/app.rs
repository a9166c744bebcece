//! Builds a control plane: the adapters, then the engine and notifications over them, then the gRPC port.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use tokio::{net::TcpListener, sync::watch};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use url::Url;
use usher_model::settings::Settings;
use usher_runtime::{
    admin_auth::AdminAuth,
    clock::{self, WallClock},
    ops::OpsHandle,
    program::ProgramService,
    tasks::TaskGroup,
};

use crate::{
    bbb_client::BbbClient,
    engine::{Engine, EngineDependencies},
    grpc::server::{self, ServiceHandles, ServiceTiming},
    notifications::{
        application_client::{ApplicationClient, OwnAddressCheck},
        metrics::{deliveries::DeliveryMetrics, hooks::HookMetrics},
        rules::delivery::address::AllowedAddresses,
        running::Notifications,
    },
    ops::{metrics::ControlPlaneMetrics, watchdog::Watchdog},
    ports::Store,
    tasks::{
        edges::ConnectedEdges,
        gauges::GaugeUpdater,
        own_targets::OwnTargets,
        replicas::{OwnReplica, ReplicaAnnouncer, ReplicaDirectory},
        watched_store::WatchedStore,
    },
};

/// Longest time to stop each half: the gRPC port first, then the tasks behind it.
const STOP_WITHIN: Duration = Duration::from_secs(15);
/// Longest time between two heartbeats of an idle routing stream.
const HEARTBEAT: Duration = Duration::from_secs(2);

/// A running control plane.
#[derive(Debug)]
pub struct RunningControlPlane {
    grpc_addr: SocketAddr,
    ready: CancellationToken,
    deliveries_read: watch::Receiver<bool>,
    stop: CancellationToken,
    stopped: CancellationToken,
}

impl RunningControlPlane {
    /// Binds the gRPC port and starts everything; the store may come later. Its metrics and checks go
    /// to `ops`, and it stops with `tasks`.
    ///
    /// # Errors
    /// The port is taken or unguarded, or TLS towards BBB servers cannot be set up.
    pub async fn start(
        settings: &Settings,
        store: Arc<dyn Store>,
        ops: &OpsHandle,
        tasks: &TaskGroup,
    ) -> anyhow::Result<Self> {
        let auth = AdminAuth::new(&settings.admin, settings.addresses.control)?;
        let address = settings.addresses.control;
        let listener = TcpListener::bind(address).await.with_context(|| format!("bind gRPC on {address}"))?;
        let grpc_addr = listener.local_addr()?;

        let metrics = ops.metrics().register(ControlPlaneMetrics::new);
        let (pending, watchdog) = (ops.pending(), Watchdog::default());
        let client =
            Arc::new(BbbClient::new(settings, pending.clone()).context("set up calls to BBB servers")?);

        // The port and its streams end first, then the tasks that they use.
        let (front, back) = (TaskGroup::new(), TaskGroup::new());
        let dependencies = EngineDependencies {
            replica: settings.leader.replica.clone().unwrap_or_else(replica_name),
            store: Arc::new(WatchedStore::new(store, pending.clone(), metrics.clone())),
            servers: client.clone(),
            wall: WallClock::system(),
            metrics: metrics.clone(),
            watchdog: watchdog.clone(),
        };
        let engine = Engine::start(settings, dependencies, &back);
        let Engine { fleet, alarms, ready, leadership, .. } = engine.clone();
        let own = OwnReplica {
            name: engine.dependencies.replica.clone(),
            edges: ConnectedEdges::new(metrics.clone()),
            alarms: alarms.clone(),
            started: (engine.dependencies.wall.now_ms(), clock::now()),
        };
        let replicas = ReplicaDirectory::new(own);
        let announcer = ReplicaAnnouncer::new(
            (engine.dependencies.store.clone(), engine.epoch_writer.clone()),
            engine.feed.clone(),
            leadership,
            replicas.clone(),
        );
        back.spawn("replicas", |stop| announcer.run(stop));
        let gauges =
            GaugeUpdater::new(fleet.clone(), engine.dependencies.wall.clone(), alarms, metrics.clone());
        back.spawn("gauges", |stop| gauges.run(stop));
        back.spawn("pending calls", |stop| pending.watch(stop));

        let own = OwnTargets::new(settings, fleet.clone());
        let own_address = OwnAddressCheck::new(move |url| own.include(url));
        let applications =
            ApplicationClient::new(&settings.callbacks, allowed(settings), own_address, ops.pending())
                .context("set up calls to applications")?;
        let figures =
            (ops.metrics().register(DeliveryMetrics::new), ops.metrics().register(HookMetrics::new));
        let notifications =
            Notifications::start(settings, &engine, (Arc::new(applications), client), figures, &back);

        let deliveries_read = notifications.deliveries.is_read();
        let (health, _) = tonic_health::server::health_reporter();
        let handles = ServiceHandles { engine, notifications, replicas, tasks: front.clone() };
        let timing = ServiceTiming {
            call_timeout: settings.meetings.call_timeout,
            store_timeout: settings.store.timeout,
            heartbeat: settings.health.interval.min(HEARTBEAT),
        };
        front.spawn("grpc", move |stop| server::serve(listener, handles, timing, auth, health, stop));

        ops.ready_when("fleet", move || {
            if fleet.complete() { Ok(()) } else { Err("the store has not been read yet".into()) }
        });
        ops.live_when("loops", move || match watchdog.stalled(clock::now()) {
            None => Ok(()),
            Some(name) => Err(format!("the loop `{name}` has stalled")),
        });

        let (stop, stopped) = (CancellationToken::new(), CancellationToken::new());
        let (ordered, done, ops) = (stop.clone(), stopped.clone(), ops.clone());
        tasks.spawn("control plane", |stop| async move {
            let _done = done.drop_guard();
            let (front_ended, back_ended) = (front.stopping(), back.stopping());
            let asked = tokio::select! {
                () = stop.cancelled() => true,
                () = ordered.cancelled() => true,
                () = front_ended.cancelled() => false,
                () = back_ended.cancelled() => false,
            };
            ops.begin_shutdown();
            for part in [front, back] {
                if tokio::time::timeout(STOP_WITHIN, part.shutdown()).await.is_err() {
                    warn!("not everything stopped in time");
                }
            }
            anyhow::ensure!(asked, "a part of the control plane has ended");
            Ok(())
        });
        info!(%grpc_addr, "control plane started");
        Ok(Self { grpc_addr, ready, deliveries_read, stop, stopped })
    }

    /// Returns the address of the gRPC port.
    pub fn grpc_addr(&self) -> SocketAddr {
        self.grpc_addr
    }

    /// Waits until the store was read completely and the tenant `default` has its secrets.
    pub async fn ready(&self) {
        self.ready.cancelled().await;
        // It fails only if the control plane has stopped.
        let _ = self.deliveries_read.clone().wait_for(|read| *read).await;
    }

    /// Stops in order: readiness ends, streams end, the lease is handed over, the store is closed.
    pub async fn shutdown(&self) {
        self.stop.cancel();
        self.stopped.cancelled().await;
    }
}

impl ProgramService for RunningControlPlane {
    fn addresses(&self) -> String {
        format!("control={}", self.grpc_addr)
    }

    async fn until_ready(&self) {
        self.ready().await;
    }

    async fn stop(&self) {
        self.shutdown().await;
    }
}

/// Where callbacks may go: not to our own parts, even where those have public addresses.
fn allowed(settings: &Settings) -> AllowedAddresses {
    let urls = settings.store.endpoints.iter().chain(&settings.edge.control_plane);
    let hosts =
        urls.filter_map(|url| Url::parse(url).ok()?.host_str()?.trim_matches(['[', ']']).parse().ok());
    let ours = [settings.addresses.control.ip(), settings.addresses.ops.ip()];
    let own = hosts.chain(ours).filter(|address: &IpAddr| !address.is_unspecified());
    AllowedAddresses::new(&settings.callbacks.allow, own.collect())
}

/// Names this replica after host and process.
fn replica_name() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = host.trim();
    format!("{}-{}", if host.is_empty() { "control-plane" } else { host }, std::process::id())
}
