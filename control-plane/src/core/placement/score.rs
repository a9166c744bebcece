//! The server with the lowest score among some.

use std::{cell::Cell, time::Duration};

use super::{
    candidates::{CandidateClass, CandidatePool, ServerChooser},
    request::WhenFull,
};
use crate::core::fleet::FleetServer;

/// A server whose pending creates have not moved for this long is slow, and no create waits for it.
pub(super) const SLOW: Duration = Duration::from_millis(300);
/// How much better a full server must be at most to be waited for, in meetings.
const NEAR: f64 = 2.0;

impl ServerChooser<'_> {
    /// Returns the server of that standing with the lowest score that is not full, and whether one is full.
    pub(super) fn best<'s>(
        &'s self,
        among: CandidatePool<'s>,
        standing: CandidateClass,
        slowed: bool,
    ) -> (Option<CandidateScore<'s>>, bool) {
        let (mut best, mut saturated): (Option<CandidateScore<'s>>, bool) = (None, false);
        let bound = Cell::new(f64::INFINITY);
        let candidates: Box<dyn Iterator<Item = &'s FleetServer> + '_> = match standing {
            CandidateClass::Good => self.good(among, &bound),
            _ => Box::new(self.members(among).filter(|server| self.standing(server) == standing)),
        };
        for server in candidates {
            let Some(score) = self.score(server, slowed, bound.get()) else { continue };
            if score.full {
                saturated = true;
            } else if best.as_ref().is_none_or(|best| score.beats(best)) {
                bound.set(score.value);
                best = Some(score);
            }
        }
        (best, saturated)
    }

    /// Scores a server that may take the meeting and does not score above `bound`.
    fn score<'s>(&self, server: &'s FleetServer, slowed: bool, bound: f64) -> Option<CandidateScore<'s>> {
        self.scored.set(self.scored.get().saturating_add(1));
        let slow = if slowed { self.slow(server) } else { 1.0 };
        let per_user = 1.0 / (server.weight() * slow);
        let suspected = self.fleet.suspected_on(server.id());
        let known = (server.effective_load() as f64 + suspected + self.floor) * per_user;
        if known > bound || self.barred.contains(server.id()) {
            return None;
        }
        let waiting = self.inflight.waiting_on(server.id());
        Some(CandidateScore {
            value: known + waiting.users as f64 * per_user,
            step: self.floor * per_user,
            full: server.unanswered() + waiting.creates >= self.settings().max_inflight_creates,
            tie: mix(self.seed, server.tie_seed),
            server,
        })
    }

    /// Returns whether a full server is a little better than `best` and will take a create in a moment,
    /// because its creates move. In a level fleet, waiting for it keeps a burst level (F1). A server
    /// that is far better will be filled up later, and is passed over meanwhile (F5).
    pub(super) fn a_better_one_is_near(
        &self,
        among: CandidatePool<'_>,
        slowed: bool,
        best: &CandidateScore<'_>,
    ) -> bool {
        let moves = |server: &FleetServer| server.at_rest(self.now.instant).is_none_or(|rest| rest < SLOW);
        let bound = Cell::new(best.value);
        self.request.when_full == WhenFull::Wait
            && self.good(among, &bound).filter_map(|server| self.score(server, slowed, best.value)).any(
                |score| {
                    let gap = best.value - score.value;
                    score.full && gap > 0.0 && gap <= NEAR * score.step && moves(score.server)
                },
            )
    }
}

/// Lower wins; ties fall to the hash.
pub(super) struct CandidateScore<'a> {
    value: f64,
    /// Score that one more meeting of this size adds.
    step: f64,
    /// It has as many pending creates as it may.
    full: bool,
    tie: u64,
    pub(super) server: &'a FleetServer,
}

impl CandidateScore<'_> {
    fn beats(&self, other: &Self) -> bool {
        self.value.total_cmp(&other.value).then(self.tie.cmp(&other.tie)).is_lt()
    }
}

/// Mixes two hashes (the finalizer of splitmix64, public domain).
fn mix(a: u64, b: u64) -> u64 {
    let mut x = a ^ b.rotate_left(32);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}
