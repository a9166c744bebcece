//! A whole cluster: etcd, control planes, edges and simulated servers.

mod links;

use std::{cell::Cell, collections::BTreeMap, net::SocketAddr};

use anyhow::{Context, Result, ensure};
use usher_bbb_sim::BbbSim;
use usher_common::proto::v1;

use self::links::Linked;
pub use self::links::Links;
use crate::{
    admin::Admin,
    client::BbbClient,
    etcd::{EtcdCluster, EtcdOptions},
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
    etcd: EtcdOptions,
    settings: Environment,
    errors_expected: bool,
    linked: Linked,
}

impl ClusterBuilder {
    /// How many etcd members; 1 if not said.
    #[must_use]
    pub fn etcd(mut self, members: usize) -> Self {
        self.etcd.members = members;
        self
    }

    /// A flag of every etcd member.
    #[must_use]
    pub fn etcd_flag(mut self, flag: &str) -> Self {
        self.etcd.flags.push(flag.to_owned());
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

    /// Several settings of every program, as [`ClusterBuilder::set`].
    #[must_use]
    pub fn set_all(self, settings: &[(&str, &str)]) -> Self {
        settings.iter().fold(self, |builder, (key, value)| builder.set(key, value))
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

    /// Puts a link between each control plane and each etcd member.
    #[must_use]
    pub fn link_stores(mut self) -> Self {
        self.linked.stores = true;
        self
    }

    /// Puts a link between each edge and each control plane.
    #[must_use]
    pub fn link_planes(mut self) -> Self {
        self.linked.planes = true;
        self
    }

    /// Puts a link before each server.
    #[must_use]
    pub fn link_servers(mut self) -> Self {
        self.linked.servers = true;
        self
    }

    /// Starts everything and waits until every server takes meetings and every edge knows it.
    ///
    /// # Errors
    /// When a part does not start.
    pub async fn start(self) -> Result<Cluster> {
        let etcd = EtcdCluster::start_with(self.etcd.clone()).await.context("start etcd")?;
        let mut cluster = Cluster {
            etcd: Some(etcd),
            control_planes: Vec::new(),
            edges: Vec::new(),
            sims: Vec::new(),
            bases: Vec::new(),
            links: Links::default(),
            plan: self,
        };
        for _ in 0..cluster.plan.control_planes {
            cluster.add_control_plane().await?;
        }
        for _ in 0..cluster.plan.edges {
            cluster.add_edge().await?;
        }
        for _ in 0..cluster.plan.servers {
            let sim = servers::start().await?;
            let linked = cluster.plan.linked.servers;
            let base = if linked { cluster.links.server(&sim)? } else { sim.base().to_owned() };
            cluster.bases.push(base);
            cluster.sims.push(sim);
        }
        let admins: Vec<Admin> = (0..cluster.control_planes.len()).map(|n| cluster.admin(n)).collect();
        servers::enable_at(&admins, &cluster.bases).await?;
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
    /// Where each server is for everybody: `http://host:port`, of its link where it has one.
    pub bases: Vec<String>,
    /// The links between the parts, where they were asked for.
    pub links: Links,
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
            etcd: EtcdOptions::default(),
            settings: quick_settings(),
            errors_expected: false,
            linked: Linked::default(),
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
        let status = self.control_planes[number].terminate().await?;
        ensure!(status.success(), "control plane {number} ended, {status}");
        self.revive_control_plane(number).await
    }

    /// Starts a control plane that has ended again, at its address.
    ///
    /// # Errors
    /// When it does not become ready.
    pub async fn revive_control_plane(&mut self, number: usize) -> Result<()> {
        let address = self.control_address(number).to_string();
        self.control_planes[number] = self.control_plane(number, &address).await?;
        Ok(())
    }

    async fn control_plane(&mut self, number: usize, address: &str) -> Result<Process> {
        let mut endpoints = self.etcd().endpoints();
        if self.plan.linked.stores {
            endpoints = self.links.store_endpoints(number, endpoints)?;
        }
        let mut settings = self.settings(&[("control", address)]);
        settings.insert(environment_name("leader.replica"), format!("control-plane-{number}"));
        settings.insert(environment_name("store.kind"), "etcd".to_owned());
        settings.insert(environment_name("store.endpoints"), endpoints.join(","));
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
        let status = self.edges[number].terminate().await?;
        ensure!(status.success(), "edge {number} ended, {status}");
        self.revive_edge(number).await
    }

    /// Starts an edge that has ended again, at its address.
    ///
    /// # Errors
    /// When it does not become ready.
    pub async fn revive_edge(&mut self, number: usize) -> Result<()> {
        let address = self.edges[number].address("listen").to_string();
        self.edges[number] = self.edge(number, &address).await?;
        Ok(())
    }

    async fn edge(&mut self, number: usize, address: &str) -> Result<Process> {
        let addresses: Vec<SocketAddr> =
            self.control_planes.iter().map(|process| process.address("control")).collect();
        let endpoints = if self.plan.linked.planes {
            self.links.plane_endpoints(number, &addresses)?
        } else {
            addresses.iter().map(|address| format!("http://{address}")).collect()
        };
        let mut settings = self.settings(&[("listen", address)]);
        settings.insert(environment_name("edge.id"), format!("edge-{number}"));
        settings.insert(environment_name("edge.control_plane"), endpoints.join(","));
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

    /// Waits until every control plane and every edge has what any control plane knows now. Where they
    /// are of different epochs, or another begins meanwhile: what is known once they agree on one.
    ///
    /// # Errors
    /// When they do not get there.
    pub async fn is_level(&self) -> Result<()> {
        let agreed = Cell::new(None::<v1::Revision>);
        wait::until("every edge to be level with the control planes", || async {
            let revisions = self.revisions().await?;
            let newest = revisions.iter().copied().max_by_key(|revision| revision.seq);
            let newest = newest.context("a cluster has control planes")?;
            let one_epoch = revisions.iter().all(|revision| revision.epoch == newest.epoch);
            ensure!(one_epoch, "control planes of different epochs: {revisions:?}");
            let goal = agreed.get().filter(|goal| goal.epoch == newest.epoch).unwrap_or(newest);
            agreed.set(Some(goal));
            let has = |at: &v1::Revision| at.epoch == goal.epoch && at.seq >= goal.seq;
            let mut edges = Vec::new();
            for number in 0..self.control_planes.len() {
                edges.extend(self.admin(number).edges().await?);
            }
            ensure!(edges.len() == self.edges.len(), "{} of {} edges", edges.len(), self.edges.len());
            let level =
                revisions.iter().all(has) && edges.iter().all(|edge| edge.applied.as_ref().is_some_and(has));
            ensure!(
                level,
                "wanted {goal:?}: control planes at {revisions:?}, edges at {:?}",
                applied(&edges)
            );
            Ok(())
        })
        .await
    }

    async fn revisions(&self) -> Result<Vec<v1::Revision>> {
        let mut revisions = Vec::new();
        for number in 0..self.control_planes.len() {
            revisions.push(self.admin(number).status().await?.revision.context("it holds a revision")?);
        }
        Ok(revisions)
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
        ("edge.shutdown_wait", "300ms"),
        ("telemetry.log", "info"),
    ];
    settings.iter().map(|(key, value)| (environment_name(key), (*value).to_owned())).collect()
}
