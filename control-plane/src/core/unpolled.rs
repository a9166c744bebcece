//! The servers and tenants that must be known again after the loss of a store: those that a replica or
//! an edge still knew, and the servers that stored records name. A meeting without a record may still
//! run on one of these servers until each of them was polled and each tenant is known again, or until
//! five minutes have passed (F7).

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use usher_model::id::{ServerId, TenantId};

use crate::core::fleet::{Fleet, FleetServer};

/// Time after which Usher stops waiting for the servers of a lost store: an operator restores them
/// within minutes or not at all, and meanwhile unknown ids get the retryable error.
const WITHIN: Duration = Duration::from_mins(5);

/// Greatest number of servers, and of tenants, that are remembered: edges report them, and an edge may
/// be hostile.
const MOST: usize = 10_000;

/// Whether meetings that ran before an epoch may still be unknown in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EpochAge {
    /// The epoch began a short time ago: the store still holds the names of unpolled servers.
    Young,
    /// The epoch has lasted longer than the wait for unpolled servers.
    Old,
}

/// The names of servers and tenants from before the loss.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RememberedNames {
    /// The servers that had meetings.
    pub servers: BTreeSet<ServerId>,
    /// The tenants of the routing table.
    pub tenants: BTreeSet<TenantId>,
}

impl RememberedNames {
    /// Adds names up to the limit; returns whether any of them is new.
    pub fn add(&mut self, others: Self) -> bool {
        let before = self.servers.len() + self.tenants.len();
        let room = |held: usize| MOST.saturating_sub(held);
        let (servers, tenants) = (room(self.servers.len()), room(self.tenants.len()));
        self.servers.extend(others.servers.into_iter().take(servers));
        self.tenants.extend(others.tenants.into_iter().take(tenants));
        self.servers.len() + self.tenants.len() > before
    }

    /// Returns whether no name is remembered.
    pub fn is_empty(&self) -> bool {
        self.servers.is_empty() && self.tenants.is_empty()
    }
}

/// The servers and tenants for which one epoch waits.
#[derive(Debug, Clone, Default)]
pub struct UnpolledAfterLoss {
    /// Their names.
    pub names: RememberedNames,
    until: Option<Instant>,
}

impl UnpolledAfterLoss {
    /// Begins an epoch after the fleet `before`. Names that were still missing then are kept. An epoch
    /// that is old when this replica joins it waits for no name: its servers were polled long ago.
    pub fn begin(&mut self, before: &Fleet, age: EpochAge, now: Instant) {
        if !self.goes_on(before, now) {
            self.names = RememberedNames::default();
        }
        let servers = before.servers().map(FleetServer::id);
        let servers = servers.filter(|id| before.record_count_on(id) > 0).cloned().collect();
        let tenants = before.tenants().map(|stored| stored.value.id.clone()).collect();
        self.names.add(RememberedNames { servers, tenants });
        self.until = (age == EpochAge::Young).then(|| now + WITHIN);
    }

    /// Returns the time at which the wait ends in any case.
    pub fn until(&self) -> Option<Instant> {
        self.until
    }

    /// Adds names from an edge; returns whether any of them is new. Names that arrive after the wait has
    /// ended are ignored, because they say no more about the loss.
    pub fn add(&mut self, names: RememberedNames, now: Instant) -> bool {
        self.until.is_some_and(|until| now < until) && self.names.add(names)
    }

    /// Returns whether `fleet` still lacks a poll of a remembered server, a remembered tenant, or the
    /// server of a record.
    pub fn goes_on(&self, fleet: &Fleet, now: Instant) -> bool {
        let asked = |id| fleet.server(id).is_some_and(|server| fleet.knows(server));
        let known = |id| fleet.tenant(id).is_some();
        let RememberedNames { servers, tenants } = &self.names;
        // A store that is restored key by key may hold records before it holds their servers.
        let mut named = fleet.servers_with_records();
        self.until.is_some_and(|until| now < until)
            && !(servers.iter().all(asked)
                && tenants.iter().all(known)
                && named.all(|id| fleet.server(id).is_some()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::{plan::PlanWrite, policy::Policy, testkit};

    fn names(servers: &[&str]) -> RememberedNames {
        RememberedNames {
            servers: servers.iter().map(|id| testkit::sid(id)).collect(),
            tenants: BTreeSet::new(),
        }
    }

    #[test]
    fn f7_a_server_is_awaited_until_it_was_asked_or_time_is_over() {
        let mut bench = testkit::FleetBench::with_servers(Policy::default(), &["a"]);
        let (now, empty) = (bench.now.instant, Fleet::new(8, Policy::default()));
        let mut awaited = UnpolledAfterLoss::default();
        assert!(!awaited.add(names(&["a"]), now), "no epoch has begun");
        awaited.begin(&empty, EpochAge::Young, now);
        assert!(!awaited.goes_on(&empty, now), "no name is remembered");
        assert!(awaited.add(names(&["a", "b"]), now) && !awaited.add(names(&["b"]), now));
        assert!(awaited.goes_on(&bench.fleet, now), "`b` is not known again");
        bench.write(PlanWrite::server(testkit::server("b")));
        assert!(awaited.goes_on(&bench.fleet, now), "`b` was not asked");
        assert!(!awaited.goes_on(&bench.fleet, now + WITHIN));
        bench.write(PlanWrite::Sample(testkit::sid("b"), testkit::sample(1, &[])));
        assert!(!awaited.goes_on(&bench.fleet, now));
        assert!(!awaited.add(names(&["c"]), now + WITHIN), "an edge that was away for long");
    }

    #[test]
    fn i10_an_epoch_that_lasts_awaits_no_name_of_an_edge() {
        let (now, empty) = (std::time::Instant::now(), Fleet::new(8, Policy::default()));
        let mut awaited = UnpolledAfterLoss::default();
        awaited.begin(&empty, EpochAge::Old, now);
        assert!(!awaited.add(names(&["ghost"]), now) && !awaited.goes_on(&empty, now));
        awaited.begin(&empty, EpochAge::Young, now);
        let flood: Vec<String> = (0..MOST + 5).map(|number| format!("s{number}")).collect();
        let flood: Vec<&str> = flood.iter().map(String::as_str).collect();
        assert!(awaited.add(names(&flood), now));
        assert_eq!(awaited.names.servers.len(), MOST);
        assert!(!awaited.add(names(&["one-more"]), now));
    }

    #[test]
    fn i10_a_server_that_a_record_names_is_awaited_although_no_replica_knew_it() {
        let mut bench = testkit::FleetBench::with_servers(Policy::default(), &["a"]);
        let (now, mut awaited) = (bench.now.instant, UnpolledAfterLoss::default());
        awaited.begin(&Fleet::new(8, Policy::default()), EpochAge::Young, now);
        let record = testkit::record("b", "m-1");
        bench.write(PlanWrite::Record(testkit::key("m"), record));
        assert!(awaited.goes_on(&bench.fleet, now));
        assert!(!awaited.goes_on(&bench.fleet, now + WITHIN), "the wait has ended");
        bench.write(PlanWrite::server(testkit::server("b")));
        assert!(!awaited.goes_on(&bench.fleet, now));
    }
}
