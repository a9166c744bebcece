//! The invariants of every moment (I1–I4, I7, I8, X3), judged by the history of the store and by
//! the running meetings. The invariants at rest (records, zombies, servers) are judged in `rest`.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use tokio::time::Instant;
use usher_control_plane::{
    core::{plan::FleetEvent, policy::Policy},
    ports::{ChangeBatch, KeyChange},
    store::{codec::StoreCodec, keys},
};
use usher_model::{
    id::{InternalMeetingId, ServerId},
    meeting::{MeetingKey, MeetingRecord, RecordState, Zombie, ZombieKey, ZombieState},
    server::{AdminState, Health},
};

use super::{
    creations::ResourceCreations,
    figures::HistoryFigures,
    health_changes::CallFailures,
    instances::{EndCause, TrackedInstance, TrackedInstances},
    store_fold::StoreFold,
};
use crate::{servers::home, store::key_of};

/// The kind of an invariant that was violated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ViolationKind {
    Killed,
    Reaped,
    Placed,
    Fence,
    Lie,
    Rest,
    Slander,
    /// A new epoch began although the store had lost no data.
    Epoch,
}

/// A violation of an invariant.
#[derive(Debug, Clone)]
pub(crate) struct Violation {
    pub(crate) kind: ViolationKind,
    pub(crate) meeting: Option<MeetingKey>,
    pub(crate) text: String,
    pub(crate) at: Instant,
}

pub(crate) struct InvariantChecker {
    pub(super) truth: StoreFold,
    pub(super) instances: TrackedInstances,
    pub(super) creations: ResourceCreations,
    codec: StoreCodec,
    by_hand: BTreeSet<MeetingKey>,
    /// The number of requests in progress to end an id.
    end_requests: BTreeMap<MeetingKey, u32>,
    /// The newest instance of an id that an application's `end` reached.
    ended: BTreeMap<MeetingKey, u64>,
    /// Whether the store holds the key that names its epoch.
    epoch_key_exists: bool,
    /// Whether the store has started again: revisions from before cannot be compared.
    pub(super) began_anew: bool,
    doubled: BTreeMap<MeetingKey, Instant>,
    pub(super) failures: CallFailures,
    pub(crate) figures: HistoryFigures,
    pub(crate) violations: Vec<Violation>,
}

impl InvariantChecker {
    pub(super) fn new(policy: Policy) -> Self {
        Self {
            truth: StoreFold::new(policy),
            instances: TrackedInstances::default(),
            creations: ResourceCreations::default(),
            codec: StoreCodec::new(),
            by_hand: BTreeSet::new(),
            end_requests: BTreeMap::new(),
            ended: BTreeMap::new(),
            epoch_key_exists: false,
            began_anew: false,
            doubled: BTreeMap::new(),
            failures: CallFailures::default(),
            figures: HistoryFigures::default(),
            violations: Vec::new(),
        }
    }

    pub(crate) fn fail(&mut self, kind: ViolationKind, meeting: Option<&MeetingKey>, text: String) {
        match kind {
            ViolationKind::Killed => self.figures.killed += 1,
            ViolationKind::Reaped => self.figures.reaped += 1,
            _ => {}
        }
        let at = Instant::now();
        self.violations.push(Violation { kind, meeting: meeting.cloned(), text, at });
    }

    /// Applies and judges a commit of the store, and returns a description of each change.
    pub(super) fn committed(&mut self, batch: &ChangeBatch) -> Vec<String> {
        // A new epoch alone removes no data: earlier knowledge stays valid.
        if batch.changes.iter().any(|change| matches!(change, KeyChange::Delete { key } if key == keys::META))
        {
            self.store_lost(); // the store was emptied: no replica decided on the missing keys
        }
        if batch
            .changes
            .iter()
            .any(|change| matches!(change, KeyChange::Put(entry) if entry.key == keys::META))
            && std::mem::replace(&mut self.epoch_key_exists, true)
        {
            // The simulated store is never set back, so only its loss is evidence of an epoch.
            self.fail(ViolationKind::Epoch, None, "a new epoch has begun on a store without a loss".into());
        }
        if let Err(text) = self.creations.committed(&self.codec, batch) {
            self.fail(ViolationKind::Lie, None, text);
        }
        let told = |key: &str| !key.starts_with("load/");
        let told = batch.changes.iter().filter(|change| told(key_of(change)));
        let events: Vec<FleetEvent> =
            told.filter_map(|change| self.codec.event(change).ok().flatten()).collect();
        let mut abandoned: BTreeSet<ServerId> = BTreeSet::new();
        for event in &events {
            if let FleetEvent::Record(key, _) = event {
                abandoned.extend(self.abandoned_servers_of(key));
            }
        }
        let (mut changed, mut zombies) = (Vec::new(), Vec::new());
        let mut lines = Vec::new();
        for event in events {
            lines.push(format!("{} {}", batch.revision, words(&event)));
            match &event {
                FleetEvent::Record(key, new) => {
                    let old = self.truth.record(key).cloned();
                    changed.push((key.clone(), old, new.as_ref().map(|stored| stored.value.clone())));
                }
                FleetEvent::Zombie(key, Some(new)) => zombies.push((key.clone(), new.value.clone())),
                FleetEvent::Health(id, Some(new)) => self.health_changes(id, &new.value),
                _ => {}
            }
            self.truth.apply(event);
        }
        for (key, zombie) in &zombies {
            self.zombie_set(key, zombie);
        }
        for (key, old, new) in changed {
            let gone = |server: &ServerId| abandoned.contains(server);
            self.record_changed(&key, old.as_ref(), new.as_ref(), gone);
        }
        lines
    }

    /// Returns the servers with instances or the record of an id that are abandoned, by any of
    /// their entries.
    fn abandoned_servers_of(&self, key: &MeetingKey) -> BTreeSet<ServerId> {
        let recorded = self.truth.record(key).map(|record| home(&record.server));
        let running = self.instances.of(key).map(|(_, instance)| instance.server.clone());
        recorded.into_iter().chain(running).filter(|server| self.truth.is_home_abandoned(server)).collect()
    }

    fn record_changed(
        &mut self,
        key: &MeetingKey,
        old: Option<&MeetingRecord>,
        new: Option<&MeetingRecord>,
        was_abandoned: impl Fn(&ServerId) -> bool,
    ) {
        let named = new.and_then(|new| new.state.internal_id());
        named.and_then(|id| self.instances.get_mut(id)).into_iter().for_each(|named| named.confirmed = true);
        if let Some(new) = new
            && new.state == RecordState::Pending
            && old.is_none_or(|old| old.token != new.token)
        {
            self.placed(key, old, new, &was_abandoned);
        }
        let Some(old) = old else { return };
        let RecordState::Active { internal_id, .. } = &old.state else { return };
        let still = new.is_some_and(|new| {
            new.state.internal_id() == Some(internal_id) || matches!(new.state, RecordState::Ending { .. })
        });
        let Some(instance) = self.instances.get(internal_id).filter(|_| !still) else { return };
        let abandoned = was_abandoned(&home(&old.server)) || self.truth.is_replaceable(&old.server);
        if !instance.released && !abandoned && !self.by_hand.contains(key) {
            let text = format!("{internal_id} runs, and its record became {new:?}");
            self.fail(ViolationKind::Reaped, Some(key), text);
        }
    }

    /// Judges the choice of a server.
    fn placed(
        &mut self,
        key: &MeetingKey,
        old: Option<&MeetingRecord>,
        new: &MeetingRecord,
        was_abandoned: impl Fn(&ServerId) -> bool,
    ) {
        let (admin, health) = (self.truth.admin(&new.server), self.truth.health(&new.server));
        if admin != Some(AdminState::Enabled) || health == Health::Offline {
            let text = format!("I7: placed on {} while it is {admin:?} and {health:?}", new.server);
            self.fail(ViolationKind::Placed, Some(key), text);
        }
        let beside = ZombieKey { meeting: key.clone(), server: new.server.clone() };
        if self.truth.zombies.contains_key(&beside) {
            self.fail(
                ViolationKind::Placed,
                Some(key),
                format!("I2: placed beside its zombie on {}", new.server),
            );
        }
        if old.is_some_and(|old| old.server != new.server) {
            self.figures.superseded += 1;
        }
        let running: Vec<(InternalMeetingId, TrackedInstance)> = self
            .instances
            .of(key)
            .filter(|(_, instance)| instance.server != home(&new.server))
            .map(|(id, instance)| (id.clone(), instance.clone()))
            .collect();
        for (id, instance) in running {
            if self.truth.zombies_at(key, &instance.server).next().is_some() {
                // The record was freed before, and only waits for its replacement.
            } else if was_abandoned(&instance.server) {
                // An unconfirmed create is abandoned together with its server, also if a client got
                // its answer.
                if old.is_some_and(|old| old.state == RecordState::Pending) {
                    self.instances.change_on(key, &instance.server, |instance| instance.released = true);
                }
            } else if instance.acknowledged && !instance.confirmed {
                // The confirmation was in transit, and no client's answer waits for it (design 4).
                self.instances.change_on(key, &instance.server, |instance| instance.released = true);
                self.figures.too_late += 1;
            } else if instance.acknowledged && !instance.released && !self.by_hand.contains(key) {
                let text = format!("H4: placed on {} while {id} runs and is acknowledged", new.server);
                self.fail(ViolationKind::Placed, Some(key), text);
            }
        }
    }

    fn zombie_set(&mut self, key: &ZombieKey, zombie: &Zombie) {
        let confirmed = self.truth.is_replaced(key, zombie.internal_id.as_ref());
        let by_hand = self.truth.admin(&key.server).is_none_or(|admin| admin == AdminState::Disabled);
        if zombie.state != ZombieState::Waiting && (confirmed || by_hand) {
            let named = zombie.internal_id.as_ref().and_then(|id| self.instances.get_mut(id));
            if let Some(instance) = named {
                instance.released = true;
            } else {
                let server = home(&key.server);
                self.instances.change_on(&key.meeting, &server, |instance| instance.released = true);
            }
        }
    }

    /// Records that the store starts again: its former content is invalid, and an id that ran
    /// twice, or on an abandoned server, may be adopted from either.
    pub(super) fn store_lost(&mut self) {
        self.epoch_key_exists = false;
        let doubled: Vec<MeetingKey> = self.instances.doubled().cloned().collect();
        for (id, instance) in self.instances.iter_mut() {
            let routed = self.truth.records.get(&instance.key).is_some_and(|record| {
                record.value.state.internal_id() == Some(id) && !self.truth.is_replaceable(&instance.server)
            });
            if !routed || doubled.contains(&instance.key) {
                instance.released = true;
            }
            instance.outlived = false;
        }
        self.truth.clear();
        self.began_anew = true;
    }

    pub(super) fn instance_created(
        &mut self,
        key: &MeetingKey,
        server: &ServerId,
        internal: &InternalMeetingId,
    ) {
        self.figures.created += 1;
        let released = self.end_requests.get(key).is_some_and(|count| *count > 0);
        let (key, server) = (key.clone(), server.clone());
        let instance = TrackedInstance {
            key,
            server,
            acknowledged: false,
            confirmed: false,
            released,
            outlived: false,
            number: self.figures.created,
            unknown_since: None,
        };
        self.instances.add(internal, instance);
    }

    pub(super) fn instance_ended(&mut self, internal: &InternalMeetingId, cause: &EndCause) {
        let Some(instance) = self.instances.remove(internal) else { return };
        if *cause == EndCause::Application {
            let ended = self.ended.entry(instance.key.clone()).or_default();
            *ended = instance.number.max(*ended);
        }
        if let EndCause::Balancer(by) = cause {
            self.figures.ended += 1;
            if instance.acknowledged && !instance.released {
                let text = format!(
                    "I2, I3: {by} ended {internal}, which was neither superseded nor requested to end"
                );
                self.fail(ViolationKind::Killed, Some(&instance.key), text);
            }
        }
    }

    pub(super) fn acknowledged(&mut self, internal: &InternalMeetingId) {
        let Some(instance) = self.instances.get_mut(internal) else { return };
        instance.acknowledged = true;
        instance.outlived = false;
        let (key, server) = (instance.key.clone(), instance.server.clone());
        let elsewhere = self.truth.record(&key).is_some_and(|record| home(&record.server) != server);
        let mut zombies = self.truth.zombies_at(&key, &server);
        let is_zombie =
            zombies.any(|zombie| zombie.internal_id.as_ref().is_none_or(|named| named == internal));
        drop(zombies);
        if elsewhere || is_zombie {
            // The id had moved on when its server answered, and an answer cannot be revoked (design
            // 4).
            self.instances.get_mut(internal).into_iter().for_each(|instance| instance.released = true);
            self.figures.too_late += 1;
        }
    }

    pub(super) fn end_requested(&mut self, key: &MeetingKey) {
        *self.end_requests.entry(key.clone()).or_default() += 1;
        let ids: Vec<InternalMeetingId> = self.instances.of(key).map(|(id, _)| id.clone()).collect();
        for id in ids {
            if let Some(instance) = self.instances.get_mut(&id) {
                instance.released = true;
            }
        }
    }

    /// Records that a client's `end` of this id was acknowledged.
    pub(super) fn end_acknowledged(&mut self, key: &MeetingKey) {
        let Some(newest) = self.ended.get(key).copied() else { return };
        let older: Vec<InternalMeetingId> = self
            .instances
            .of(key)
            .filter(|(_, instance)| instance.acknowledged && instance.number < newest)
            .map(|(id, _)| id.clone())
            .collect();
        for id in older {
            self.instances.get_mut(&id).into_iter().for_each(|instance| instance.outlived = true);
        }
    }

    pub(super) fn end_request_finished(&mut self, key: &MeetingKey) {
        if let Some(count) = self.end_requests.get_mut(key) {
            *count -= 1;
        }
    }

    pub(super) fn operator_supersedes(&mut self, key: &MeetingKey) {
        self.by_hand.insert(key.clone());
    }

    pub(super) fn end_sent(&mut self, by: &str, leads: bool, internal: &InternalMeetingId) {
        if !leads {
            let key = self.instances.get(internal).map(|instance| instance.key.clone());
            self.fail(
                ViolationKind::Fence,
                key.as_ref(),
                format!("X3: {by} ends {internal} and does not lead"),
            );
        }
    }

    /// Inspects the running meetings; `every` is the interval of the inspections.
    pub(crate) fn look(&mut self, every: Duration, grace: Duration, reachable: impl Fn(&ServerId) -> bool) {
        let now = Instant::now();
        for (_, instance) in self.instances.iter_mut() {
            if self.truth.knows(&instance.key, &instance.server) || !reachable(&instance.server) {
                instance.unknown_since = None;
            } else if now.duration_since(*instance.unknown_since.get_or_insert(now)) >= grace {
                self.figures.leaked += every;
            }
        }
        let doubled = self.instances.doubled().filter(|key| {
            self.instances.of(key).filter(|(_, instance)| reachable(&instance.server)).count() > 1
        });
        let doubled: Vec<MeetingKey> = doubled.cloned().collect();
        self.figures.split += every * doubled.len() as u32;
        self.figures.splits += doubled.iter().filter(|key| !self.doubled.contains_key(*key)).count() as u64;
        self.doubled = doubled.into_iter().map(|key| (key, now)).collect();
    }
}

fn words(event: &FleetEvent) -> String {
    match event {
        FleetEvent::Server(id, stored) => match stored {
            Some(stored) => format!("! {id} is {:?}", stored.value.admin),
            None => format!("! {id} is removed"),
        },
        FleetEvent::Health(id, stored) => match stored {
            Some(stored) => {
                let health = &stored.value;
                format!("! {id} recover {} error {} {}", health.recover, health.error, health.reason)
            }
            None => format!("! {id} has no health"),
        },
        FleetEvent::Record(key, stored) => match stored {
            Some(stored) => {
                let record = &stored.value;
                format!("{key} on {}: {:?}", record.server, record.state)
            }
            None => format!("{key} has no record"),
        },
        FleetEvent::Zombie(key, stored) => match stored {
            Some(stored) => {
                let Zombie { state, internal_id, reason, .. } = &stored.value;
                format!("{} zombie on {}: {state:?} {internal_id:?} ({reason})", key.meeting, key.server)
            }
            None => format!("{} has no zombie on {}", key.meeting, key.server),
        },
        FleetEvent::Sample(id, _) => format!("{id} sampled"),
        FleetEvent::Tenant(id, _) => format!("tenant {id}"),
        FleetEvent::Voice(bridge, _) => format!("number {bridge}"),
    }
}
