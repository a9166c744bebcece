//! What a cluster will be made of, and its start.

use anyhow::{Context, Result};

use super::{
    Cluster,
    links::{Linked, Links},
    settings::{environment_name, quick_settings},
};
use crate::{
    admin::Admin,
    etcd::{EtcdCluster, EtcdOptions},
    process::Environment,
    servers,
};

/// What a cluster will be made of.
#[derive(Debug, Clone)]
pub struct ClusterBuilder {
    control_planes: usize,
    edges: usize,
    servers: usize,
    etcd: EtcdOptions,
    pub(super) settings: Environment,
    pub(super) errors_expected: bool,
    pub(super) linked: Linked,
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
}
