//! The real control plane on the store under test, with simulated servers that take every meeting.

use std::{net::SocketAddr, path::PathBuf};

use anyhow::{Result, ensure};
use tempfile::TempDir;
use tokio::task::JoinSet;
use usher_bbb_sim::BbbSim;
use usher_harness::{
    admin::TestAdmin,
    cluster::{environment_name, quick_settings},
    etcd::EtcdCluster,
    process::{ProgramEnvironment, RunningProgram},
    programs::ProgramKind,
    servers, wait,
};
use usher_proto::v1::Health;

use crate::{machine::CpuWorker, synthetic};

/// The store of the control plane.
#[derive(Debug)]
pub(crate) enum BenchStore {
    /// One real etcd node.
    Etcd(EtcdCluster),
    /// A new file of the embedded store.
    Embedded(TempDir),
}

impl BenchStore {
    pub(crate) async fn etcd() -> Result<Self> {
        Ok(Self::Etcd(EtcdCluster::start(1).await?))
    }

    pub(crate) fn embedded() -> Result<Self> {
        Ok(Self::Embedded(tempfile::tempdir()?))
    }

    pub(crate) fn endpoints(&self) -> Vec<String> {
        match self {
            Self::Etcd(cluster) => cluster.endpoints(),
            Self::Embedded(_) => Vec::new(),
        }
    }

    fn settings(&self) -> [(&'static str, String); 2] {
        match self {
            Self::Etcd(cluster) => {
                [("store.kind", "etcd".to_owned()), ("store.endpoints", cluster.endpoints().join(","))]
            }
            Self::Embedded(directory) => {
                let data: PathBuf = directory.path().join("data");
                [("store.kind", "embedded".to_owned()), ("data", data.display().to_string())]
            }
        }
    }
}

/// A running control plane.
pub(crate) struct BenchControlPlane {
    // The order of the fields: the program ends before the parts that it needs.
    process: RunningProgram,
    sims: Vec<BbbSim>,
    pub(crate) store: BenchStore,
}

impl BenchControlPlane {
    /// Starts a control plane and waits until its servers are online.
    pub(crate) async fn start(store: BenchStore) -> Result<Self> {
        let mut settings: ProgramEnvironment = quick_settings();
        let mut set = |key: &str, value: &str| settings.insert(environment_name(key), value.to_owned());
        for (key, value) in store.settings() {
            set(key, &value);
        }
        for (key, value) in [
            ("control", "127.0.0.1:0"),
            ("ops", "127.0.0.1:0"),
            ("secrets", synthetic::SECRET),
            // One poll at the start and no other: the servers do not have these meetings, so a poll
            // would treat them as ended and remove their records.
            ("health.interval", "1h"),
            ("health.unhealthy_after", "1h"),
            ("health.healthy_threshold", "1"),
            ("leader.ttl", "5s"),
            // Only the store may limit creates.
            ("placement.max_inflight_creates", "1000000"),
            ("placement.slow_start", "0s"),
            ("telemetry.log", "warn"),
        ] {
            set(key, value);
        }
        let process = RunningProgram::start("control plane", ProgramKind::ControlPlane, &[], &settings)
            .await?
            .without_output();
        let mut starts = JoinSet::new();
        for _ in 0..synthetic::SERVERS {
            starts.spawn(servers::start());
        }
        let sims = starts.join_all().await.into_iter().collect::<Result<Vec<_>>>()?;
        let plane = Self { process, sims, store };
        plane.enable_servers().await?;
        Ok(plane)
    }

    async fn enable_servers(&self) -> Result<()> {
        let admin = self.admin();
        for (number, sim) in self.sims.iter().enumerate() {
            admin.add_server(&format!("bbb-{number}"), &sim.url(), servers::SERVER_SECRET).await?;
        }
        // Repeated, because the next scheduled poll is an hour away.
        wait::until("every server to be online", || async {
            let polled = admin.poll("-").await?;
            let online = polled.iter().filter(|server| server.health() == Health::Online).count();
            ensure!(online == self.sims.len(), "{online} of {} are", self.sims.len());
            Ok(())
        })
        .await
    }

    pub(crate) fn admin(&self) -> TestAdmin {
        TestAdmin::new(self.address())
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.process.address("control")
    }

    pub(crate) fn worker(&self) -> CpuWorker {
        CpuWorker::Process(self.process.pid())
    }

    /// Ends the program, then the parts that it needed.
    pub(crate) async fn stop(self) {
        drop(self.process);
        for sim in self.sims {
            sim.stop().await;
        }
    }
}
