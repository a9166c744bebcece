//! The steps that are possible in a state, and the invariants on each.

mod around;
mod create;
mod poll;
mod rest;

use usher_control_plane::core::health;

use crate::{
    bounds::{Bounds, Second},
    core_calls::Core,
    facts,
    state::{Admin, Lag, Rec, RecState, SERVERS, Slot, State, View, Zom, ZomState, bit},
    transaction::{Put, Transaction},
    weak::{Guard, Weak},
};
use usher_model::{server::Health, settings::ZombiePolicy};

/// Description of a step: readable, with up to two numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Label(pub(crate) &'static str, pub(crate) usize, pub(crate) usize);

/// A step to another state; `broken` when it breaks an invariant.
pub(crate) struct Next {
    pub(crate) label: Label,
    pub(crate) state: State,
    pub(crate) broken: Option<String>,
}

/// One configuration of the search.
pub(crate) struct Cluster {
    pub(crate) bounds: Bounds,
    pub(crate) weak: Weak,
    pub(crate) core: Core,
}

/// A state in the making.
#[derive(Clone)]
struct Draft<'a> {
    cluster: &'a Cluster,
    state: State,
    broken: Option<String>,
}

impl Cluster {
    pub(crate) fn new(bounds: Bounds, weak: Weak) -> Self {
        Self { core: Core::new(&bounds, weak), bounds, weak }
    }

    pub(crate) fn start(&self) -> State {
        let leader = u8::from(self.bounds.second == Second::Deposed);
        State::start(leader, self.bounds.foreign, self.bounds.healthy_threshold, self.bounds.aliased)
    }

    /// Returns everything that may happen next.
    pub(crate) fn next(&self, state: &State) -> Vec<Next> {
        let mut out = Vec::new();
        self.creates(state, &mut out);
        self.polls(state, &mut out);
        self.around(state, &mut out);
        out.retain(|next| next.state != *state || next.broken.is_some());
        out
    }

    /// Replicas that serve edges and do not all see the same.
    fn replicas(&self, state: &State) -> impl Iterator<Item = usize> + use<> {
        0..1 + usize::from(self.bounds.second == Second::Behind && state.lag.is_some())
    }

    fn draft(&self, state: &State) -> Draft<'_> {
        Draft { cluster: self, state: *state, broken: None }
    }

    fn health(&self, view: &View, server: usize) -> Health {
        health::health_of(view.health[server].map(facts::health).as_ref(), self.core.policy())
    }
}

impl Draft<'_> {
    fn end(self, label: Label, out: &mut Vec<Next>) {
        out.push(Next { label, state: self.state, broken: self.broken });
    }

    fn fail(&mut self, text: impl FnOnce() -> String) {
        self.broken.get_or_insert_with(text);
    }

    /// Commits a plan of a leader.
    fn commit_fenced(&mut self, replica: usize, transaction: &Transaction) -> bool {
        let leads = usize::from(self.state.leader) == replica || self.cluster.weak.lacks(Guard::Fence);
        leads && self.commit(replica, transaction)
    }

    /// Commits a plan that a replica decided from its view; returns `false` if a guard failed.
    fn commit(&mut self, replica: usize, transaction: &Transaction) -> bool {
        if let Some(lag) = self.state.lag.filter(|_| replica == 1) {
            let holds = |(slot, absent): &(Slot, bool)| {
                if *absent { self.state.store.is_absent(*slot) } else { lag.stale & slot.bit() == 0 }
            };
            if !transaction.guards.iter().all(holds) {
                return false;
            }
        }
        let before = self.state.store;
        for put in &transaction.puts {
            self.put(*put);
        }
        self.check(&before, transaction);
        true
    }

    fn put(&mut self, put: Put) {
        let slot = put.slot();
        let store = &mut self.state.store;
        let before = *store;
        match put {
            Put::Record(None) | Put::Zombie(_, None) | Put::Health(_, None) if store.is_absent(slot) => {
                return;
            }
            Put::Record(rec) => store.rec = rec,
            Put::Zombie(server, zombie) => store.zom[server] = zombie,
            Put::Health(server, counters) => store.health[server] = counters,
            Put::Sample(_, _) if self.cluster.bounds.cordons == 0 => return, // no step reads it
            Put::Admin(server, admin) => (store.admin[server], store.empty[server]) = (admin, false),
            Put::Sample(server, empty) => store.empty[server] = empty,
        }
        let second = self.cluster.bounds.second;
        if second == Second::Behind || (second == Second::Deposed && self.state.leader == 0) {
            self.state.lag.get_or_insert(Lag { view: before, stale: 0 }).stale |= slot.bit();
        }
        note_change(&mut self.state, 0, slot.bit());
        if self.state.lag.is_none() {
            note_change(&mut self.state, 1, slot.bit());
        }
    }

    /// Invariants of every committed transaction, from any replica.
    fn check(&mut self, before: &View, transaction: &Transaction) {
        let after = self.state.store;
        if let Some(rec) = before.rec
            && let (server, Some(instance)) = (usize::from(rec.server), rec.instance())
            && self.is_owed(server, instance)
        {
            let named = after.rec.is_some_and(|rec| rec.instance() == Some(instance));
            let stands = |entry: usize| {
                (entry == server || self.state.aliased)
                    && after.zom[entry].is_some_and(|zombie| zombie.instance == Some(instance))
            };
            if !named && !SERVERS.into_iter().any(stands) {
                self.fail(|| {
                    format!("I4: nothing names instance {instance} any more, which runs on server {server}")
                });
            }
        }
        if let Some(Rec { state: RecState::Active(instance), .. }) = after.rec {
            let ending = Zom { state: ZomState::Ending, instance: Some(instance) };
            if after.zom.contains(&Some(ending)) {
                self.fail(|| format!("I2: a record names instance {instance} while it is being ended"));
            }
        }
        for put in &transaction.puts {
            match *put {
                Put::Record(Some(rec)) if rec.state == RecState::Pending => {
                    let server = usize::from(rec.server);
                    let health = self.cluster.health(before, server);
                    let admin = before.admin[server];
                    if admin != Admin::Enabled || health == Health::Offline {
                        self.fail(|| {
                            format!("I7: placed on server {server}, which is {health:?} and {admin:?}")
                        });
                    }
                    if before.zom[server].is_some() {
                        self.fail(|| format!("I2: placed on server {server} beside a zombie of the id"));
                    }
                }
                Put::Zombie(server, Some(zombie)) => {
                    let was = before.zom[server].map(|zombie| zombie.state);
                    let replaced = after.rec.is_some_and(|rec| rec.is_active_elsewhere(server));
                    if was == Some(ZomState::Waiting) && zombie.state != ZomState::Waiting && replaced {
                        self.state.release(zombie.instance); // its replacement is confirmed
                    }
                }
                Put::Record(Some(rec)) => self.check_restored(before, rec),
                Put::Record(None) => self.note_return(before),
                _ => {}
            }
        }
    }

    /// A superseded instance routes again when its server is online, not before (A8).
    fn check_restored(&mut self, before: &View, rec: Rec) {
        let server = usize::from(rec.server);
        let waited = before.zom[server]
            .is_some_and(|zombie| zombie.state == ZomState::Waiting && zombie.instance == rec.instance());
        let restored = waited && before.rec.is_none() && self.state.store.zom[server].is_none();
        let health = self.cluster.health(before, server);
        if restored && health != Health::Online {
            self.fail(|| format!("A8: routes again to server {server}, which is {health:?}"));
        }
    }

    /// Under `zombie_policy = end`, the instances of an offline server are abandoned as it returns.
    fn note_return(&mut self, before: &View) {
        let Some(rec) = before.rec.filter(|_| self.cluster.bounds.zombie_policy == ZombiePolicy::End) else {
            return;
        };
        let server = usize::from(rec.server);
        let ends = self.state.store.zom[server].is_some_and(|zombie| zombie.instance == rec.instance());
        if ends && self.cluster.health(before, server) == Health::Offline {
            self.state.release(rec.instance());
        }
    }

    /// An `end` by internal id arrives; `false` when the server knows no such instance.
    fn end_arrives(&mut self, server: usize, instance: u8) -> bool {
        let live = self.state.live[server];
        let by_name = self.cluster.weak.lacks(Guard::InternalId);
        if live == 0 || (live != instance && !by_name) {
            return false;
        }
        if self.is_owed(server, live) {
            self.fail(|| {
                format!("I2, I3: ended instance {live} on server {server}: acknowledged, not superseded")
            });
        }
        // On the only server, a user who joins by the record's older instance is in this one. If no
        // answer is lost, no request fails and no operator supersedes, the instance is not left over
        // either.
        let spent = self.state.spent;
        let calm = self.cluster.bounds.reliable && spent.faults + spent.supersedes + spent.app_ends == 0;
        let joined = self.state.store.rec.is_some_and(|rec| matches!(rec.state, RecState::Active(_)));
        let strict = self.state.aliased && calm && joined;
        if strict && self.state.released & bit(live) == 0 {
            self.fail(|| format!("I2: ended instance {live} of the only server: not superseded"));
        }
        self.state.set_live(server, 0);
        true
    }

    /// Returns whether an instance runs that a client was promised and that was not abandoned.
    fn is_owed(&self, server: usize, instance: u8) -> bool {
        let owed = self.state.acked & !self.state.released & bit(instance) != 0;
        owed && self.state.live[server] == instance
    }

    /// The replica that is behind applies all there is.
    fn catch_up(&mut self) {
        if let Some(lag) = self.state.lag.take() {
            note_change(&mut self.state, 1, lag.stale);
        }
    }
}

/// A replica applies changes: its polls under way may not have seen them.
fn note_change(state: &mut State, replica: usize, changed: u16) {
    for server in SERVERS {
        if let Some(poll) = &mut state.polls[replica][server] {
            poll.record_changed |= changed & Slot::Record.bit() != 0;
            poll.zombie_changed |= changed & Slot::Zombie(server).bit() != 0;
            poll.server_changed |= changed & Slot::Server(server).bit() != 0;
        }
    }
}
