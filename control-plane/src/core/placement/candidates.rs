//! The servers that a choice looks at, by the pools of the tenant and the request.

use std::{cell::Cell, time::Duration};

use usher_model::{
    id::ServerId,
    server::{AdminState, Health},
    settings::PlacementSettings,
};

use super::{inflight::InflightPlacements, request::PlacementRequest, tag::TagWish};
use crate::core::{
    fleet::{CandidateIndex, Fleet, FleetServer},
    now::Now,
};

/// Share of its weight that a server which just came back starts with (E3).
const SLOW_START_LEAST: f64 = 0.1;
/// Relative error that the order by load allows for, because a score is computed in other steps.
const ROUNDING: f64 = 1e-9;

/// The way in which candidates are visited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CandidateOrder {
    /// By their load, as far as there is an index.
    Indexed,
    /// All of them. The reference for tests.
    #[cfg(test)]
    All,
}

/// Which servers are looked at. A tenant that must have a tag gets no others in either case.
#[derive(Debug, Clone, Copy)]
pub(super) enum CandidatePool<'a> {
    /// Those that match a wish.
    Tagged(&'a TagWish),
    /// Where there is no wish, or none that must be met: those without tags, or all of the tenant's.
    Others,
}

/// Servers of a pool fall into these classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CandidateClass {
    /// Online, load known and recent.
    Good,
    /// Used where no good one can take the meeting: unhealthy, or its sample is old.
    Last,
    /// Never used: offline, or without a sample.
    Out,
}

pub(super) struct ServerChooser<'a> {
    pub(super) fleet: &'a Fleet,
    pub(super) request: &'a PlacementRequest,
    pub(super) barred: Vec<ServerId>,
    pub(super) now: Now,
    pub(super) order: CandidateOrder,
    /// Number of servers that were scored.
    pub(super) scored: Cell<u32>,
    pub(super) inflight: &'a InflightPlacements,
    pub(super) floor: f64,
    /// Servers that the tenant may use, and prefers.
    pub(super) pool: TagWish,
    pub(super) seed: u64,
}

impl ServerChooser<'_> {
    /// Returns the index of the servers of a pool, if there is one.
    pub(super) fn index(&self, among: CandidatePool<'_>) -> Option<&CandidateIndex> {
        match among {
            CandidatePool::Others if self.order == CandidateOrder::Indexed && !self.pool.is_required() => {
                self.fleet.candidates()
            }
            CandidatePool::Others | CandidatePool::Tagged(_) => None,
        }
    }

    /// Visits the good servers of a pool: all of those that may score at most `bound`, for as long
    /// as that does not grow.
    pub(super) fn good<'s: 'b, 'b>(
        &'s self,
        among: CandidatePool<'s>,
        bound: &'b Cell<f64>,
    ) -> Box<dyn Iterator<Item = &'s FleetServer> + 'b> {
        let is_good = |server: &&FleetServer| self.standing(server) == CandidateClass::Good;
        let Some(index) = self.index(among) else {
            return Box::new(self.members(among).filter(is_good));
        };
        // No server adds less for this meeting than the one with the largest weight.
        let least = self.floor / index.largest_weight();
        let close =
            index.by_load().take_while(move |(load, _)| (load + least) * (1.0 - ROUNDING) <= bound.get());
        Box::new(close.filter_map(|(_, id)| self.fleet.server(id)).filter(is_good))
    }

    pub(super) fn members<'s>(&'s self, among: CandidatePool<'s>) -> impl Iterator<Item = &'s FleetServer> {
        let confined = self.pool.is_required();
        self.fleet.servers().filter(move |server| {
            let tags = &server.stored.value.tags;
            server.admin() == AdminState::Enabled
                && self.fleet.original_of(server.id()).is_none()
                && (!confined || self.pool.matches(tags))
                && match among {
                    CandidatePool::Tagged(wish) => wish.matches(tags),
                    CandidatePool::Others => confined || tags.is_empty(),
                }
        })
    }

    pub(super) fn standing(&self, server: &FleetServer) -> CandidateClass {
        match (server.health(), server.sample_age(self.now.instant)) {
            (Health::Offline, _) | (_, None) => CandidateClass::Out,
            (Health::Online, Some(age)) if age <= self.fleet.policy().sample_max_age() => {
                CandidateClass::Good
            }
            (Health::Online | Health::Unhealthy, Some(_)) => CandidateClass::Last,
        }
    }

    /// Returns the share of its weight a server works with while it starts (E3).
    pub(super) fn slow(&self, server: &FleetServer) -> f64 {
        let window: Duration = self.settings().slow_start;
        let Some(since) = server.online_since().filter(|_| !window.is_zero()) else { return 1.0 };
        let age = self.now.instant.saturating_duration_since(since);
        (age.as_secs_f64() / window.as_secs_f64()).clamp(SLOW_START_LEAST, 1.0)
    }

    pub(super) fn settings(&self) -> &PlacementSettings {
        &self.fleet.policy().placement
    }
}
