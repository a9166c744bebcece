//! When which delivery is tried. The invariants D1 to D6 are those of the module above.

mod target;

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    time::{Duration, Instant},
};

use usher_model::id::TenantId;

use self::target::QueueTarget;
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
}

/// Deliveries that wait. Only entries of the store and results of attempts change the queue.
#[derive(Debug)]
pub struct DeliveryQueue {
    limits: DeliveryLimits,
    items: HashMap<DeliveryId, Item>,
    lanes: HashMap<DeliveryLane, BTreeSet<(i64, u64, DeliveryId)>>,
    targets: HashMap<String, QueueTarget>,
    /// Number of attempts under way, those for removed deliveries included.
    flying: HashMap<DeliveryId, DeliveryLane>,
    /// Number of attempts under way for each tenant.
    flying_of: HashMap<TenantId, usize>,
    busy: HashSet<DeliveryLane>,
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
            if seen.retries_asked > item.seen.retries_asked {
                item.due = now;
                if let Some(target) = self.targets.get_mut(&item.seen.lane.target) {
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
            return;
        }
        self.lanes.entry(seen.lane.clone()).or_default().insert((seen.order_ms, seen.accepted, id.clone()));
        self.targets.entry(seen.lane.target.clone()).or_insert_with(|| QueueTarget::new(now)).waiting += 1;
        let due = if seen.order_ms == 0 { now } else { now + HOLD };
        let item = Item { seen, since: now, due, last_tried: None, phase: Phase::Waiting };
        self.items.insert(id, item);
    }

    /// Removes a delivery whose entry has left the store.
    pub fn remove(&mut self, id: &DeliveryId) {
        let Some(item) = self.items.remove(id) else { return };
        let lane = item.seen.lane;
        if let Some(ids) = self.lanes.get_mut(&lane) {
            ids.remove(&(item.seen.order_ms, item.seen.accepted, id.clone()));
            if ids.is_empty() {
                self.lanes.remove(&lane);
            }
        }
        self.leave(&lane.target, |target| target.waiting -= 1);
    }

    /// Takes out everything that `is_there` does not know.
    pub fn retain(&mut self, is_there: impl Fn(&DeliveryId) -> bool) {
        let gone: Vec<DeliveryId> = self.items.keys().filter(|id| !is_there(id)).cloned().collect();
        for id in &gone {
            self.remove(id);
        }
    }

    /// Returns the actions that are due now. The caller must perform each of them.
    pub fn work(&mut self, now: Instant) -> Vec<QueueWork> {
        let mut work: Vec<QueueWork> = Vec::new();
        for (id, item) in &mut self.items {
            let down = self.targets.get(&item.seen.lane.target).is_some_and(QueueTarget::is_down);
            let over = item.seen.waited + now.saturating_duration_since(item.since) >= self.limits.retry_for;
            if item.phase == Phase::Waiting && down && over && !self.busy.contains(&item.seen.lane) {
                item.phase = Phase::Settling;
                work.push(QueueWork::Expire(id.clone()));
            }
        }
        let mut ready: Vec<_> = self.heads().filter(|(_, item)| item.due <= now).collect();
        // Those that waited longest for a try first, so that each is a probe of a failing target in turn.
        ready.sort_by_key(|(id, item)| (item.last_tried, item.seen.accepted, (*id).clone()));
        let ready: Vec<DeliveryId> = ready.into_iter().map(|(id, _)| id.clone()).collect();
        for id in ready {
            if self.flying.len() >= self.limits.in_all {
                break;
            }
            if self.items.get(&id).is_some_and(|item| !self.has_share(&item.seen.lane.meeting.tenant)) {
                continue;
            }
            let Some(item) = self.items.get_mut(&id) else { continue };
            let Some(target) = self.targets.get_mut(&item.seen.lane.target) else { continue };
            if !target.has_room(self.limits.per_target, now) {
                continue;
            }
            target.in_flight += 1;
            (item.phase, item.last_tried) = (Phase::Trying, Some(now));
            self.busy.insert(item.seen.lane.clone());
            self.flying.insert(id.clone(), item.seen.lane.clone());
            *self.flying_of.entry(item.seen.lane.meeting.tenant.clone()).or_default() += 1;
            work.push(QueueWork::Try(id));
        }
        work
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
        let lane = self.flying.remove(id)?;
        self.busy.remove(&lane);
        if let Some(of_tenant) = self.flying_of.get_mut(&lane.meeting.tenant) {
            *of_tenant -= 1;
            if *of_tenant == 0 {
                self.flying_of.remove(&lane.meeting.tenant);
            }
        }
        let limits = self.limits;
        self.leave(&lane.target, |target| {
            target.in_flight -= 1;
            match outcome {
                TryOutcome::Down => target.failed(now, |failures| limits.pause(failures, jitter)),
                TryOutcome::Taken | TryOutcome::Refused | TryOutcome::Failed => target.answered(),
            }
        });
        let item = self.items.get_mut(id)?;
        item.phase = Phase::Settling;
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
        if let Some(item) = self.items.get_mut(id).filter(|item| item.phase == Phase::Settling) {
            item.phase = Phase::Waiting;
        }
    }

    /// Returns whether one more attempt for a tenant may begin. A tenant takes at most as many as it
    /// leaves free (D6): one whose applications all hang takes half of them.
    fn has_share(&self, tenant: &TenantId) -> bool {
        let free = self.limits.in_all.saturating_sub(self.flying.len());
        self.flying_of.get(tenant).copied().unwrap_or(0) < free
    }

    /// Returns when there is something to do next, if not for something under way: the end of an
    /// attempt wakes those that wait for a share.
    pub fn next_wake(&self) -> Option<Instant> {
        let due = |item: &Item| {
            if !self.has_share(&item.seen.lane.meeting.tenant) {
                return None;
            }
            let target = self.targets.get(&item.seen.lane.target)?;
            target.opens(self.limits.per_target).map(|opens| opens.max(item.due))
        };
        self.heads().filter_map(|(_, item)| due(item)).min()
    }

    /// Returns how long the oldest delivery has waited, as far as is known here.
    pub fn oldest(&self, now: Instant) -> Option<Duration> {
        self.items.values().map(|item| item.seen.waited + now.saturating_duration_since(item.since)).max()
    }

    /// Returns the deliveries that are first in their lanes and not under way.
    fn heads(&self) -> impl Iterator<Item = (&DeliveryId, &Item)> {
        self.lanes.iter().filter(|(lane, _)| !self.busy.contains(*lane)).filter_map(|(_, ids)| {
            let (.., id) = ids.first()?;
            let item = self.items.get(id)?;
            (item.phase == Phase::Waiting).then_some((id, item))
        })
    }

    /// Changes a target, and forgets it once no delivery needs it.
    fn leave(&mut self, name: &str, change: impl FnOnce(&mut QueueTarget)) {
        let Some(target) = self.targets.get_mut(name) else { return };
        change(target);
        if target.waiting == 0 && target.in_flight == 0 {
            self.targets.remove(name);
        }
    }
}

#[cfg(test)]
mod tests;
