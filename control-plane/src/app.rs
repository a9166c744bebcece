//! Builds and wires everything.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use usher_common::{
    id::TenantId,
    routing::TenantRoute,
    runtime::{ops::Ops, tasks::Tasks},
    secret::Secret,
    settings::Settings,
};

use crate::{
    bbb_client::BbbClient,
    core::policy::Policy,
    grpc::{
        auth::Auth,
        server::{self, Parts},
    },
    ops::{alarms::Alarms, metrics::Metrics, watchdog::Watchdog},
    ports::{BbbServers, Store},
    store::{codec::Codec, committer::Committer},
    tasks::{
        admin::Admin,
        backoff::Backoff,
        edges::Edges,
        fleet_handle::FleetHandle,
        follower::Follower,
        gauges::Gauges,
        leader::Leader,
        leadership::Leadership,
        placer::{Placer, Resolver},
        poll_asks::PollAsks,
        poller::{Poller, Pollers, Reaper, Round},
        revision_reader::RevisionReader,
        sweeper::Sweeper,
        watched_store::WatchedStore,
        writer::Writer,
    },
};

/// Longest time to stop: the gRPC port first, then everything behind it.
const STOP_WITHIN: Duration = Duration::from_secs(15);
/// Time between two heartbeats of an idle routing stream, at most.
const HEARTBEAT: Duration = Duration::from_secs(2);
/// Time between two sweeps, at most.
const SWEEP: Duration = Duration::from_secs(5);

/// A running control plane.
#[derive(Debug)]
pub struct ControlPlane {
    grpc_addr: SocketAddr,
    ready: CancellationToken,
    stop: CancellationToken,
    stopped: CancellationToken,
}

impl ControlPlane {
    /// Binds the gRPC port and starts everything; the store may come later. Its metrics and checks go
    /// to `ops`, and it stops with `tasks`.
    ///
    /// # Errors
    /// The port is taken or unguarded, or TLS towards BBB servers cannot be set up.
    pub async fn start(
        settings: &Settings,
        store: Arc<dyn Store>,
        ops: &Ops,
        tasks: &Tasks,
    ) -> anyhow::Result<Self> {
        let auth = Auth::new(&settings.admin, settings.addresses.control)?;
        let address = settings.addresses.control;
        let listener = TcpListener::bind(address).await.with_context(|| format!("bind gRPC on {address}"))?;
        let grpc_addr = listener.local_addr()?;

        let metrics = ops.metrics().register(Metrics::new);
        let (pending, alarms, watchdog) = (ops.pending(), Alarms::default(), Watchdog::default());
        let servers: Arc<dyn BbbServers> =
            Arc::new(BbbClient::new(settings, pending.clone()).context("set up calls to BBB servers")?);
        let store: Arc<dyn Store> = Arc::new(WatchedStore::new(store, pending.clone()));

        // The port and its streams end first, then what they stand on.
        let (front, back) = (Tasks::new(), Tasks::new());
        let codec = Arc::new(Codec::new());
        let committer = Committer::spawn(store.clone(), codec.clone(), &back);
        let policy = Policy::new(settings);
        let fleet = FleetHandle::new(policy);
        let revisions = RevisionReader::new(store.clone(), back.clone(), settings.store.timeout);
        let writer = Writer::new(fleet.clone(), committer, revisions.clone(), alarms.clone());
        let leadership = Leadership::default();
        let first_poll = settings.health.deadline + Duration::from_secs(1);
        let placer = Placer::new(writer.clone(), first_poll, metrics.clone());
        let admin = Admin::new(writer.clone());
        let edges = Edges::new(metrics.clone());
        let pollers = Pollers::default();
        let replica = settings.leader.replica.clone().unwrap_or_else(replica_name);

        let interval = settings.health.interval;
        let reaper = Reaper::new(
            servers.clone(),
            writer.clone(),
            leadership.clone(),
            alarms.clone(),
            metrics.clone(),
            back.clone(),
            (settings.meetings.call_timeout, interval),
        );
        let round = Round::new(
            servers.clone(),
            writer.clone(),
            leadership.clone(),
            reaper,
            (alarms.clone(), metrics.clone()),
            settings.store.timeout,
        );
        let follower =
            Follower::new(store.clone(), codec.clone(), fleet.clone(), metrics.clone(), watchdog.clone());
        let leader = Leader::new(
            store.clone(),
            replica.clone(),
            settings.leader.ttl,
            leadership.clone(),
            metrics.clone(),
        );
        let poller = Poller::new(
            Arc::new(round),
            fleet.clone(),
            leadership.clone(),
            pollers.clone(),
            back.clone(),
            watchdog.clone(),
            interval,
        );
        let poll_asks =
            PollAsks::new(store.clone(), fleet.clone(), leadership.clone(), pollers.clone(), back.clone());
        let sweeper = Sweeper::new(writer, leadership.clone(), interval.min(SWEEP));
        let gauges = Gauges::new(fleet.clone(), leadership.clone(), placer.clone(), alarms.clone(), metrics);

        let (health, _) = tonic_health::server::health_reporter();
        let parts = Parts {
            fleet: fleet.clone(),
            placer,
            resolver: Resolver::new(fleet.clone(), revisions, store.clone(), codec),
            admin: admin.clone(),
            pollers,
            poll_asks: poll_asks.clone(),
            edges,
            alarms,
            leadership,
            store,
            servers,
            replica,
            call_timeout: settings.meetings.call_timeout,
            store_timeout: settings.store.timeout,
            heartbeat: interval.min(HEARTBEAT),
            tasks: front.clone(),
        };

        back.spawn("follower", |stop| follower.run(stop));
        back.spawn("leader", |stop| leader.run(stop));
        back.spawn("poller", |stop| poller.run(stop));
        back.spawn("poll asks", |stop| poll_asks.run(stop));
        back.spawn("sweeper", |stop| sweeper.run(stop));
        back.spawn("gauges", |stop| gauges.run(stop));
        back.spawn("pending calls", |stop| pending.watch(stop));
        front.spawn("grpc", |stop| server::serve(listener, parts, auth, health.clone(), stop));

        let ready = CancellationToken::new();
        let arrival = Arrival {
            fleet: fleet.clone(),
            admin,
            secrets: settings.secrets.clone(),
            deadline: settings.store.timeout,
            ready: ready.clone(),
        };
        let stopping = back.stopping();
        back.spawn_short("arrival", async move {
            tokio::select! {
                () = stopping.cancelled() => {}
                () = arrival.run() => {}
            }
        });
        ops.ready_when("fleet", move || {
            if fleet.complete() { Ok(()) } else { Err("the store has not been read yet".into()) }
        });
        ops.live_when("loops", move || match watchdog.stalled(std::time::Instant::now()) {
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
        Ok(Self { grpc_addr, ready, stop, stopped })
    }

    /// Returns the address of the gRPC port.
    pub fn grpc_addr(&self) -> SocketAddr {
        self.grpc_addr
    }

    /// Waits until the store was read completely and the tenant `default` has its secrets.
    pub async fn ready(&self) {
        self.ready.cancelled().await;
    }

    /// Stops: not ready, streams end, the lease is handed over, the store is let go.
    pub async fn shutdown(&self) {
        self.stop.cancel();
        self.stopped.cancelled().await;
    }
}

/// What happens when the store has been read, and again whenever its epoch is another: then what was
/// written before may be gone.
struct Arrival {
    fleet: FleetHandle,
    admin: Admin,
    secrets: Vec<Secret>,
    deadline: Duration,
    ready: CancellationToken,
}

impl Arrival {
    async fn run(self) {
        let mut revisions = self.fleet.revisions();
        let mut done = None;
        loop {
            let epoch = revisions.borrow_and_update().epoch;
            if self.fleet.complete() && done != Some(epoch) {
                self.arrive().await;
                done = Some(epoch);
            }
            if revisions.changed().await.is_err() {
                return;
            }
        }
    }

    async fn arrive(&self) {
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(5));
        while let Err(error) = self.set_secrets().await {
            warn!(error = format!("{error:#}"), "the tenant `default` could not be given its secrets");
            tokio::time::sleep(backoff.pause()).await;
        }
        self.ready.cancel();
    }

    /// Gives the tenant `default` the configured secrets; hosts and the like stay as they are.
    async fn set_secrets(&self) -> anyhow::Result<()> {
        if self.secrets.is_empty() {
            return Ok(());
        }
        let id = TenantId::default_tenant();
        let old = self.fleet.read(|fleet| fleet.tenant(&id).map(|stored| stored.value.clone()));
        let old =
            old.unwrap_or_else(|| TenantRoute { id, secrets: Vec::new(), hosts: Vec::new(), enabled: true });
        let tenant = TenantRoute { secrets: self.secrets.clone(), ..old };
        self.admin.set_tenant(&tenant, std::time::Instant::now() + self.deadline).await?;
        Ok(())
    }
}

/// Names this replica after host and process.
fn replica_name() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = host.trim();
    format!("{}-{}", if host.is_empty() { "control-plane" } else { host }, std::process::id())
}
