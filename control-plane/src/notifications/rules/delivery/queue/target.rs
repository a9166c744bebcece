//! One target: how much is under way to it, whether it can be reached, and its deliveries that are
//! due.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use usher_model::id::TenantId;

use super::agenda::{Agenda, TryOrder};
use crate::notifications::rules::ids::DeliveryId;

/// A target while something waits for it.
#[derive(Debug)]
pub(super) struct QueueTarget {
    name: Arc<str>,
    /// Deliveries that wait for it, those under way included.
    pub(super) waiting: usize,
    pub(super) in_flight: usize,
    /// Tries in a row that did not reach it.
    failures: u32,
    /// From when on a failing target may be probed.
    opens: Instant,
    /// Whether that time has come.
    opened: bool,
    /// First deliveries of lanes that are due, for each tenant.
    ready: BTreeMap<TenantId, BTreeSet<TryOrder>>,
    /// Waiting deliveries by the time at which they expire if the target still fails.
    expiring: BTreeSet<(Instant, DeliveryId)>,
    posted: Posted,
}

/// The entries of a target in the agenda.
#[derive(Debug, Default)]
struct Posted {
    open: Vec<(TenantId, TryOrder)>,
    opening: Option<Instant>,
    overdue: Option<Instant>,
}

impl QueueTarget {
    pub(super) fn new(name: &str, now: Instant) -> Self {
        Self {
            name: Arc::from(name),
            waiting: 0,
            in_flight: 0,
            failures: 0,
            opens: now,
            opened: false,
            ready: BTreeMap::new(),
            expiring: BTreeSet::new(),
            posted: Posted::default(),
        }
    }

    /// Notes that the target was unreachable. Until the pause has passed no attempt goes there, and
    /// then one at a time.
    pub(super) fn failed(&mut self, now: Instant, pause: impl FnOnce(u32) -> Duration) {
        // Tries that were under way together are one failure.
        if now >= self.opens || self.failures == 0 {
            self.failures = self.failures.saturating_add(1);
            self.opens = now + pause(self.failures);
            self.opened = false;
        }
    }

    /// Notes that the target answered, or that an operator requests an attempt: every delivery may go
    /// there.
    pub(super) fn answered(&mut self) {
        self.failures = 0;
    }

    /// Notes that a failing target may be probed now.
    pub(super) fn probe(&mut self) {
        self.opened = true;
    }

    fn is_down(&self) -> bool {
        self.failures > 0
    }

    /// Returns whether one more attempt may begin.
    fn has_room(&self, per_target: usize) -> bool {
        if self.is_down() { self.in_flight == 0 && self.opened } else { self.in_flight < per_target }
    }

    pub(super) fn add_ready(&mut self, tenant: &TenantId, order: TryOrder) {
        self.ready.entry(tenant.clone()).or_default().insert(order);
    }

    pub(super) fn remove_ready(&mut self, tenant: &TenantId, order: &TryOrder) {
        if let Some(orders) = self.ready.get_mut(tenant) {
            orders.remove(order);
            if orders.is_empty() {
                self.ready.remove(tenant);
            }
        }
    }

    pub(super) fn add_expiring(&mut self, at: Instant, id: DeliveryId) {
        self.expiring.insert((at, id));
    }

    pub(super) fn remove_expiring(&mut self, at: Instant, id: &DeliveryId) {
        self.expiring.remove(&(at, id.clone()));
    }

    /// Returns the first delivery that has expired.
    pub(super) fn expired(&self, now: Instant) -> Option<DeliveryId> {
        self.expiring.first().filter(|(at, _)| *at <= now).map(|(_, id)| id.clone())
    }

    /// Withdraws the target's entries from the agenda.
    pub(super) fn withdraw(&mut self, agenda: &mut Agenda) {
        let posted = std::mem::take(&mut self.posted);
        for (tenant, order) in posted.open {
            agenda.close(&tenant, &(order, Arc::clone(&self.name)));
        }
        if let Some(at) = posted.opening {
            agenda.opening.remove(&(at, Arc::clone(&self.name)));
        }
        if let Some(at) = posted.overdue {
            agenda.overdue.remove(&(at, Arc::clone(&self.name)));
        }
    }

    /// Brings the target's entries in the agenda up to date.
    pub(super) fn post(&mut self, per_target: usize, agenda: &mut Agenda) {
        self.withdraw(agenda);
        if self.has_room(per_target) {
            for (tenant, orders) in &self.ready {
                let Some(first) = orders.first() else { continue };
                agenda.open(tenant.clone(), first.clone(), Arc::clone(&self.name));
                self.posted.open.push((tenant.clone(), first.clone()));
            }
        }
        if self.is_down() && self.in_flight == 0 {
            if !self.opened && !self.ready.is_empty() {
                agenda.opening.insert((self.opens, Arc::clone(&self.name)));
                self.posted.opening = Some(self.opens);
            }
            if let Some((at, _)) = self.expiring.first() {
                agenda.overdue.insert((*at, Arc::clone(&self.name)));
                self.posted.overdue = Some(*at);
            }
        }
    }
}
