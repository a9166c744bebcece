//! This replica's choices that its fleet does not show yet: they count as load at once, so that a
//! burst spreads although no poll and no store event came in between (F1).

use foldhash::{HashMap, HashMapExt};
use usher_model::{id::ServerId, meeting::MeetingKey};

use crate::core::fleet::Fleet;

/// Choices under way, by the token of their placement.
#[derive(Debug, Clone)]
pub struct InflightPlacements {
    choices: HashMap<String, Chosen>,
}

#[derive(Debug, Clone)]
struct Chosen {
    key: MeetingKey,
    server: ServerId,
    users: u32,
}

/// Choices that wait for one server.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct WaitingCreates {
    pub(super) creates: u32,
    pub(super) users: u64,
}

impl Default for InflightPlacements {
    fn default() -> Self {
        Self { choices: HashMap::new() }
    }
}

impl InflightPlacements {
    /// Notes that the placement `token` chose `server`; `users` is its reservation.
    pub fn begin(&mut self, token: &str, key: MeetingKey, server: ServerId, users: u32) {
        self.choices.insert(token.to_owned(), Chosen { key, server, users });
    }

    /// Removes a choice: its plan was refused or abandoned, or the fleet has applied it. A choice that
    /// the fleet shows already no longer counts, so that a late removal does no harm.
    pub fn end(&mut self, token: &str) {
        self.choices.remove(token);
    }

    /// Returns the number of choices under way.
    pub fn len(&self) -> usize {
        self.choices.len()
    }

    /// Returns whether no choice is under way.
    pub fn is_empty(&self) -> bool {
        self.choices.is_empty()
    }

    /// Counts the meetings of `key`'s tenant, other than `key`, that were given a server and that the
    /// fleet does not show.
    pub(super) fn unseen_of_tenant(&self, fleet: &Fleet, key: &MeetingKey) -> usize {
        let unseen = |chosen: &&Chosen| {
            chosen.key.tenant == key.tenant && chosen.key != *key && fleet.record(&chosen.key).is_none()
        };
        self.choices.values().filter(unseen).count()
    }

    /// Sums up by server the choices that the fleet does not show.
    pub(super) fn unseen(&self, fleet: &Fleet) -> HashMap<ServerId, WaitingCreates> {
        let mut waiting: HashMap<ServerId, WaitingCreates> = HashMap::new();
        for (token, chosen) in &self.choices {
            if fleet.record(&chosen.key).is_none_or(|record| record.value.token != *token) {
                let sum = waiting.entry(chosen.server.clone()).or_default();
                sum.creates += 1;
                sum.users += u64::from(chosen.users);
            }
        }
        waiting
    }
}
