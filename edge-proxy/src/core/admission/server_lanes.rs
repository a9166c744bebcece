//! The calls under way at each server, reads apart from the others, so that a server that hangs takes
//! neither the whole edge nor, with its reads, the creates.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use usher_bbb::call::{ApiCall, CallStrategy};
use usher_model::id::{ServerId, TenantId};

use super::{
    fair_share::ShareTerms,
    share_pool::{HeldShare, SharePool},
};

/// The largest number of servers whose idle lanes are kept. More servers than these come only from a long
/// history of removed ones.
const IDLE_MAX: usize = 1024;

/// One of the two groups of calls of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ServerLane {
    /// Calls that change nothing.
    Reads,
    /// Creates, ends, documents and changes of recordings.
    Writes,
}

impl ServerLane {
    /// Returns the lane of a call.
    pub fn of(call: ApiCall) -> Self {
        if call.is_read() { Self::Reads } else { Self::Writes }
    }
}

/// The owner of a call in a lane: a tenant, or `None` for a list that all tenants share.
type LaneOwner = Option<TenantId>;
/// One call in a lane, until it is dropped.
pub type LaneHold = HeldShare<LaneOwner>;

type LanePools = HashMap<(ServerId, ServerLane), SharePool<LaneOwner>>;

/// The lanes of all servers; clones share them.
#[derive(Debug, Clone)]
pub struct ServerLanes {
    pools: Arc<Mutex<LanePools>>,
    reads: u64,
    writes: u64,
}

impl ServerLanes {
    /// Returns lanes for so many reads and other calls at each server; 0 means no limit.
    pub fn new(reads: u32, writes: u32) -> Self {
        let size = |most: u32| if most == 0 { u64::MAX / 4 } else { u64::from(most) };
        Self { pools: Arc::default(), reads: size(reads), writes: size(writes) }
    }

    /// Takes a place for a call of a tenant at a server, if at least as many places of the lane stay free as
    /// the tenant has taken.
    pub fn enter(&self, server: &ServerId, call: ApiCall, tenant: &TenantId) -> Option<LaneHold> {
        let lane = ServerLane::of(call);
        // Requests of all tenants wait for such a list: one tenant's crowd must not refuse it to the others.
        let is_shared = matches!(call.strategy(), CallStrategy::EveryServer(_));
        let owner = (!is_shared).then(|| tenant.clone());
        self.pool(server, lane).hold(&owner, 1, self.terms(lane))
    }

    /// Returns the servers at which a tenant has no place for a further call of the lane now.
    pub fn full_for(&self, lane: ServerLane, tenant: &TenantId) -> Vec<ServerId> {
        let (owner, terms) = (Some(tenant.clone()), self.terms(lane));
        let pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        let full = pools.iter().filter(|((_, of), pool)| *of == lane && !pool.has_room(&owner, 1, terms));
        full.map(|((server, _), _)| server.clone()).collect()
    }

    fn terms(&self, lane: ServerLane) -> ShareTerms {
        let common = if lane == ServerLane::Reads { self.reads } else { self.writes };
        ShareTerms { assured: 0, common, most: u64::MAX }
    }

    fn pool(&self, server: &ServerId, lane: ServerLane) -> SharePool<LaneOwner> {
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        if pools.len() > 2 * IDLE_MAX {
            pools.retain(|_, pool| pool.taken() > 0);
        }
        pools.entry((server.clone(), lane)).or_default().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(name: &str) -> ServerId {
        ServerId::parse(name).unwrap()
    }

    fn tenant(name: &str) -> TenantId {
        TenantId::parse(name).unwrap()
    }

    fn fill(lanes: &ServerLanes, name: &str, call: ApiCall, of: &str) -> Vec<LaneHold> {
        std::iter::from_fn(|| lanes.enter(&server(name), call, &tenant(of))).collect()
    }

    #[test]
    fn a_crowd_at_one_server_leaves_the_others_its_creates_and_half_of_its_reads() {
        let lanes = ServerLanes::new(100, 20);
        let crowd = fill(&lanes, "hung", ApiCall::GetMeetingInfo, "crowd");
        assert_eq!(crowd.len(), 50);
        assert_eq!(fill(&lanes, "hung", ApiCall::IsMeetingRunning, "other").len(), 25);
        assert_eq!(fill(&lanes, "hung", ApiCall::Create, "crowd").len(), 10);
        assert_eq!(fill(&lanes, "well", ApiCall::GetMeetingInfo, "crowd").len(), 50);
        drop(crowd);
        assert_eq!(fill(&lanes, "hung", ApiCall::GetRecordings, "crowd").len(), 50);
    }

    #[test]
    fn the_servers_without_a_place_for_a_tenant_are_known() {
        let lanes = ServerLanes::new(100, 20);
        let full = |of: &str| lanes.full_for(ServerLane::Writes, &tenant(of));
        assert_eq!(full("crowd"), []);
        let crowd = fill(&lanes, "hung", ApiCall::Create, "crowd");
        let _reads = fill(&lanes, "read", ApiCall::IsMeetingRunning, "crowd");
        assert_eq!((full("crowd"), full("other")), (vec![server("hung")], vec![]));
        let _others = fill(&lanes, "hung", ApiCall::Create, "other");
        assert_eq!(full("other"), [server("hung")]);
        drop(crowd);
        assert_eq!(full("crowd"), []);
    }

    #[test]
    fn a_list_that_all_tenants_share_belongs_to_none_of_them() {
        let lanes = ServerLanes::new(100, 20);
        let crowd = fill(&lanes, "a", ApiCall::IsMeetingRunning, "crowd");
        assert!(lanes.enter(&server("a"), ApiCall::GetMeetings, &tenant("crowd")).is_some());
        assert!(lanes.enter(&server("a"), ApiCall::IsMeetingRunning, &tenant("crowd")).is_none());
        drop(crowd);
    }

    #[test]
    fn servers_that_come_and_go_take_bounded_memory() {
        let lanes = ServerLanes::new(1, 1);
        for number in 0..5_000 {
            lanes.enter(&server(&format!("s{number}")), ApiCall::GetMeetings, &tenant("a"));
        }
        assert!(lanes.pools.lock().unwrap().len() <= 2 * IDLE_MAX + 1);
        let unlimited = ServerLanes::new(0, 0);
        assert!((0..10_000).all(|_| unlimited.enter(&server("a"), ApiCall::Create, &tenant("a")).is_some()));
    }
}
