//! The cluster that is measured: one etcd, control planes, and servers with a fixed set of meetings.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use usher_bbb::{checksum::ChecksumAlgorithm, secret::Secret};
use usher_harness::{
    admin::TestAdmin,
    cluster::environment_name,
    etcd::{EtcdCluster, EtcdOptions},
    process::{ProgramEnvironment, RunningProgram},
    programs::ProgramKind,
    wait,
};
use usher_model::{
    id::ServerId,
    revision::Revision,
    server::{AdminState, Server},
};
use usher_proto::v1::Health;

use super::{scale::SizeScale, servers::FixedServers};
use crate::{
    deltas::writer::{RecordWriter, WrittenFleet},
    machine, synthetic,
};

/// The quota of etcd, bytes, in place of its default of 2 GiB.
const QUOTA: u64 = 8 << 30;

/// The longest time until every server has the health that it keeps.
const SETTLE_WITHIN: Duration = Duration::from_mins(3);

/// The running cluster. Fields are dropped in this order: programs end before the parts that they need.
pub(super) struct SizeCluster {
    planes: Vec<RunningProgram>,
    pub(super) servers: FixedServers,
    pub(super) writer: RecordWriter,
    etcd: EtcdCluster,
    scale: SizeScale,
    /// The resident memory of a control plane without a fleet, bytes.
    pub(super) empty: u64,
}

impl SizeCluster {
    /// Starts etcd and the servers, and writes the fleet into the store.
    pub(super) async fn start(scale: SizeScale) -> Result<Self> {
        machine::limit_descriptors(None)?;
        let flags = vec![format!("--quota-backend-bytes={QUOTA}")];
        let etcd = EtcdCluster::start_with(EtcdOptions { flags, ..EtcdOptions::default() }).await?;
        let fleet = WrittenFleet { meetings: scale.meetings, servers: scale.servers };
        let writer = RecordWriter::connect(&etcd.endpoints(), fleet)?;
        let servers = FixedServers::start(scale).await?;
        let mut cluster = Self { planes: Vec::new(), servers, writer, etcd, scale, empty: 0 };
        // A control plane begins the history of the store, and adds the tenant.
        cluster.add_control_plane().await?;
        cluster.empty = machine::resident(cluster.pid(0))?;
        let mut first = cluster.planes.pop().context("a control plane was started")?;
        ensure!(first.terminate().await?.success(), "the first control plane ended with a failure");
        cluster.writer.fill().await?;
        let entries = (0..scale.servers).map(|number| server(number, cluster.servers.url(number)));
        cluster.writer.add_servers(entries.collect::<Result<Vec<_>>>()?.into_iter()).await?;
        Ok(cluster)
    }

    /// Starts one more control plane, and returns the time until it is ready. The first one leads.
    pub(super) async fn add_control_plane(&mut self) -> Result<Duration> {
        let (number, endpoints) = (self.planes.len(), self.etcd.endpoints().join(","));
        // The proportions of the defaults.
        let millis = |time: Duration| format!("{}ms", time.as_millis());
        let interval = self.scale.interval;
        let settings = [
            ("control", "127.0.0.1:0"),
            ("ops", "127.0.0.1:0"),
            ("secrets", synthetic::SECRET),
            ("store.kind", "etcd"),
            ("store.endpoints", &endpoints),
            ("leader.replica", &format!("control-plane-{number}")),
            ("health.interval", &millis(interval)),
            ("health.deadline", &millis(interval / 2)),
            ("health.connect_timeout", &millis(interval / 5)),
            ("health.unhealthy_after", &millis(interval * 6)),
            ("health.healthy_threshold", "1"),
            ("telemetry.log", "warn"),
        ];
        let settings: ProgramEnvironment =
            settings.iter().map(|(key, value)| (environment_name(key), (*value).to_owned())).collect();
        let begun = Instant::now();
        let plane = RunningProgram::start("control plane", ProgramKind::ControlPlane, &[], &settings).await?;
        self.planes.push(plane.without_output().expecting_errors());
        Ok(begun.elapsed())
    }

    /// Starts a real edge beside the leader, and returns the time until it has the whole table.
    pub(super) async fn start_edge(&self) -> Result<Duration> {
        let plane = format!("http://{}", self.address(0));
        let settings = [
            ("listen", "127.0.0.1:0"),
            ("ops", "127.0.0.1:0"),
            ("edge.id", "bench"),
            ("edge.control_plane", &plane),
            ("telemetry.log", "warn"),
        ];
        let settings: ProgramEnvironment =
            settings.iter().map(|(key, value)| (environment_name(key), (*value).to_owned())).collect();
        let begun = Instant::now();
        let edge = RunningProgram::start("edge", ProgramKind::EdgeProxy, &[], &settings).await?;
        let taken = begun.elapsed();
        drop(edge.without_output());
        Ok(taken)
    }

    /// Waits until every server that answers is online, and every other one offline, and returns the
    /// time that this took.
    pub(super) async fn settle(&self) -> Result<Duration> {
        let (begun, admin) = (Instant::now(), TestAdmin::new(self.address(0)));
        wait::until_within(SETTLE_WITHIN, "the health of every server", || async {
            // A list of a thousand servers costs the leader some processor time.
            tokio::time::sleep(Duration::from_secs(1)).await;
            let servers = admin.servers().await?;
            let count = |health| servers.iter().filter(|server| server.health() == health).count();
            let (online, offline) = (count(Health::Online), count(Health::Offline));
            let answering = self.scale.answering();
            ensure!(online == answering, "{online} of {answering} servers that answer are online");
            let hanging = self.scale.servers - answering;
            ensure!(offline == hanging, "{offline} of {hanging} servers that hang are offline");
            Ok(())
        })
        .await?;
        Ok(begun.elapsed())
    }

    pub(super) fn address(&self, plane: usize) -> std::net::SocketAddr {
        self.planes[plane].address("control")
    }

    pub(super) fn pid(&self, plane: usize) -> u32 {
        self.planes[plane].pid()
    }

    pub(super) fn etcd_pid(&self) -> Result<u32> {
        self.etcd.pid(0)
    }

    /// Returns the revision of the leader.
    pub(super) async fn revision(&self) -> Result<Revision> {
        let status = TestAdmin::new(self.address(0)).status().await?;
        Ok(status.revision.context("a status has a revision")?.into())
    }

    pub(super) async fn stop(self) {
        drop(self.planes);
        self.servers.stop().await;
    }
}

fn server(number: usize, url: String) -> Result<Server> {
    Ok(Server {
        id: ServerId::parse(&format!("bbb-{number}"))?,
        url,
        secret: Secret::new("a server's secret"),
        weight: 1.0,
        tags: Vec::new(),
        admin: AdminState::Enabled,
        algorithm: ChecksumAlgorithm::Sha256,
        created_at_ms: synthetic::CREATED_AT_MS,
        former_of: None,
        created_by: None,
    })
}
