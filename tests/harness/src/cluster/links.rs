//! The links between the parts of a cluster, if its builder requested them.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use usher_bbb_sim::BbbSim;

use crate::{
    etcd::WriteFilter,
    link::{FaultyLink, LinkCondition},
};

/// The connections of a cluster that go through links.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct LinkedParts {
    pub(super) stores: bool,
    pub(super) store_writes: bool,
    pub(super) planes: bool,
    pub(super) servers: bool,
}

/// The links of a cluster; a list is empty if the builder did not request it.
#[derive(Debug, Default)]
pub struct ClusterLinks {
    /// The links from each control plane to each etcd node.
    pub stores: Vec<Vec<FaultyLink>>,
    /// The filters in front of the etcd nodes, shared by the control planes.
    pub store_writes: Vec<WriteFilter>,
    /// The links from each edge to each control plane.
    pub planes: Vec<Vec<FaultyLink>>,
    /// The links to each server, shared by control planes and edges.
    pub servers: Vec<FaultyLink>,
}

impl ClusterLinks {
    /// Sets the condition of the links between a control plane and all etcd nodes.
    pub fn set_store(&self, control_plane: usize, condition: LinkCondition) {
        self.stores[control_plane].iter().for_each(|link| link.set(condition));
    }

    /// Sets the condition of the links between an edge and all control planes.
    pub fn set_edge(&self, edge: usize, condition: LinkCondition) {
        self.planes[edge].iter().for_each(|link| link.set(condition));
    }

    /// Sets the condition of the links between all edges and a control plane.
    pub fn set_plane(&self, control_plane: usize, condition: LinkCondition) {
        self.planes.iter().for_each(|links| links[control_plane].set(condition));
    }

    /// Opens every link, for all connections.
    pub fn heal(&self) {
        self.stores.iter().chain(&self.planes).flatten().chain(&self.servers).for_each(FaultyLink::heal);
    }

    /// Returns the addresses by which a control plane reaches these etcd endpoints.
    pub(super) fn store_endpoints(&mut self, control_plane: usize, to: Vec<String>) -> Result<Vec<String>> {
        if self.stores.len() <= control_plane {
            let links = to.iter().map(|url| {
                let address = url.strip_prefix("http://").context("an etcd without TLS")?;
                FaultyLink::start(address.parse()?)
            });
            self.stores.push(links.collect::<Result<_>>()?);
        }
        Ok(urls(&self.stores[control_plane]))
    }

    /// Returns the addresses of the filters in front of these etcd endpoints.
    pub(super) fn filtered_endpoints(&mut self, to: Vec<String>) -> Result<Vec<String>> {
        if self.store_writes.is_empty() {
            let filters = to.iter().map(|url| {
                let address = url.strip_prefix("http://").context("an etcd without TLS")?;
                WriteFilter::start(address.parse()?)
            });
            self.store_writes = filters.collect::<Result<_>>()?;
        }
        Ok(self.store_writes.iter().map(|filter| format!("http://{}", filter.address())).collect())
    }

    /// Returns the addresses by which an edge reaches these control planes.
    pub(super) fn plane_endpoints(&mut self, edge: usize, to: &[SocketAddr]) -> Result<Vec<String>> {
        if self.planes.len() <= edge {
            self.planes.push(to.iter().map(|address| FaultyLink::start(*address)).collect::<Result<_>>()?);
        }
        Ok(urls(&self.planes[edge]))
    }

    /// Puts a link in front of a server, and returns the base address of the server for all other
    /// parts.
    pub(super) fn server(&mut self, sim: &BbbSim) -> Result<String> {
        let link = FaultyLink::start(sim.address())?;
        let base = format!("http://{}", link.address());
        self.servers.push(link);
        Ok(base)
    }
}

fn urls(links: &[FaultyLink]) -> Vec<String> {
    links.iter().map(|link| format!("http://{}", link.address())).collect()
}
