//! The next steps of the queue, in ordered sets: each step costs the logarithm of the number of
//! deliveries, however many wait behind it. The queue posts and withdraws the entries.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Instant,
};

use usher_model::id::TenantId;

use crate::notifications::rules::ids::DeliveryId;

/// The order in which deliveries that are due are tried: the one that waited longest for an attempt
/// first, so that each is a probe of a failing target in turn.
pub(super) type TryOrder = (Option<Instant>, u64, DeliveryId);

/// The entries that may become work.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    /// First deliveries of lanes, by the time at which they are due.
    pub(super) due: BTreeSet<(Instant, DeliveryId)>,
    /// For each tenant, the first delivery of each target that takes one more attempt now.
    pub(super) open: BTreeMap<TenantId, BTreeSet<(TryOrder, Arc<str>)>>,
    /// Failing targets with deliveries that are due, by the time of their next probe.
    pub(super) opening: BTreeSet<(Instant, Arc<str>)>,
    /// Failing targets without an attempt under way, by the time at which their first delivery
    /// expires.
    pub(super) overdue: BTreeSet<(Instant, Arc<str>)>,
}

impl Agenda {
    /// Returns the delivery that is tried next, of a tenant that `has_share` admits.
    pub(super) fn next(&self, has_share: impl Fn(&TenantId) -> bool) -> Option<&DeliveryId> {
        let admitted = self.open.iter().filter(|(tenant, _)| has_share(tenant));
        let firsts = admitted.filter_map(|(_, targets)| targets.first());
        firsts.map(|(order, _)| order).min().map(|(.., id)| id)
    }

    /// Posts the first delivery of a tenant for a target that takes one more attempt.
    pub(super) fn open(&mut self, tenant: TenantId, order: TryOrder, target: Arc<str>) {
        self.open.entry(tenant).or_default().insert((order, target));
    }

    /// Withdraws such a post.
    pub(super) fn close(&mut self, tenant: &TenantId, post: &(TryOrder, Arc<str>)) {
        if let Some(targets) = self.open.get_mut(tenant) {
            targets.remove(post);
            if targets.is_empty() {
                self.open.remove(tenant);
            }
        }
    }
}
