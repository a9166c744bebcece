//! The users of each tenant, summed as samples, health and aliases change: every poll of a server
//! with users of a limited tenant needs the sum, and a sum over all servers each time would cost the
//! product of servers and tenants.

use std::collections::BTreeSet;

use usher_model::{
    id::{ServerId, TenantId},
    server::Health,
};

use super::Fleet;

impl Fleet {
    /// Counts the users in a tenant's meetings, as the last samples of the servers that are not
    /// offline list them. The users of a server with two entries count once (ADR 21).
    pub fn users_of(&self, tenant: &TenantId) -> u64 {
        self.users.of(tenant)
    }

    /// Takes the users of an entry, and of the other entries of its server, out of the sums before
    /// the entry changes, and returns these entries.
    pub(super) fn withdraw_users(&mut self, id: &ServerId) -> Vec<ServerId> {
        let entries: Vec<ServerId> = std::iter::once(id).chain(self.aliases_of(id)).cloned().collect();
        for entry in &entries {
            if let Some(server) = self.servers.get(entry) {
                self.users.subtract(entry, server.users_by_tenant());
            }
        }
        entries
    }

    /// Adds the users of entries, and of the other entries of their servers, to the sums if they
    /// count now.
    pub(super) fn add_users(&mut self, changed: &BTreeSet<ServerId>) {
        let with_aliases = changed.iter().flat_map(|id| std::iter::once(id).chain(self.aliases_of(id)));
        let entries: BTreeSet<ServerId> = with_aliases.cloned().collect();
        for entry in &entries {
            let Some(server) = self.servers.get(entry) else { continue };
            if server.health() != Health::Offline && self.original_of(entry).is_none() {
                self.users.add(entry, server.users_by_tenant());
            } else {
                self.users.subtract(entry, server.users_by_tenant());
            }
        }
    }
}
