//! The cell of each tenant, where an edge follows several cells (ADR 40).
//!
//! A tenant belongs to exactly one cell: the one whose table has it. Two cells that both have it are a fault of
//! the operators, or a move. Then the decision is a function of the tables alone, so that all edges with the
//! same tables decide alike: a cell in which the tenant is enabled comes before one in which it is not, then the
//! order of the configuration counts. Tenant `default` exists in every cluster, and is always that of the first
//! cell.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap},
};

use foldhash::quality::RandomState;
use usher_model::id::TenantId;

/// A tenant in the table of one cell.
#[derive(Debug, Clone)]
pub struct TenantClaim {
    /// The id of the tenant.
    pub tenant: TenantId,
    /// The hosts of the tenant, in lower case.
    pub hosts: Vec<String>,
    /// Whether the tenant is enabled.
    pub enabled: bool,
}

/// The table of one cell, as far as it decides the way of a request.
#[derive(Debug, Clone)]
pub struct CellClaims {
    /// The epoch of the store. Two cells with one epoch are one cluster that is configured twice.
    pub epoch: u64,
    /// The tenants.
    pub tenants: Vec<TenantClaim>,
}

/// The tenant of a request, with the cells that have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CellChoice<'r> {
    /// These cells have the tenant, by their place in the configuration, the owner first.
    Claimed {
        /// The tenant.
        tenant: &'r TenantId,
        /// The cells; there is at least one.
        cells: &'r [usize],
        /// Whether no other tenant can be meant. Otherwise the host of the request may be that of a tenant in a
        /// cell whose table was not read.
        certain: bool,
    },
    /// No table that was read has the tenant, and one was not read.
    Unread,
    /// No cell has the tenant.
    Unknown,
}

/// A tenant or a host that several cells have, or a cluster that is configured as several cells.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum ClaimConflict {
    /// The tenant, with its cells, the owner first.
    Tenant(TenantId, Vec<usize>),
    /// The host, which different tenants name, with their cells, the owner's first.
    Host(String, Vec<usize>),
    /// The cells that are one cluster. The first of them is used, and the others count as empty.
    Cluster(Vec<usize>),
}

/// The cells of all tenants.
#[derive(Debug, Default)]
pub struct CellRoutes {
    tenants: HashMap<TenantId, Vec<usize>, RandomState>,
    hosts: HashMap<String, TenantId, RandomState>,
    unread: bool,
    conflicts: Vec<ClaimConflict>,
}

impl CellRoutes {
    /// Returns the routes of the cells with these claims, in the order of the configuration; `None` is a cell whose
    /// table was not read.
    pub fn new(cells: &[Option<CellClaims>]) -> Self {
        let mut routes = Self { unread: cells.iter().any(Option::is_none), ..Self::default() };
        let mut clusters: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
        let mut claims = Vec::new();
        for (cell, read) in cells.iter().enumerate() {
            let Some(CellClaims { epoch, tenants }) = read else { continue };
            let same = clusters.entry(*epoch).or_default();
            same.push(cell);
            if same.len() > 1 {
                continue;
            }
            let owned = |claim: &&TenantClaim| cell == 0 || claim.tenant.as_str() != TenantId::DEFAULT;
            claims.extend(tenants.iter().filter(owned).map(|claim| (cell, claim)));
        }
        let doubles = clusters.into_values().filter(|cells| cells.len() > 1);
        routes.conflicts.extend(doubles.map(ClaimConflict::Cluster));
        // The sort keeps the order of the cells. Within a cell, the host of two tenants is the last one's,
        // as in the table of the cell.
        claims.sort_by_key(|(cell, claim)| (!claim.enabled, *cell, Reverse(&claim.tenant)));
        let mut hosts: BTreeMap<&str, Vec<(usize, &TenantId)>> = BTreeMap::new();
        for (cell, claim) in &claims {
            routes.tenants.entry(claim.tenant.clone()).or_default().push(*cell);
            for host in &claim.hosts {
                hosts.entry(host).or_default().push((*cell, &claim.tenant));
            }
        }
        for (host, claims) in hosts {
            let Some((first, owner)) = claims.first() else { continue };
            routes.hosts.insert(host.to_owned(), TenantId::clone(owner));
            if claims.iter().any(|(cell, tenant)| tenant != owner && cell != first) {
                let cells = claims.iter().map(|(cell, _)| *cell).collect();
                routes.conflicts.push(ClaimConflict::Host(host.to_owned(), cells));
            }
        }
        let shared = routes.tenants.iter().filter(|(_, cells)| cells.len() > 1);
        let shared = shared.map(|(tenant, cells)| ClaimConflict::Tenant(tenant.clone(), cells.clone()));
        routes.conflicts.extend(shared);
        routes.conflicts.sort();
        routes
    }

    /// Returns whether a tenant is identified by the host of a request, or might be.
    pub fn need_host(&self) -> bool {
        self.unread || !self.hosts.is_empty()
    }

    /// Returns the tenant of a request: by its path, else by its host in lower case and without a port, else
    /// `default`.
    pub fn choose(&self, path: Option<&str>, host: Option<&str>) -> CellChoice<'_> {
        if let Some(name) = path {
            return self.claimed(name, true);
        }
        match host.and_then(|host| self.hosts.get(host)) {
            Some(tenant) => self.claimed(tenant.as_str(), true),
            None => self.claimed(TenantId::DEFAULT, !self.unread),
        }
    }

    fn claimed(&self, name: &str, certain: bool) -> CellChoice<'_> {
        match self.tenants.get_key_value(name) {
            Some((tenant, cells)) => CellChoice::Claimed { tenant, cells, certain },
            None if self.unread => CellChoice::Unread,
            None => CellChoice::Unknown,
        }
    }

    /// Returns whether the table of some cell was not read.
    pub fn has_unread(&self) -> bool {
        self.unread
    }

    /// Returns the number of tenants.
    pub fn len(&self) -> usize {
        self.tenants.len()
    }

    /// Returns whether there is no tenant.
    pub fn is_empty(&self) -> bool {
        self.tenants.is_empty()
    }

    /// Returns the tenants and hosts that several cells have, in order.
    pub fn conflicts(&self) -> &[ClaimConflict] {
        &self.conflicts
    }
}

#[cfg(test)]
mod tests;
