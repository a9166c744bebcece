//! This replica's choices that its fleet does not show yet: they count as load at once, so that a
//! burst spreads although no poll and no store event came in between (F1).
//!
//! The sums are kept as choices come and go. The fleet's log of placements says which choices it
//! shows by now, so that a choice costs the same however many are under way.

use foldhash::{HashMap, HashMapExt};
use usher_model::{
    id::{ServerId, TenantId},
    meeting::MeetingKey,
};

use crate::core::fleet::{Fleet, PlacedPlace};

/// Choices under way, by the token of their placement.
#[derive(Debug, Clone)]
pub struct InflightPlacements {
    choices: HashMap<String, Chosen>,
    /// Tokens of the choices for each meeting; mostly one.
    of: HashMap<MeetingKey, Vec<String>>,
    /// Sums of the choices that the fleet does not show.
    waiting: HashMap<ServerId, WaitingCreates>,
    /// Number of choices of each tenant for meetings without a record.
    new_meetings: HashMap<TenantId, usize>,
    /// Tokens of choices that were begun since the fleet was seen.
    fresh: Vec<String>,
    seen: PlacedPlace,
    /// Number of choices that were compared with the fleet.
    #[cfg(test)]
    pub(super) compared: u64,
}

#[derive(Debug, Clone)]
struct Chosen {
    key: MeetingKey,
    server: ServerId,
    users: u32,
    /// Whether the fleet does not show the choice.
    unseen: bool,
    /// Whether the fleet shows no record of the meeting.
    is_new: bool,
}

/// Choices that wait for one server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct WaitingCreates {
    pub(super) creates: u32,
    pub(super) users: u64,
}

impl Default for InflightPlacements {
    fn default() -> Self {
        Self {
            choices: HashMap::new(),
            of: HashMap::new(),
            waiting: HashMap::new(),
            new_meetings: HashMap::new(),
            fresh: Vec::new(),
            seen: PlacedPlace::default(),
            #[cfg(test)]
            compared: 0,
        }
    }
}

impl InflightPlacements {
    /// Notes that the placement `token` chose `server`; `users` is its reservation.
    pub fn begin(&mut self, token: &str, key: MeetingKey, server: ServerId, users: u32) {
        self.end(token);
        let sum = self.waiting.entry(server.clone()).or_default();
        sum.creates += 1;
        sum.users += u64::from(users);
        *self.new_meetings.entry(key.tenant.clone()).or_default() += 1;
        self.of.entry(key.clone()).or_default().push(token.to_owned());
        self.fresh.push(token.to_owned());
        self.choices.insert(token.to_owned(), Chosen { key, server, users, unseen: true, is_new: true });
    }

    /// Removes a choice: its plan was refused or abandoned, or the fleet has applied it. A choice that
    /// the fleet shows already no longer counts, so that a late removal does no harm.
    pub fn end(&mut self, token: &str) {
        self.note(token, true, true);
        let Some(chosen) = self.choices.remove(token) else { return };
        if let Some(tokens) = self.of.get_mut(&chosen.key) {
            tokens.retain(|other| other != token);
            if tokens.is_empty() {
                self.of.remove(&chosen.key);
            }
        }
    }

    /// Compares the choices with the fleet: those that it shows by now no longer count. A choice is
    /// compared once, and again when the fleet has applied a placement of its meeting.
    pub fn see(&mut self, fleet: &Fleet) {
        let (placed, now) = fleet.placed_since(self.seen);
        self.seen = now;
        let mut changed = std::mem::take(&mut self.fresh);
        match placed {
            Some(placed) => {
                changed.extend(placed.filter_map(|record| self.of.get(&record.key)).flatten().cloned());
            }
            None => changed = self.choices.keys().cloned().collect(),
        }
        for token in changed {
            let Some(chosen) = self.choices.get(&token) else { continue };
            let record = fleet.record(&chosen.key);
            let shown = record.is_some_and(|record| record.value.token == token);
            let exists = record.is_some();
            self.note(&token, shown, exists);
        }
    }

    /// Takes a choice out of the sums that it no longer belongs to.
    fn note(&mut self, token: &str, shown: bool, exists: bool) {
        #[cfg(test)]
        {
            self.compared += 1;
        }
        let Some(chosen) = self.choices.get_mut(token) else { return };
        if shown && std::mem::take(&mut chosen.unseen) {
            let sum = self.waiting.entry(chosen.server.clone()).or_default();
            sum.creates -= 1;
            sum.users -= u64::from(chosen.users);
            if sum.creates == 0 {
                self.waiting.remove(&chosen.server);
            }
        }
        if exists && std::mem::take(&mut chosen.is_new) {
            let count = self.new_meetings.entry(chosen.key.tenant.clone()).or_default();
            *count -= 1;
            if *count == 0 {
                self.new_meetings.remove(&chosen.key.tenant);
            }
        }
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
    /// fleet did not show when it was last seen.
    pub(super) fn unseen_of_tenant(&self, key: &MeetingKey) -> usize {
        let own = self.of.get(key).into_iter().flatten();
        let own = own.filter(|token| self.choices.get(*token).is_some_and(|chosen| chosen.is_new)).count();
        self.new_meetings.get(&key.tenant).map_or(0, |count| count - own)
    }

    /// Returns the choices for a server that the fleet did not show when it was last seen.
    pub(super) fn waiting_on(&self, server: &ServerId) -> WaitingCreates {
        self.waiting.get(server).copied().unwrap_or_default()
    }
}
