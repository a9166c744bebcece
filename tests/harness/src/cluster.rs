//! A complete cluster: etcd, control planes, edges and simulated servers.

mod builder;
mod level;
mod links;
mod program_options;
mod settings;

use std::net::SocketAddr;

use anyhow::{Result, ensure};
use usher_bbb_sim::BbbSim;

pub use self::{
    builder::ClusterBuilder,
    links::ClusterLinks,
    settings::{environment_name, quick_settings},
};
use self::{links::LinkedParts, program_options::ProgramOptions};
use crate::{
    admin::TestAdmin,
    client::BbbTestClient,
    etcd::EtcdCluster,
    process::{ProgramEnvironment, RunningProgram},
    programs::ProgramKind,
};

/// The secret of the application in every test.
pub const SECRET: &str = "an application's secret";

/// A running cluster; dropping it ends every process.
#[derive(Debug)]
pub struct TestCluster {
    /// The control planes. Fields are dropped in this order: programs end before the parts that
    /// they need.
    pub control_planes: Vec<RunningProgram>,
    /// The edge proxies, by index.
    pub edges: Vec<RunningProgram>,
    /// The simulated servers; the one at index `n` has the id `bbb-n`.
    pub sims: Vec<BbbSim>,
    /// The address of each server for all other parts, `http://host:port`: that of its link if it
    /// has one.
    pub bases: Vec<String>,
    /// The links between the parts, if the builder requested them.
    pub links: ClusterLinks,
    etcd: Option<EtcdCluster>,
    programs: ProgramOptions,
    linked: LinkedParts,
}

impl TestCluster {
    /// Returns a BBB client of one edge.
    pub fn client(&self, edge: usize) -> BbbTestClient {
        BbbTestClient::new(self.edges[edge].address("listen"), SECRET)
    }

    /// Returns an admin client of one control plane.
    pub fn admin(&self, control_plane: usize) -> TestAdmin {
        TestAdmin::new(self.control_planes[control_plane].address("control"))
    }

    /// Returns the gRPC address of one control plane.
    pub fn control_address(&self, control_plane: usize) -> SocketAddr {
        self.control_planes[control_plane].address("control")
    }

    /// Returns the store under test.
    ///
    /// # Panics
    /// After [`TestCluster::stop_etcd`].
    pub fn etcd(&self) -> &EtcdCluster {
        self.etcd.as_ref().expect("etcd was not stopped")
    }

    /// Returns the store under test, for faults.
    ///
    /// # Panics
    /// After [`TestCluster::stop_etcd`].
    pub fn etcd_mut(&mut self) -> &mut EtcdCluster {
        self.etcd.as_mut().expect("etcd was not stopped")
    }

    /// Stops etcd for the rest of the test.
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

    /// Ends a control plane as an init system does (SIGTERM) and starts it again at the same
    /// address.
    ///
    /// # Errors
    /// When it does not end cleanly, or does not become ready.
    pub async fn restart_control_plane(&mut self, number: usize) -> Result<()> {
        let status = self.control_planes[number].terminate().await?;
        ensure!(status.success(), "control plane {number} ended, {status}");
        self.revive_control_plane(number).await
    }

    /// Starts a control plane that has ended, at the same address.
    ///
    /// # Errors
    /// When it does not become ready.
    pub async fn revive_control_plane(&mut self, number: usize) -> Result<()> {
        let address = self.control_address(number).to_string();
        self.control_planes[number] = self.control_plane(number, &address).await?;
        Ok(())
    }

    async fn control_plane(&mut self, number: usize, address: &str) -> Result<RunningProgram> {
        let mut endpoints = self.etcd().endpoints();
        if self.linked.store_writes {
            endpoints = self.links.filtered_endpoints(endpoints)?;
        }
        if self.linked.stores {
            endpoints = self.links.store_endpoints(number, endpoints)?;
        }
        let mut settings = self.settings(&[("control", address)]);
        settings.insert(environment_name("leader.replica"), format!("control-plane-{number}"));
        settings.insert(environment_name("store.kind"), "etcd".to_owned());
        settings.insert(environment_name("store.endpoints"), endpoints.join(","));
        self.start(&format!("control plane {number}"), ProgramKind::ControlPlane, &settings).await
    }

    /// Sets an environment variable for all programs that start from now on.
    pub fn set_environment(&mut self, name: &str, value: &str) {
        self.programs.settings.insert(name.to_owned(), value.to_owned());
    }

    /// Starts one more edge, which gets the addresses of all current control planes.
    ///
    /// # Errors
    /// When it does not become ready.
    pub async fn add_edge(&mut self) -> Result<()> {
        let process = self.edge(self.edges.len(), "127.0.0.1:0").await?;
        self.edges.push(process);
        Ok(())
    }

    /// Ends an edge as an init system does (SIGTERM) and starts it again at the same address.
    ///
    /// # Errors
    /// When it does not end cleanly, or does not become ready.
    pub async fn restart_edge(&mut self, number: usize) -> Result<()> {
        let status = self.edges[number].terminate().await?;
        ensure!(status.success(), "edge {number} ended, {status}");
        self.revive_edge(number).await
    }

    /// Starts an edge that has ended, at the same address.
    ///
    /// # Errors
    /// When it does not become ready.
    pub async fn revive_edge(&mut self, number: usize) -> Result<()> {
        let address = self.edges[number].address("listen").to_string();
        self.edges[number] = self.edge(number, &address).await?;
        Ok(())
    }

    async fn edge(&mut self, number: usize, address: &str) -> Result<RunningProgram> {
        let addresses: Vec<SocketAddr> =
            self.control_planes.iter().map(|process| process.address("control")).collect();
        let endpoints = if self.linked.planes {
            self.links.plane_endpoints(number, &addresses)?
        } else {
            addresses.iter().map(|address| format!("http://{address}")).collect()
        };
        let mut settings = self.settings(&[("listen", address)]);
        settings.insert(environment_name("edge.id"), format!("edge-{number}"));
        settings.insert(environment_name("edge.control_plane"), endpoints.join(","));
        self.start(&format!("edge {number}"), ProgramKind::EdgeProxy, &settings).await
    }

    async fn start(
        &self,
        name: &str,
        program: ProgramKind,
        settings: &ProgramEnvironment,
    ) -> Result<RunningProgram> {
        let process = RunningProgram::start(name, program, &[], settings).await?;
        let process = if self.programs.errors_expected { process.expecting_errors() } else { process };
        Ok(if self.programs.without_output { process.without_output() } else { process })
    }

    fn settings(&self, more: &[(&str, &str)]) -> ProgramEnvironment {
        let mut settings = self.programs.settings.clone();
        let always = [("ops", "127.0.0.1:0"), ("secrets", SECRET)];
        for (key, value) in always.iter().chain(more) {
            settings.insert(environment_name(key), (*value).to_owned());
        }
        settings
    }
}
