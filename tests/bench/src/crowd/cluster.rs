//! The cluster beside which crowds are measured: etcd, a control plane, one edge on a core of its
//! own, simulated servers, and meetings of two tenants.

use std::{net::TcpListener, sync::Arc};

use anyhow::{Context, Result, ensure};
use tokio::{
    runtime::{Builder, Runtime},
    task::JoinSet,
};
use usher_harness::{
    cluster::{SECRET, TestCluster},
    forwarder::SwitchingForwarder,
    process::RunningProgram,
};

use super::{
    connection::{BenchAnswer, BenchConnection},
    neighbour::{FROM, QuietTenant},
    requests::{self, ApiClient},
};
use crate::machine;

/// The number of servers.
const SERVERS: usize = 4;

/// The meetings of the well-behaved tenant, and of the other one.
const MEETINGS: usize = 400;
const CROWD_MEETINGS: usize = 48;

/// The meetings that are created at the same time.
const AT_ONCE: usize = 16;

/// The budget of the edge for bodies and answers in memory, bytes.
pub(super) const MEMORY_BUDGET: u64 = 128 << 20;

/// The limit of descriptors with which systems start a program.
const USUAL_DESCRIPTORS: u64 = 1024;

const CROWD_TENANT: &str = "crowd";
const CROWD_SECRET: &str = "the secret of the other tenant";

/// The running cluster.
pub(super) struct CrowdCluster {
    pub(super) cluster: TestCluster,
    pub(super) neighbour: QuietTenant,
    /// The tenant whose requests are the crowd.
    pub(super) crowd: ApiClient,
    /// An application that accepts connections and never answers.
    pub(super) dead_application: TcpListener,
    /// The address by which servers reach the edge.
    _callbacks: SwitchingForwarder,
}

impl CrowdCluster {
    /// Starts the cluster on the cores of the calling thread, and its edge on a core of its own.
    pub(super) fn start(runtime: &Runtime) -> Result<Self> {
        let callbacks = runtime.block_on(SwitchingForwarder::start())?;
        let mut cluster = runtime.block_on(
            TestCluster::builder()
                .control_planes(1)
                .edges(0)
                .servers(SERVERS)
                .set_all(&[
                    ("public_url", &callbacks.url()),
                    ("callbacks.allow", "127.0.0.0/8"),
                    // The defaults of a deployment, in place of the short times of tests.
                    ("health.interval", "10s"),
                    ("health.deadline", "5s"),
                    ("health.connect_timeout", "2s"),
                    ("health.unhealthy_after", "60s"),
                    ("health.healthy_threshold", "1"),
                    ("leader.ttl", "5s"),
                    ("placement.slow_start", "0s"),
                    ("meetings.create_timeout", "30s"),
                    ("meetings.call_timeout", "10s"),
                    ("edge.memory_budget", &format!("{}MiB", MEMORY_BUDGET >> 20)),
                    ("telemetry.log", "error"),
                ])
                .expecting_errors()
                .without_output()
                .start(),
        )?;
        runtime.block_on(cluster.admin(0).add_tenant(CROWD_TENANT, CROWD_SECRET, &[]))?;
        machine::limit_descriptors(Some(USUAL_DESCRIPTORS))?;
        let added = machine::on_core(machine::SERVER_CORE, || {
            Builder::new_current_thread().enable_all().build()?.block_on(cluster.add_edge())
        });
        machine::limit_descriptors(None)?;
        added?;
        runtime.block_on(cluster.is_level())?;
        let edge = cluster.edges[0].address("listen");
        callbacks.lead_to([edge]);
        let neighbour = QuietTenant {
            edge,
            client: ApiClient::new("/bigbluebutton/api/", SECRET),
            meetings: (0..MEETINGS).map(|number| format!("course-{number}")).collect(),
            next: Arc::default(),
        };
        let crowd = ApiClient::new("/crowd/bigbluebutton/api/", CROWD_SECRET);
        let crowded = Self {
            cluster,
            neighbour,
            crowd,
            dead_application: TcpListener::bind("127.0.0.1:0")?,
            _callbacks: callbacks,
        };
        runtime.block_on(crowded.fill())?;
        Ok(crowded)
    }

    /// Returns the edge.
    pub(super) fn edge(&self) -> &RunningProgram {
        &self.cluster.edges[0]
    }

    /// Returns the ids of the meetings of the other tenant.
    pub(super) fn crowd_meetings() -> impl Iterator<Item = String> {
        (0..CROWD_MEETINGS).map(|number| format!("seminar-{number}"))
    }

    /// Sends one request that must succeed.
    pub(super) async fn must_succeed(&self, request: &[u8]) -> Result<()> {
        let mut connection = BenchConnection::open(FROM, self.neighbour.edge).await?;
        let answer = connection.exchange(request).await?;
        ensure!(answer == BenchAnswer::Served, "a request of the preparation was refused");
        Ok(())
    }

    async fn fill(&self) -> Result<()> {
        let own = self
            .neighbour
            .meetings
            .iter()
            .map(|id| self.neighbour.client.get("create", requests::create(id)));
        let others = Self::crowd_meetings().map(|id| self.crowd.get("create", requests::create(&id)));
        let all: Vec<_> = own.chain(others).collect();
        let mut filling = JoinSet::new();
        for part in all.chunks(all.len().div_ceil(AT_ONCE)) {
            let (part, edge) = (part.to_vec(), self.neighbour.edge);
            filling.spawn(async move {
                let mut connection = BenchConnection::open(FROM, edge).await?;
                for request in part {
                    let answer = connection.exchange(&request).await?;
                    ensure!(answer == BenchAnswer::Served, "a meeting of the preparation was refused");
                }
                Ok(())
            });
        }
        while let Some(filled) = filling.join_next().await {
            filled?.context("fill the fleet with meetings")?;
        }
        Ok(())
    }

    /// Ends the programs, then the servers.
    pub(super) async fn stop(self) {
        let TestCluster { control_planes, edges, sims, .. } = self.cluster;
        drop((edges, control_planes));
        for sim in sims {
            sim.stop().await;
        }
    }
}
