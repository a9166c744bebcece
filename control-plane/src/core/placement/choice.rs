//! The choice of a server: the pools in their order, and online servers before unhealthy ones.

use std::cell::Cell;

use usher_model::id::TenantId;

use super::{
    candidates::{CandidateClass, CandidateOrder, CandidatePool, ServerChooser},
    census::PoolCensus,
    inflight::InflightPlacements,
    outcome::{NoServer, ServerChoice},
    request::{PlacementRequest, WhenFull},
    tag::TagWish,
};
use crate::core::{
    fleet::{Fleet, id_hash},
    load,
    now::Now,
};

/// Chooses the server for `request`.
///
/// # Errors
/// Says why there is none.
pub fn choose(
    fleet: &Fleet,
    inflight: &InflightPlacements,
    request: &PlacementRequest,
    now: Now,
) -> Result<ServerChoice, NoServer> {
    choose_by(CandidateOrder::Indexed, fleet, inflight, request, now).0
}

/// Returns the choice, and the number of servers that were scored.
pub(super) fn choose_by(
    order: CandidateOrder,
    fleet: &Fleet,
    inflight: &InflightPlacements,
    request: &PlacementRequest,
    now: Now,
) -> (Result<ServerChoice, NoServer>, u32) {
    let settings = &fleet.policy().placement;
    // The server just refused this meeting, or an old instance of it perhaps still runs there (I2).
    let mut barred = request.excluded.clone();
    for (zombie, _) in fleet.zombies_of(&request.key) {
        barred.extend(fleet.aliases_of(&zombie.server).cloned());
        barred.push(zombie.server);
    }
    // There a create would be answered by another tenant's meeting.
    barred.extend(fleet.namesakes_of(&request.key).cloned());
    let chooser = ServerChooser {
        fleet,
        barred,
        request,
        now,
        order,
        scored: Cell::new(0),
        inflight,
        floor: f64::from(load::floor(request.max_users, request.size_hint, settings)),
        pool: tenant_pool(fleet, &request.key.tenant),
        seed: id_hash(&format!("{}/{}", request.key.tenant, request.key.meeting)),
    };
    let choice = chooser.choose();
    (choice, chooser.scored.get())
}

/// Returns the servers a tenant's meetings go to.
fn tenant_pool(fleet: &Fleet, tenant: &TenantId) -> TagWish {
    fleet
        .tenant(tenant)
        .map_or_else(TagWish::default, |stored| TagWish::parse(&stored.value.policy.server_tag))
}

impl ServerChooser<'_> {
    fn choose(&self) -> Result<ServerChoice, NoServer> {
        // The meeting's own wish counts, else its tenant's.
        let wish = [&self.request.tag, &self.pool].into_iter().find(|wish| wish.is_some());
        let tagged = wish.map(CandidatePool::Tagged);
        let must_match = wish.is_some_and(TagWish::is_required);
        let others = (!must_match).then_some(CandidatePool::Others);
        let pools = [tagged, others].into_iter().flatten();
        let pools: Vec<_> = pools.filter_map(|pool| Some((pool, self.census(pool)?))).collect();
        let Some((_, first)) = pools.first() else {
            let confined = must_match || self.pool.is_required();
            return Err(if confined { NoServer::TagUnavailable } else { NoServer::PoolEmpty });
        };
        let mut saturated = false;
        for (pool, census) in &pools {
            match self.online(*pool, *census) {
                Err(NoServer::Saturated) if self.request.when_full == WhenFull::LastResort => {
                    saturated = true;
                }
                Err(NoServer::NoneHealthy) => {}
                chosen => return chosen,
            }
        }
        for (pool, _) in pools.iter().filter(|(_, census)| self.few_are_online(*census)) {
            match self.unhealthy(*pool) {
                Err(NoServer::Saturated) => saturated = true,
                Err(_) => {}
                chosen => return chosen,
            }
        }
        Err(match first {
            _ if saturated => NoServer::Saturated,
            census if census.online > 0 && census.fresh == 0 => NoServer::LoadUnknown,
            _ => NoServer::NoneHealthy,
        })
    }

    /// Chooses among the online servers.
    fn online(&self, among: CandidatePool<'_>, census: PoolCensus) -> Result<ServerChoice, NoServer> {
        // When more than half of the servers start together, slowing them all would only skew (E3).
        let slowed = census.starting * 2 <= census.enabled;
        let (best, saturated) = self.best(among, CandidateClass::Good, slowed);
        match best {
            Some(best) if saturated && self.a_better_one_is_near(among, slowed, &best) => {
                Err(NoServer::Saturated)
            }
            Some(best) => Ok(ServerChoice { server: best.server.id().clone(), panic: false }),
            None if saturated => Err(NoServer::Saturated),
            None => Err(NoServer::NoneHealthy),
        }
    }

    /// Chooses among those that are not.
    fn unhealthy(&self, among: CandidatePool<'_>) -> Result<ServerChoice, NoServer> {
        match self.best(among, CandidateClass::Last, false) {
            (Some(best), _) => Ok(ServerChoice { server: best.server.id().clone(), panic: true }),
            (None, true) => Err(NoServer::Saturated),
            (None, false) => Err(NoServer::NoneHealthy),
        }
    }
}
