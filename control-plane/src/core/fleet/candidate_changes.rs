//! Keeps the index of candidates in step with the servers.

use std::collections::BTreeSet;

use usher_model::{
    id::ServerId,
    server::{AdminState, Health},
};

use super::{CandidateIndex, Fleet, candidates::CandidateValues};
use crate::core::plan::FleetEvent;

impl Fleet {
    /// Returns the index of the enabled servers without tags; `None` while one BBB server has two
    /// entries, of which only one takes meetings (ADR 21).
    pub fn candidates(&self) -> Option<&CandidateIndex> {
        self.aliases.is_empty().then_some(&self.candidates)
    }

    /// Returns the users of the meetings that may run on a server: creates without an answer, until
    /// a poll shows them. Without this load a server that answers no create would look idle, and
    /// would get every create.
    pub fn suspected_on(&self, server: &ServerId) -> f64 {
        self.suspects_on(server) as f64 * f64::from(self.policy.placement.min_users.max(1))
    }

    /// Notes the servers whose load or standing an event changes, before it is applied.
    pub(super) fn touch_candidates(&self, event: &FleetEvent, touched: &mut BTreeSet<ServerId>) {
        match event {
            FleetEvent::Server(id, _) | FleetEvent::Health(id, _) | FleetEvent::Sample(id, _) => {
                touched.insert(id.clone());
            }
            FleetEvent::Record(key, stored) => {
                let records = self.record(key).into_iter().chain(stored);
                touched.extend(records.map(|record| record.value.server.clone()));
            }
            FleetEvent::Zombie(key, _) => {
                touched.insert(key.server.clone());
            }
            FleetEvent::Tenant(..) | FleetEvent::Voice(..) => {}
        }
    }

    /// Sets the values of these servers in the index.
    pub(super) fn index_candidates(&mut self, touched: &BTreeSet<ServerId>) {
        for id in touched {
            let server = self.servers.get(id).filter(|server| {
                server.admin() == AdminState::Enabled && server.stored.value.tags.is_empty()
            });
            let values = server.map(|server| {
                let online = server.health() == Health::Online;
                let load = (server.effective_load() as f64 + self.suspected_on(id)) / server.weight();
                CandidateValues {
                    weight: server.weight(),
                    load: online.then_some(load),
                    sampled_at: server.sample_applied_at.filter(|_| online),
                    online_since: server.online_since(),
                }
            });
            self.candidates.set(id, values);
        }
    }
}
