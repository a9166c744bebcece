//! When which delivery is tried. The invariants D1 to D6 are those of the module above.
//!
//! The first delivery of each lane that is not busy is posted: by the time at which it is due, and
//! once that has come, among those of its target that are ready. So every step costs the logarithm
//! of the number of deliveries, and an application that is down with many of them waiting costs no
//! more than one without. The times of the steps are in the agenda.

mod agenda;
mod target;

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    time::{Duration, Instant},
};

use usher_model::id::TenantId;

use self::{
    agenda::{Agenda, TryOrder},
    target::QueueTarget,
};
use super::DeliveryLane;
use crate::notifications::rules::ids::DeliveryId;

/// Time that an event is held back for earlier events that arrive later.
const HOLD: Duration = Duration::from_millis(200);

/// How patient the queue is, and how much goes on at once.
#[derive(Debug, Clone, Copy)]
pub struct DeliveryLimits {
    /// Pause after the first failure.
    pub least: Duration,
    /// Longest pause between two attempts.
    pub most: Duration,
    /// How long a delivery is tried.
    pub retry_for: Duration,
    /// Tries under way to one target.
    pub per_target: usize,
    /// Tries under way in all.
    pub in_all: usize,
}

impl DeliveryLimits {
    /// Returns the ordinary limits with this patience.
    pub fn new(retry_for: Duration) -> Self {
        let (least, most) = (Duration::from_secs(1), Duration::from_mins(1));
        Self { least, most, retry_for, per_target: 4, in_all: 256 }
    }

    /// Returns the pause after `failures` in a row; `jitter` from 0 to 1 shortens it to half at most.
    fn pause(&self, failures: u32, jitter: f64) -> Duration {
        let doubled = self.least.saturating_mul(1 << failures.saturating_sub(1).min(16));
        doubled.min(self.most).mul_f64(1.0 - jitter.clamp(0.0, 1.0) / 2.0)
    }
}

/// A delivery as the store shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredDelivery {
    /// Lane of the delivery.
    pub lane: DeliveryLane,
    /// When it happened, by its server's clock; 0 where the order is that of acceptance.
    pub order_ms: i64,
    /// Store revision at which it was accepted.
    pub accepted: u64,
    /// Number of attempts that failed.
    pub attempts: u32,
    /// Time it was tried for.
    pub waited: Duration,
    /// Number of attempts at once that operators requested.
    pub retries_asked: u32,
}

/// How a try came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TryOutcome {
    /// The application answered 2xx.
    Taken,
    /// 410: refused for good.
    Refused,
    /// The application answered something else.
    Failed,
    /// The application could not be reached, or says that it is down.
    Down,
}

/// One action that is due now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QueueWork {
    /// Try the delivery once.
    Try(DeliveryId),
    /// Remove the delivery: `retry_for` has passed while its target was down.
    Expire(DeliveryId),
}

/// The write after an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryStep {
    /// Remove it: it has arrived.
    Taken,
    /// It was refused for good.
    Refused,
    /// It was tried for long enough.
    Expired,
    /// It stays, with this many failures and this time behind it.
    Later {
        /// Number of attempts that failed.
        attempts: u32,
        /// Time it was tried for.
        waited: Duration,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Waiting,
    Trying,
    /// The result of the attempt is being written.
    Settling,
}

#[derive(Debug)]
struct Item {
    seen: StoredDelivery,
    /// From when on the time counts that is not in `seen.waited` yet.
    since: Instant,
    due: Instant,
    last_tried: Option<Instant>,
    phase: Phase,
    /// When it expires if its target still fails then; `None` while it is not waiting.
    expires: Option<Instant>,
}

/// The deliveries of one lane in their order.
#[derive(Debug, Default)]
struct Lane {
    ids: BTreeSet<(i64, u64, DeliveryId)>,
    posted: Option<LanePost>,
}

/// The place at which the first delivery of a lane is posted.
#[derive(Debug)]
enum LanePost {
    /// In the agenda, by the time at which it is due.
    Due(Instant, DeliveryId),
    /// At its target.
    Ready(TryOrder),
}

/// Deliveries that wait. Only entries of the store and results of attempts change the queue.
#[derive(Debug)]
pub struct DeliveryQueue {
    limits: DeliveryLimits,
    items: HashMap<DeliveryId, Item>,
    lanes: HashMap<DeliveryLane, Lane>,
    targets: HashMap<String, QueueTarget>,
    /// Number of attempts under way, those for removed deliveries included.
    flying: HashMap<DeliveryId, DeliveryLane>,
    /// Number of attempts under way for each tenant.
    flying_of: HashMap<TenantId, usize>,
    busy: HashSet<DeliveryLane>,
    agenda: Agenda,
    /// Number of entries that were posted, withdrawn or looked at.
    #[cfg(test)]
    steps: u64,
}

impl DeliveryQueue {
    /// Returns an empty queue.
    pub fn new(limits: DeliveryLimits) -> Self {
        Self {
            limits,
            items: HashMap::new(),
            lanes: HashMap::new(),
            targets: HashMap::new(),
            flying: HashMap::new(),
            flying_of: HashMap::new(),
            busy: HashSet::new(),
            agenda: Agenda::default(),
            #[cfg(test)]
            steps: 0,
        }
    }

    /// Returns how many wait.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Returns whether no delivery waits.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Adds a delivery, or updates it from its entry in the store.
    pub fn upsert(&mut self, id: DeliveryId, seen: StoredDelivery, now: Instant) {
        if let Some(item) = self.items.get_mut(&id) {
            let lane = item.seen.lane.clone();
            if seen.retries_asked > item.seen.retries_asked {
                item.due = now;
                if let Some(target) = self.targets.get_mut(&lane.target) {
                    target.answered();
                }
            }
            if seen.attempts > item.seen.attempts {
                // Another replica led meanwhile.
                (item.since, item.due) = (now, now);
                item.seen.waited = seen.waited;
            }
            item.seen.attempts = seen.attempts.max(item.seen.attempts);
            item.seen.retries_asked = seen.retries_asked;
            self.set_expiry(&id);
            self.post_lane(&lane);
            return;
        }
        let lane = seen.lane.clone();
        let place = (seen.order_ms, seen.accepted, id.clone());
        self.lanes.entry(lane.clone()).or_default().ids.insert(place);
        let target = self.targets.entry(lane.target.clone());
        target.or_insert_with_key(|name| QueueTarget::new(name, now)).waiting += 1;
        let due = if seen.order_ms == 0 { now } else { now + HOLD };
        let item = Item { seen, since: now, due, last_tried: None, phase: Phase::Waiting, expires: None };
        self.items.insert(id.clone(), item);
        self.set_expiry(&id);
        self.post_lane(&lane);
    }

    /// Removes a delivery whose entry has left the store.
    pub fn remove(&mut self, id: &DeliveryId) {
        let Some(item) = self.items.remove(id) else { return };
        let lane = item.seen.lane;
        if let (Some(at), Some(target)) = (item.expires, self.targets.get_mut(&lane.target)) {
            target.remove_expiring(at, id);
        }
        if let Some(entry) = self.lanes.get_mut(&lane) {
            entry.ids.remove(&(item.seen.order_ms, item.seen.accepted, id.clone()));
        }
        self.post_lane(&lane);
        self.leave(&lane.target, |target| target.waiting -= 1);
    }

    /// Takes out everything that `is_there` does not know.
    pub fn retain(&mut self, is_there: impl Fn(&DeliveryId) -> bool) {
        let gone: Vec<DeliveryId> = self.items.keys().filter(|id| !is_there(id)).cloned().collect();
        for id in &gone {
            self.remove(id);
        }
    }

    /// Returns the actions that are due now. The caller must perform each of them. After a long time
    /// the first call returns a part of the deliveries that have expired; each end of one of them
    /// makes place for another.
    pub fn work(&mut self, now: Instant) -> Vec<QueueWork> {
        let mut work: Vec<QueueWork> = Vec::new();
        while let Some((at, id)) = self.agenda.due.first().cloned()
            && at <= now
        {
            self.agenda.due.remove(&(at, id.clone()));
            self.make_ready(&id);
        }
        while let Some((at, name)) = self.agenda.opening.first().cloned()
            && at <= now
        {
            self.agenda.opening.remove(&(at, name.clone()));
            self.change_target(&name, QueueTarget::probe);
        }
        while let Some((at, name)) = self.agenda.overdue.first().cloned()
            && at <= now
            && work.len() < self.limits.in_all
        {
            let expired = self.targets.get(&*name).and_then(|target| target.expired(now));
            let Some(id) = expired else { break };
            self.set_phase(&id, Phase::Settling);
            work.push(QueueWork::Expire(id));
        }
        while let Some(id) = self.next().cloned() {
            self.start(&id, now);
            work.push(QueueWork::Try(id));
        }
        work
    }

    /// Returns the delivery that is tried next; `None` if no target or no tenant may have one more
    /// attempt.
    fn next(&self) -> Option<&DeliveryId> {
        self.agenda.next(|tenant| self.has_share(tenant))
    }

    /// Begins the attempt of a delivery.
    fn start(&mut self, id: &DeliveryId, now: Instant) {
        let Some(item) = self.items.get_mut(id) else { return };
        item.last_tried = Some(now);
        let lane = item.seen.lane.clone();
        self.busy.insert(lane.clone());
        self.set_phase(id, Phase::Trying);
        self.change_target(&lane.target, |target| target.in_flight += 1);
        *self.flying_of.entry(lane.meeting.tenant.clone()).or_default() += 1;
        self.flying.insert(id.clone(), lane);
    }

    /// Takes back an attempt that did not begin; the delivery is due again at `due`.
    pub fn postpone(&mut self, id: &DeliveryId, due: Instant) {
        let Some(lane) = self.land(id) else { return };
        if let Some(item) = self.items.get_mut(id) {
            item.due = due;
        }
        self.set_phase(id, Phase::Waiting);
        self.post_lane(&lane);
        self.leave(&lane.target, |target| target.in_flight -= 1);
    }

    /// Takes an attempt out of those under way.
    fn land(&mut self, id: &DeliveryId) -> Option<DeliveryLane> {
        let lane = self.flying.remove(id)?;
        self.busy.remove(&lane);
        if let Some(of_tenant) = self.flying_of.get_mut(&lane.meeting.tenant) {
            *of_tenant -= 1;
            if *of_tenant == 0 {
                self.flying_of.remove(&lane.meeting.tenant);
            }
        }
        Some(lane)
    }

    /// Takes the outcome of an attempt and returns the write that follows; `jitter` from 0 to 1 is
    /// random. Returns none if the delivery was removed meanwhile.
    pub fn finished(
        &mut self,
        id: &DeliveryId,
        outcome: TryOutcome,
        now: Instant,
        jitter: f64,
    ) -> Option<DeliveryStep> {
        let lane = self.land(id)?;
        // The next delivery of the lane, if this one was removed or an earlier event has arrived.
        self.set_phase(id, Phase::Settling);
        self.post_lane(&lane);
        let limits = self.limits;
        self.leave(&lane.target, |target| {
            target.in_flight -= 1;
            match outcome {
                TryOutcome::Down => target.failed(now, |failures| limits.pause(failures, jitter)),
                TryOutcome::Taken | TryOutcome::Refused | TryOutcome::Failed => target.answered(),
            }
        });
        let item = self.items.get_mut(id)?;
        match outcome {
            TryOutcome::Taken => return Some(DeliveryStep::Taken),
            TryOutcome::Refused => return Some(DeliveryStep::Refused),
            TryOutcome::Failed | TryOutcome::Down => {}
        }
        item.seen.attempts += 1;
        item.seen.waited += now.saturating_duration_since(item.since);
        item.since = now;
        if item.seen.waited >= limits.retry_for {
            return Some(DeliveryStep::Expired);
        }
        // Of one that is down the target's own pause holds all of them back.
        let pause = if outcome == TryOutcome::Down {
            Duration::ZERO
        } else {
            limits.pause(item.seen.attempts, jitter)
        };
        item.due = now + pause;
        Some(DeliveryStep::Later { attempts: item.seen.attempts, waited: item.seen.waited })
    }

    /// Ends the writing of a result, successful or not. A delivery that still has its entry waits
    /// again.
    pub fn settled(&mut self, id: &DeliveryId) {
        if self.items.get(id).is_some_and(|item| item.phase == Phase::Settling) {
            self.set_phase(id, Phase::Waiting);
        }
    }

    /// Returns whether one more attempt for a tenant may begin. A tenant takes at most as many as it
    /// leaves free (D6): one whose applications all hang takes half of them.
    fn has_share(&self, tenant: &TenantId) -> bool {
        let free = self.limits.in_all.saturating_sub(self.flying.len());
        self.flying_of.get(tenant).copied().unwrap_or(0) < free
    }

    /// Returns when there is something to do next, if not for something under way: the end of an
    /// attempt wakes those that wait for a share. Expiry needs no time of its own, because a failing
    /// target is probed until then.
    pub fn next_wake(&self) -> Option<Instant> {
        let ready = self.next().and_then(|id| self.items.get(id)).map(|item| item.due);
        let due = self.agenda.due.first().map(|(at, _)| *at);
        let opening = self.agenda.opening.first().map(|(at, _)| *at);
        [ready, due, opening].into_iter().flatten().min()
    }

    /// Moves the first delivery of a lane, which is due now, to those of its target that are ready.
    fn make_ready(&mut self, id: &DeliveryId) {
        let Some(item) = self.items.get(id) else { return };
        let (lane, order) = (item.seen.lane.clone(), (item.last_tried, item.seen.accepted, id.clone()));
        if let Some(entry) = self.lanes.get_mut(&lane) {
            entry.posted = Some(LanePost::Ready(order.clone()));
        }
        self.change_target(&lane.target, |target| target.add_ready(&lane.meeting.tenant, order));
    }

    /// Posts the first delivery of a lane, after the lane or its first delivery changed. A lane
    /// without deliveries is forgotten.
    fn post_lane(&mut self, lane: &DeliveryLane) {
        let posted = self.lanes.get_mut(lane).and_then(|entry| entry.posted.take());
        match posted {
            Some(LanePost::Due(at, id)) => drop(self.agenda.due.remove(&(at, id))),
            Some(LanePost::Ready(order)) => {
                self.change_target(&lane.target, |target| target.remove_ready(&lane.meeting.tenant, &order));
            }
            None => {}
        }
        #[cfg(test)]
        {
            self.steps += 1;
        }
        let Some(entry) = self.lanes.get_mut(lane) else { return };
        let Some((.., id)) = entry.ids.first() else {
            self.lanes.remove(lane);
            return;
        };
        let item = self.items.get(id).filter(|item| item.phase == Phase::Waiting);
        if let Some(item) = item.filter(|_| !self.busy.contains(lane)) {
            entry.posted = Some(LanePost::Due(item.due, id.clone()));
            self.agenda.due.insert((item.due, id.clone()));
        }
    }

    /// Moves a delivery to another phase.
    fn set_phase(&mut self, id: &DeliveryId, phase: Phase) {
        let Some(item) = self.items.get_mut(id) else { return };
        item.phase = phase;
        let lane = item.seen.lane.clone();
        self.set_expiry(id);
        self.post_lane(&lane);
    }

    /// Notes when a delivery expires, if it is waiting.
    fn set_expiry(&mut self, id: &DeliveryId) {
        let Some(item) = self.items.get_mut(id) else { return };
        let left = self.limits.retry_for.saturating_sub(item.seen.waited);
        let expires = (item.phase == Phase::Waiting).then(|| item.since.checked_add(left)).flatten();
        let before = std::mem::replace(&mut item.expires, expires);
        let name = item.seen.lane.target.clone();
        self.change_target(&name, |target| {
            if let Some(at) = before {
                target.remove_expiring(at, id);
            }
            if let Some(at) = expires {
                target.add_expiring(at, id.clone());
            }
        });
    }

    /// Changes a target and its entries in the agenda.
    fn change_target(&mut self, name: &str, change: impl FnOnce(&mut QueueTarget)) {
        #[cfg(test)]
        {
            self.steps += 1;
        }
        let Some(target) = self.targets.get_mut(name) else { return };
        change(target);
        target.post(self.limits.per_target, &mut self.agenda);
    }

    /// Changes a target, and forgets it once no delivery needs it.
    fn leave(&mut self, name: &str, change: impl FnOnce(&mut QueueTarget)) {
        self.change_target(name, change);
        if let Some(target) = self.targets.get_mut(name)
            && target.waiting == 0
            && target.in_flight == 0
        {
            target.withdraw(&mut self.agenda);
            self.targets.remove(name);
        }
    }
}

#[cfg(test)]
mod tests;
