//! The index of the users of each tenant: sums over the servers that count.

use std::collections::BTreeSet;

use foldhash::{HashMap, HashMapExt};
use usher_model::id::{ServerId, TenantId};

/// The sums, over the servers that count.
#[derive(Debug, Clone)]
pub(super) struct TenantUsers {
    of: HashMap<TenantId, u64>,
    /// Servers whose users are in the sums.
    counted: BTreeSet<ServerId>,
}

impl Default for TenantUsers {
    fn default() -> Self {
        Self { of: HashMap::new(), counted: BTreeSet::new() }
    }
}

impl TenantUsers {
    pub(super) fn of(&self, tenant: &TenantId) -> u64 {
        self.of.get(tenant).copied().unwrap_or(0)
    }

    pub(super) fn add(&mut self, server: &ServerId, users: &HashMap<TenantId, u64>) {
        if self.counted.insert(server.clone()) {
            for (tenant, users) in users {
                *self.of.entry(tenant.clone()).or_default() += users;
            }
        }
    }

    pub(super) fn subtract(&mut self, server: &ServerId, users: &HashMap<TenantId, u64>) {
        if !self.counted.remove(server) {
            return;
        }
        for (tenant, users) in users {
            if let Some(sum) = self.of.get_mut(tenant) {
                *sum -= users;
                if *sum == 0 {
                    self.of.remove(tenant);
                }
            }
        }
    }
}
