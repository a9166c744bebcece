//! A whole cluster: etcd, control planes, edges and simulated servers.

use std::{collections::BTreeMap, net::SocketAddr};

use anyhow::{Context, Result, ensure};
use usher_bbb_sim::BbbSim;
use usher_common::proto::v1;

use crate::{
    admin::Admin,
    client::BbbClient,
    etcd::EtcdCluster,
    process::{Environment, Process},
    programs::Program,
    servers, wait,
};

/// The application's secret in every test.
pub const SECRET: &str = "an application's secret";

/// What a cluster will be made of.
#[derive(Debug, Clone)]
pub struct ClusterBuilder {
    control_planes: usize,
    edges: usize,
    servers: usize,
    etcd: usize,
    settings: Environment,
    errors_expected: bool,
}

impl ClusterBuilder {
    /// How many etcd members; 1 if not said.
    #[must_use]
    pub fn etcd(mut self, members: usize) -> Self {
        self.etcd = members;
        self
    }

    /// How many control planes; 2 if not said.
    #[must_use]
    pub fn control_planes(mut self, count: usize) -> Self {
        self.control_planes = count;
        self
    }

    /// How many edges; 2 if not said.
    #[must_use]
    pub fn edges(mut self, count: usize) -> Self {
        self.edges = count;
        self
    }

    /// How many simulated servers; 3 if not said.
    #[must_use]
    pub fn servers(mut self, count: usize) -> Self {
        self.servers = count;
        self
    }

    /// A setting of every program, as in `set("health.interval", "1s")`.
    #[must_use]
    pub fn set(mut self, key: &str, value: &str) -> Self {
        self.settings.insert(environment_name(key), value.to_owned());
        self
    }

    /// An environment variable of every program that is not a setting.
    #[must_use]
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.settings.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Lets the programs write ERROR lines without failing the test.
    #[must_use]
    pub fn expecting_errors(mut self) -> Self {
        self.errors_expected = true;
        self
    }

    /// Starts everything and waits until every server takes meetings and every edge knows it.
    ///
    /// # Errors
    /// When a part does not start.
    pub async fn start(self) -> Result<Cluster> {
        let etcd = EtcdCluster::start(self.etcd).await.context("start etcd")?;
        let mut cluster = Cluster {
            etcd: Some(etcd),
            control_planes: Vec::new(),
            edges: Vec::new(),
            sims: Vec::new(),
            plan: self,
        };
        for _ in 0..cluster.plan.control_planes {
            cluster.add_control_plane().await?;
        }
        for _ in 0..cluster.plan.edges {
            cluster.add_edge().await?;
        }
        for _ in 0..cluster.plan.servers {
            cluster.sims.push(servers::start().await?);
        }
        let admins: Vec<Admin> = (0..cluster.control_planes.len()).map(|n| cluster.admin(n)).collect();
        servers::enable(&admins, &cluster.sims).await?;
        cluster.is_level().await?;
        Ok(cluster)
    }
}

/// A running cluster; it is gone when this is dropped.
#[derive(Debug)]
pub struct Cluster {
    /// The programs first, so that they go before what they need.
    pub control_planes: Vec<Process>,
    /// The edges.
    pub edges: Vec<Process>,
    /// The simulated servers; the one at `n` has the id `bbb-n`.
    pub sims: Vec<BbbSim>,
    etcd: Option<EtcdCluster>,
    plan: ClusterBuilder,
}

impl Cluster {
    /// Returns a cluster to be: two control planes, two edges, three servers, and timings for tests.
    pub fn builder() -> ClusterBuilder {
        ClusterBuilder {
            control_planes: 2,
            edges: 2,
            servers: 3,
            etcd: 1,
            settings: quick_settings(),
            errors_expected: false,
        }
    }

    /// Returns a client of one edge.
    pub fn client(&self, edge: usize) -> BbbClient {
        BbbClient::new(self.edges[edge].address("listen"), SECRET)
    }

    /// Returns an admin client of one control plane.
    pub fn admin(&self, control_plane: usize) -> Admin {
        Admin::new(self.control_planes[control_plane].address("control"))
    }

    /// Returns the address of one control plane.
    pub fn control_address(&self, control_plane: usize) -> SocketAddr {
        self.control_planes[control_plane].address("control")
    }

    /// Returns the store under test.
    ///
    /// # Panics
    /// When it was stopped.
    pub fn etcd(&self) -> &EtcdCluster {
        self.etcd.as_ref().expect("etcd was not stopped")
    }

    /// Returns the store under test, to take parts of it away.
    ///
    /// # Panics
    /// When it was stopped.
    pub fn etcd_mut(&mut self) -> &mut EtcdCluster {
        self.etcd.as_mut().expect("etcd was not stopped")
    }

    /// Stops etcd for good.
    pub fn stop_etcd(&mut self) {
        self.etcd = None;
    }

    /// Starts one more control plane.
    ///
    /// # Errors
    /// When it does not become ready.
    pub async fn add_control_plane(&mut self) -> Result<()> {
        let process = self.control_plane(self.control_planes.len(), "127.0.0.1:0").await?;
        self.control_planes.push(process);
        Ok(())
    }

    /// Ends a control plane as an init system does, and starts it again at its address.
    ///
    /// # Errors
    /// When it does not end cleanly, or does not become ready.
    pub async fn restart_control_plane(&mut self, number: usize) -> Result<()> {
        let address = self.control_address(number).to_string();
        let status = self.control_planes[number].terminate().await?;
        ensure!(status.success(), "control plane {number} ended, {status}");
        self.control_planes[number] = self.control_plane(number, &address).await?;
        Ok(())
    }

    async fn control_plane(&self, number: usize, address: &str) -> Result<Process> {
        let mut settings = self.settings(&[("control", address)]);
        settings.insert(environment_name("leader.replica"), format!("control-plane-{number}"));
        settings.insert(environment_name("store.kind"), "etcd".to_owned());
        settings.insert(environment_name("store.endpoints"), self.etcd().endpoints().join(","));
        self.start(&format!("control plane {number}"), Program::ControlPlane, &settings).await
    }

    /// Starts one more edge, which knows all control planes of this moment.
    ///
    /// # Errors
    /// When it does not become ready.
    pub async fn add_edge(&mut self) -> Result<()> {
        let process = self.edge(self.edges.len(), "127.0.0.1:0").await?;
        self.edges.push(process);
        Ok(())
    }

    /// Ends an edge as an init system does, and starts it again at its address.
    ///
    /// # Errors
    /// When it does not end cleanly, or does not become ready.
    pub async fn restart_edge(&mut self, number: usize) -> Result<()> {
        let address = self.edges[number].address("listen").to_string();
        let status = self.edges[number].terminate().await?;
        ensure!(status.success(), "edge {number} ended, {status}");
        self.edges[number] = self.edge(number, &address).await?;
        Ok(())
    }

    async fn edge(&self, number: usize, address: &str) -> Result<Process> {
        let addresses =
            self.control_planes.iter().map(|process| format!("http://{}", process.address("control")));
        let mut settings = self.settings(&[("listen", address)]);
        settings.insert(environment_name("edge.id"), format!("edge-{number}"));
        settings.insert(environment_name("edge.control_plane"), addresses.collect::<Vec<_>>().join(","));
        self.start(&format!("edge {number}"), Program::EdgeProxy, &settings).await
    }

    /// Returns the control plane that leads.
    ///
    /// # Errors
    /// When none does in time.
    pub async fn leader(&self) -> Result<usize> {
        wait::until("a control plane to lead", || async {
            for number in 0..self.control_planes.len() {
                let look = self.admin(number);
                let status = tokio::time::timeout(wait::GLANCE, look.status()).await;
                if matches!(status, Ok(Ok(status)) if status.leading) {
                    return Ok(number);
                }
            }
            anyhow::bail!("none says so")
        })
        .await
    }

    /// Waits until every edge has applied what every control plane knows, all at one revision.
    ///
    /// # Errors
    /// When they do not get there.
    pub async fn is_level(&self) -> Result<()> {
        wait::until("every edge to be level with the control planes", || async {
            let (mut revisions, mut edges) = (Vec::new(), Vec::new());
            for number in 0..self.control_planes.len() {
                let admin = self.admin(number);
                revisions.push(admin.status().await?.revision);
                edges.extend(admin.edges().await?);
            }
            ensure!(edges.len() == self.edges.len(), "{} of {} edges", edges.len(), self.edges.len());
            let first = revisions.first().copied().flatten();
            let level = revisions.iter().all(|revision| *revision == first)
                && edges.iter().all(|edge| edge.applied == first);
            ensure!(level, "control planes at {revisions:?}, edges at {:?}", applied(&edges));
            Ok(())
        })
        .await
    }

    async fn start(&self, name: &str, program: Program, settings: &Environment) -> Result<Process> {
        let process = Process::start(name, program, &[], settings).await?;
        Ok(if self.plan.errors_expected { process.expecting_errors() } else { process })
    }

    fn settings(&self, more: &[(&str, &str)]) -> Environment {
        let mut settings = self.plan.settings.clone();
        let always = [("ops", "127.0.0.1:0"), ("secrets", SECRET)];
        for (key, value) in always.iter().chain(more) {
            settings.insert(environment_name(key), (*value).to_owned());
        }
        settings
    }
}

fn applied(edges: &[v1::Edge]) -> BTreeMap<&str, Option<v1::Revision>> {
    edges.iter().map(|edge| (edge.name.as_str(), edge.applied)).collect()
}

/// Returns the environment name of a setting: `health.interval` is `USHER_HEALTH__INTERVAL`.
pub fn environment_name(key: &str) -> String {
    format!("USHER_{}", key.replace('.', "__").to_uppercase())
}

/// Timings that keep every cross-check and let a test see a server turn red within seconds.
pub fn quick_settings() -> Environment {
    let settings = [
        ("health.interval", "500ms"),
        ("health.deadline", "400ms"),
        ("health.connect_timeout", "300ms"),
        ("health.unhealthy_after", "3s"),
        ("leader.ttl", "2s"),
        ("meetings.create_timeout", "2s"),
        ("meetings.call_timeout", "2s"),
        ("telemetry.log", "info"),
    ];
    settings.iter().map(|(key, value)| (environment_name(key), (*value).to_owned())).collect()
}
