//! Links between the parts of a cluster, where its builder asked for them.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use usher_bbb_sim::BbbSim;

use crate::link::{Condition, Link};

/// Which connections of a cluster go through links.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Linked {
    pub(super) stores: bool,
    pub(super) planes: bool,
    pub(super) servers: bool,
}

/// The links of a cluster; those that were not asked for are not there.
#[derive(Debug, Default)]
pub struct Links {
    /// From each control plane to each etcd member.
    pub stores: Vec<Vec<Link>>,
    /// From each edge to each control plane.
    pub planes: Vec<Vec<Link>>,
    /// To each server, for control planes and edges alike.
    pub servers: Vec<Link>,
}

impl Links {
    /// Sets the condition between a control plane and all of etcd.
    pub fn set_store(&self, control_plane: usize, condition: Condition) {
        self.stores[control_plane].iter().for_each(|link| link.set(condition));
    }

    /// Sets the condition between an edge and all control planes.
    pub fn set_edge(&self, edge: usize, condition: Condition) {
        self.planes[edge].iter().for_each(|link| link.set(condition));
    }

    /// Sets the condition between all edges and a control plane.
    pub fn set_plane(&self, control_plane: usize, condition: Condition) {
        self.planes.iter().for_each(|links| links[control_plane].set(condition));
    }

    /// Opens every link.
    pub fn heal(&self) {
        self.stores.iter().chain(&self.planes).flatten().chain(&self.servers).for_each(Link::heal);
    }

    /// Returns what a control plane uses for these endpoints.
    pub(super) fn store_endpoints(&mut self, control_plane: usize, to: Vec<String>) -> Result<Vec<String>> {
        if self.stores.len() <= control_plane {
            let links = to.iter().map(|url| {
                let address = url.strip_prefix("http://").context("an etcd without TLS")?;
                Link::start(address.parse()?)
            });
            self.stores.push(links.collect::<Result<_>>()?);
        }
        Ok(urls(&self.stores[control_plane]))
    }

    /// Returns what an edge uses for these control planes.
    pub(super) fn plane_endpoints(&mut self, edge: usize, to: &[SocketAddr]) -> Result<Vec<String>> {
        if self.planes.len() <= edge {
            self.planes.push(to.iter().map(|address| Link::start(*address)).collect::<Result<_>>()?);
        }
        Ok(urls(&self.planes[edge]))
    }

    /// Puts a link before a server, and returns the server's base as everybody is to know it.
    pub(super) fn server(&mut self, sim: &BbbSim) -> Result<String> {
        let link = Link::start(sim.address())?;
        let base = format!("http://{}", link.address());
        self.servers.push(link);
        Ok(base)
    }
}

fn urls(links: &[Link]) -> Vec<String> {
    links.iter().map(|link| format!("http://{}", link.address())).collect()
}
