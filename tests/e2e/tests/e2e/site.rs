//! An Usher with either of its stores, for tests of both.

use std::net::SocketAddr;

use anyhow::Result;
use usher_bbb_sim::BbbSim;
use usher_harness::{
    admin::TestAdmin, client::BbbTestClient, cluster::TestCluster, standalone::RunningStandalone, wait,
};

/// A running Usher with one edge and two servers.
#[derive(Debug)]
pub(crate) enum UsherSite {
    /// Control planes and an edge with etcd.
    Etcd(Box<TestCluster>),
    /// One process with the embedded store.
    Embedded(Box<RunningStandalone>),
}

impl UsherSite {
    /// Starts a cluster with etcd, two servers and these settings.
    pub(crate) async fn on_etcd(settings: &[(&str, &str)]) -> Result<Self> {
        let cluster = TestCluster::builder().servers(2).edges(1).set_all(settings).start().await?;
        Ok(Self::Etcd(Box::new(cluster)))
    }

    /// Starts a standalone with the embedded store, two servers and these settings.
    pub(crate) async fn embedded(settings: &[(&str, &str)]) -> Result<Self> {
        Ok(Self::Embedded(Box::new(RunningStandalone::start(2, settings).await?)))
    }

    pub(crate) fn client(&self) -> BbbTestClient {
        match self {
            Self::Etcd(cluster) => cluster.client(0),
            Self::Embedded(standalone) => standalone.client(),
        }
    }

    pub(crate) fn admin(&self) -> TestAdmin {
        match self {
            Self::Etcd(cluster) => cluster.admin(0),
            Self::Embedded(standalone) => standalone.admin(),
        }
    }

    pub(crate) fn sims(&self) -> &[BbbSim] {
        match self {
            Self::Etcd(cluster) => &cluster.sims,
            Self::Embedded(standalone) => &standalone.sims,
        }
    }

    /// Returns the address of its edge.
    pub(crate) fn edge(&self) -> SocketAddr {
        match self {
            Self::Etcd(cluster) => cluster.edges[0].address("listen"),
            Self::Embedded(standalone) => standalone.process.address("listen"),
        }
    }

    /// Returns the gRPC address of a control plane.
    pub(crate) fn control(&self) -> SocketAddr {
        match self {
            Self::Etcd(cluster) => cluster.control_planes[0].address("control"),
            Self::Embedded(standalone) => standalone.process.address("control"),
        }
    }

    /// Adds a tenant whose secret is its name, and returns its client when the edge serves it.
    pub(crate) async fn tenant(&self, name: &str) -> Result<BbbTestClient> {
        self.admin().add_tenant(name, name, &[]).await?;
        let client = self.client().for_tenant(name, name);
        wait::until("the tenant to be served", || async {
            anyhow::ensure!(client.get("getMeetings", "").await?.is_success());
            Ok(())
        })
        .await?;
        Ok(client)
    }

    /// Returns the running instances of all servers, without ended ones.
    pub(crate) fn running(&self) -> Vec<String> {
        let meetings = self.sims().iter().flat_map(BbbSim::meetings);
        meetings.filter(|meeting| !meeting.ending).map(|meeting| meeting.internal_id).collect()
    }
}
