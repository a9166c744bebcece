//! Chooses a server for a new meeting (requirements E): the least load after placement, per weight.
//!
//! An online server beats an unhealthy one at any load: unhealthy servers are considered only if no
//! online one can take the meeting (E5). To mix them in as soon as few are online was rejected: with
//! four of six servers unreachable, most creates were sent to those four.
//!
//! A choice looks at the least loaded servers only, in the fleet's index of candidates. Where a tag is
//! wished, or one server has two entries, it costs a pass over the servers. Both choose the same
//! server, and neither allocates memory for each server. Ties fall to a fixed
//! hash of meeting and server, equal on every replica, never to list order (F4).

mod inflight;
mod quota;
mod tag;

#[cfg(test)]
mod tests;

use std::{cell::Cell, collections::BTreeSet, time::Duration};

pub use inflight::InflightPlacements;
pub use quota::has_all_its_meetings;
pub use tag::TagWish;
use usher_model::{
    id::{ServerId, TenantId},
    meeting::MeetingKey,
    server::{AdminState, Health},
    settings::PlacementSettings,
};

use crate::core::{
    fleet::{CandidateIndex, Fleet, FleetServer, id_hash},
    load,
    now::Now,
};

/// Share of its weight that a server which just came back starts with (E3).
const SLOW_START_LEAST: f64 = 0.1;
/// A server whose pending creates have not moved for this long is slow, and no create waits for it.
const SLOW: Duration = Duration::from_millis(300);
/// How much better a full server must be at most to be waited for, in meetings.
const NEAR: f64 = 2.0;
/// Relative error that the order by load allows for, because a score is computed in other steps.
const ROUNDING: f64 = 1e-9;

/// The meeting that needs a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacementRequest {
    /// Key of the meeting.
    pub key: MeetingKey,
    /// `maxParticipants`; 0 means no limit.
    pub max_users: u32,
    /// Expected users; 0 means unknown.
    pub size_hint: u32,
    /// Servers that just refused it.
    pub excluded: Vec<ServerId>,
    /// Which servers are to take it, of those its tenant may use.
    pub tag: TagWish,
    /// Behaviour if the best server has as many pending creates as it may.
    pub when_full: WhenFull,
}

/// Behaviour towards servers that have as many pending creates as they may (F5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WhenFull {
    /// Wait for the best one as long as its creates move, so that a burst stays level (F1).
    #[default]
    Wait,
    /// Choose another server instead.
    PassOver,
    /// Wait no longer: where every online server is full, and few are online, one that is unhealthy is
    /// better than none (E5).
    LastResort,
}

/// Reason why no server was chosen. Each is retryable; the caller gets the reason, never a silent
/// default (E5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoServer {
    /// No server of the pool is healthy enough.
    #[error("no_server_healthy")]
    NoneHealthy,
    /// No enabled server is without tags.
    #[error("pool_empty")]
    PoolEmpty,
    /// No enabled server has a tag that is required.
    #[error("tag_unavailable")]
    TagUnavailable,
    /// Servers are healthy, but the load of none is known.
    #[error("load_unknown")]
    LoadUnknown,
    /// Every server that could take it, or the best one, has as many pending creates as it may: wait
    /// a little (F5).
    #[error("saturated")]
    Saturated,
}

/// A server that was chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerChoice {
    /// Name of the server.
    pub server: ServerId,
    /// It is unhealthy: no online server could take the meeting (E5).
    pub panic: bool,
}

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

/// The way in which candidates are visited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CandidateOrder {
    /// By their load, as far as there is an index.
    Indexed,
    /// All of them. The reference for tests.
    #[cfg(test)]
    All,
}

/// Returns the choice, and the number of servers that were scored.
fn choose_by(
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

/// Which servers are looked at. A tenant that must have a tag gets no others in either case.
#[derive(Debug, Clone, Copy)]
enum CandidatePool<'a> {
    /// Those that match a wish.
    Tagged(&'a TagWish),
    /// Where there is no wish, or none that must be met: those without tags, or all of the tenant's.
    Others,
}

/// Numbers of a pool's servers, counted before choosing.
#[derive(Debug, Clone, Copy, Default)]
struct PoolCensus {
    enabled: u32,
    online: u32,
    fresh: u32,
    /// Of those, the ones this meeting can go to.
    open: u32,
    starting: u32,
}

/// Servers of a pool fall into these classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CandidateClass {
    /// Online, load known and recent.
    Good,
    /// Used where no good one can take the meeting: unhealthy, or its sample is old.
    Last,
    /// Never used: offline, or without a sample.
    Out,
}

struct ServerChooser<'a> {
    fleet: &'a Fleet,
    request: &'a PlacementRequest,
    barred: Vec<ServerId>,
    now: Now,
    order: CandidateOrder,
    /// Number of servers that were scored.
    scored: Cell<u32>,
    inflight: &'a InflightPlacements,
    floor: f64,
    /// Servers that the tenant may use, and prefers.
    pool: TagWish,
    seed: u64,
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

    /// Returns the index of the servers of a pool, if there is one.
    fn index(&self, among: CandidatePool<'_>) -> Option<&CandidateIndex> {
        match among {
            CandidatePool::Others if self.order == CandidateOrder::Indexed && !self.pool.is_required() => {
                self.fleet.candidates()
            }
            CandidatePool::Others | CandidatePool::Tagged(_) => None,
        }
    }

    /// Counts the enabled servers among some; none when there is not one.
    fn census(&self, among: CandidatePool<'_>) -> Option<PoolCensus> {
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

    /// Visits the good servers of a pool: all of those that may score at most `bound`, for as long
    /// as that does not grow.
    fn good<'s: 'b, 'b>(
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

    fn members<'s>(&'s self, among: CandidatePool<'s>) -> impl Iterator<Item = &'s FleetServer> {
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

    fn standing(&self, server: &FleetServer) -> CandidateClass {
        match (server.health(), server.sample_age(self.now.instant)) {
            (Health::Offline, _) | (_, None) => CandidateClass::Out,
            (Health::Online, Some(age)) if age <= self.fleet.policy().sample_max_age() => {
                CandidateClass::Good
            }
            (Health::Online | Health::Unhealthy, Some(_)) => CandidateClass::Last,
        }
    }

    /// Returns the share of its weight a server works with while it starts (E3).
    fn slow(&self, server: &FleetServer) -> f64 {
        let window: Duration = self.settings().slow_start;
        let Some(since) = server.online_since().filter(|_| !window.is_zero()) else { return 1.0 };
        let age = self.now.instant.saturating_duration_since(since);
        (age.as_secs_f64() / window.as_secs_f64()).clamp(SLOW_START_LEAST, 1.0)
    }

    fn settings(&self) -> &PlacementSettings {
        &self.fleet.policy().placement
    }

    /// Returns whether so few servers can take the meeting that unhealthy ones may (E5).
    fn few_are_online(&self, census: PoolCensus) -> bool {
        let share = f64::from(census.open) / f64::from(census.enabled);
        share < self.settings().panic_threshold || census.open == 0
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

    /// Returns the server of that standing with the lowest score that is not full, and whether one is full.
    fn best<'s>(
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
    fn a_better_one_is_near(
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
struct CandidateScore<'a> {
    value: f64,
    /// Score that one more meeting of this size adds.
    step: f64,
    /// It has as many pending creates as it may.
    full: bool,
    tie: u64,
    server: &'a FleetServer,
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
