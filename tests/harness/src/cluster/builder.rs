//! The composition of a cluster under test, and its start.

use anyhow::{Context, Result};

use super::{
    TestCluster,
    links::{ClusterLinks, LinkedParts},
    program_options::ProgramOptions,
    settings::{environment_name, quick_settings},
};
use crate::{
    admin::TestAdmin,
    etcd::{EtcdCluster, EtcdOptions},
    servers,
};

/// The composition and the settings of a cluster that is not started yet.
#[derive(Debug, Clone)]
pub struct ClusterBuilder {
    control_planes: usize,
    edges: usize,
    servers: usize,
    etcd: EtcdOptions,
    programs: ProgramOptions,
    linked: LinkedParts,
}

impl ClusterBuilder {
    /// Sets the number of etcd nodes; the default is 1.
    #[must_use]
    pub fn etcd(mut self, members: usize) -> Self {
        self.etcd.members = members;
        self
    }

    /// Adds a flag of every etcd node.
    #[must_use]
    pub fn etcd_flag(mut self, flag: &str) -> Self {
        self.etcd.flags.push(flag.to_owned());
        self
    }

    /// Puts a link in front of each etcd node's address for its peers.
    #[must_use]
    pub fn link_etcd_peers(mut self) -> Self {
        self.etcd.peer_links = true;
        self
    }

    /// Sets the number of control planes; the default is 2.
    #[must_use]
    pub fn control_planes(mut self, count: usize) -> Self {
        self.control_planes = count;
        self
    }

    /// Sets the number of edges; the default is 2.
    #[must_use]
    pub fn edges(mut self, count: usize) -> Self {
        self.edges = count;
        self
    }

    /// Sets the number of simulated servers; the default is 3.
    #[must_use]
    pub fn servers(mut self, count: usize) -> Self {
        self.servers = count;
        self
    }

    /// Adds a setting of every program, as in `set("health.interval", "1s")`.
    #[must_use]
    pub fn set(mut self, key: &str, value: &str) -> Self {
        self.programs.settings.insert(environment_name(key), value.to_owned());
        self
    }

    /// Adds several settings of every program, like [`ClusterBuilder::set`].
    #[must_use]
    pub fn set_all(self, settings: &[(&str, &str)]) -> Self {
        settings.iter().fold(self, |builder, (key, value)| builder.set(key, value))
    }

    /// Adds an environment variable of every program that is not a setting.
    #[must_use]
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.programs.settings.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Allows the programs to write ERROR lines; without this, such a line fails the test.
    #[must_use]
    pub fn expecting_errors(mut self) -> Self {
        self.programs.errors_expected = true;
        self
    }

    /// Does not print the output of the programs, as [`RunningProgram::without_output`] does.
    ///
    /// [`RunningProgram::without_output`]: crate::process::RunningProgram::without_output
    #[must_use]
    pub fn without_output(mut self) -> Self {
        self.programs.without_output = true;
        self
    }

    /// Puts a filter of writes in front of each etcd node, shared by the control planes.
    #[must_use]
    pub fn filter_store_writes(mut self) -> Self {
        self.linked.store_writes = true;
        self
    }

    /// Puts a link between each control plane and each etcd node.
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

    /// Puts a link in front of each server.
    #[must_use]
    pub fn link_servers(mut self) -> Self {
        self.linked.servers = true;
        self
    }

    /// Starts all parts and waits until every server is online and every edge has all servers in
    /// its table.
    ///
    /// # Errors
    /// When a part does not start.
    pub async fn start(self) -> Result<TestCluster> {
        let etcd = EtcdCluster::start_with(self.etcd).await.context("start etcd")?;
        let mut cluster = TestCluster {
            etcd: Some(etcd),
            control_planes: Vec::new(),
            edges: Vec::new(),
            sims: Vec::new(),
            bases: Vec::new(),
            links: ClusterLinks::default(),
            programs: self.programs,
            linked: self.linked,
        };
        for _ in 0..self.control_planes {
            cluster.add_control_plane().await?;
        }
        for _ in 0..self.edges {
            cluster.add_edge().await?;
        }
        for _ in 0..self.servers {
            let sim = servers::start().await?;
            let linked = cluster.linked.servers;
            let base = if linked { cluster.links.server(&sim)? } else { sim.base().to_owned() };
            cluster.bases.push(base);
            cluster.sims.push(sim);
        }
        let admins: Vec<TestAdmin> = (0..cluster.control_planes.len()).map(|n| cluster.admin(n)).collect();
        servers::enable_at(&admins, &cluster.bases).await?;
        cluster.is_level().await?;
        Ok(cluster)
    }
}

impl TestCluster {
    /// Returns the default composition: two control planes, two edges, three servers, and short
    /// intervals.
    pub fn builder() -> ClusterBuilder {
        ClusterBuilder {
            control_planes: 2,
            edges: 2,
            servers: 3,
            etcd: EtcdOptions::default(),
            programs: ProgramOptions {
                settings: quick_settings(),
                errors_expected: false,
                without_output: false,
            },
            linked: LinkedParts::default(),
        }
    }
}
