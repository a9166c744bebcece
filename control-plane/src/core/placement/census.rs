//! The numbers of a pool's servers, which decide whether unhealthy ones may take a meeting.

use std::{collections::BTreeSet, time::Duration};

use usher_model::{id::ServerId, server::Health};

use super::candidates::{CandidateClass, CandidatePool, ServerChooser};

/// Numbers of a pool's servers, counted before choosing.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct PoolCensus {
    pub(super) enabled: u32,
    pub(super) online: u32,
    pub(super) fresh: u32,
    /// Of those, the ones this meeting can go to.
    pub(super) open: u32,
    pub(super) starting: u32,
}

impl ServerChooser<'_> {
    /// Counts the enabled servers among some; none when there is not one.
    pub(super) fn census(&self, among: CandidatePool<'_>) -> Option<PoolCensus> {
        let Some(index) = self.index(among) else { return self.census_of_all(among) };
        let count = |servers: usize| u32::try_from(servers).unwrap_or(u32::MAX);
        let before = |age: Duration| self.now.instant.checked_sub(age);
        let fresh = index.sampled_since(before(self.fleet.policy().sample_max_age()));
        let barred: BTreeSet<&ServerId> = self.barred.iter().filter(|id| index.contains(id)).collect();
        let barred = barred.into_iter().filter_map(|id| self.fleet.server(id));
        let closed = barred.filter(|server| self.standing(server) == CandidateClass::Good).count();
        let window = Some(self.settings().slow_start).filter(|window| !window.is_zero());
        let census = PoolCensus {
            enabled: count(index.enabled()),
            online: count(index.online()),
            fresh: count(fresh),
            open: count(fresh - closed),
            starting: window.map_or(0, |window| count(index.started_after(before(window)))),
        };
        (census.enabled > 0).then_some(census)
    }

    fn census_of_all(&self, among: CandidatePool<'_>) -> Option<PoolCensus> {
        let mut census = PoolCensus::default();
        for server in self.members(among) {
            census.enabled += 1;
            census.online += u32::from(server.health() == Health::Online);
            let is_good = self.standing(server) == CandidateClass::Good;
            census.fresh += u32::from(is_good);
            census.open += u32::from(is_good && !self.barred.contains(server.id()));
            census.starting += u32::from(self.slow(server) < 1.0);
        }
        (census.enabled > 0).then_some(census)
    }

    /// Returns whether so few servers can take the meeting that unhealthy ones may (E5).
    pub(super) fn few_are_online(&self, census: PoolCensus) -> bool {
        let share = f64::from(census.open) / f64::from(census.enabled);
        share < self.settings().panic_threshold || census.open == 0
    }
}
