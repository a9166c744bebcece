//! Which events may go out: those of registered hooks. Deleting a hook takes one write, however many
//! events wait for it; from the moment at which a replica sees it, no attempt for the hook begins
//! there, and the leader removes the events in the background. A deletion of the events before the
//! answer was rejected: it takes as long as they are many, and events that another replica accepts
//! meanwhile would remain.

use std::collections::{BTreeMap, BTreeSet};

use usher_model::id::TenantId;

use crate::notifications::rules::ids::HookId;

/// The name of a hook in the store: its tenant and its id.
pub type HookKey = (TenantId, HookId);

/// Largest number of deletions that are remembered.
const MOST: usize = 10_000;

/// The standing of an event's hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HookStanding {
    /// The registrations have not been read yet.
    Unread,
    /// The hook is registered, and was not deleted since the event was accepted.
    Registered,
    /// No hook of this name was seen. Its registration may be on its way to this replica.
    Missing,
    /// The hook was deleted after the event was accepted. A later registration of the same address
    /// does not bring the event back.
    Deleted,
}

/// The registered hooks, and those that were deleted while this replica watched.
#[derive(Debug, Default)]
pub struct HookFence {
    read: bool,
    registered: BTreeSet<HookKey>,
    /// Store revision of the last deletion of each hook.
    deleted: BTreeMap<HookKey, u64>,
    by_revision: BTreeSet<(u64, HookKey)>,
}

impl HookFence {
    /// Replaces the registered hooks by those of a listing. Deletions from before are forgotten:
    /// the listing may belong to another history, whose revisions cannot be compared (ADR 8).
    pub fn replace(&mut self, registered: BTreeSet<HookKey>) {
        *self = Self { read: true, registered, ..Self::default() };
    }

    /// Notes a registration.
    pub fn register(&mut self, hook: HookKey) {
        self.registered.insert(hook);
    }

    /// Notes a deletion at a store revision.
    pub fn delete(&mut self, hook: HookKey, revision: u64) {
        self.registered.remove(&hook);
        if let Some(before) = self.deleted.insert(hook.clone(), revision) {
            self.by_revision.remove(&(before, hook.clone()));
        }
        self.by_revision.insert((revision, hook));
        while self.by_revision.len() > MOST {
            if let Some((_, oldest)) = self.by_revision.pop_first() {
                self.deleted.remove(&oldest);
            }
        }
    }

    /// Returns whether the registrations have been read.
    pub fn is_read(&self) -> bool {
        self.read
    }

    /// Returns the standing of the hook of an event that was accepted at a store revision.
    pub fn standing(&self, hook: &HookKey, accepted: u64) -> HookStanding {
        match self.deleted.get(hook) {
            _ if !self.read => HookStanding::Unread,
            Some(revision) if *revision >= accepted => HookStanding::Deleted,
            _ if self.registered.contains(hook) => HookStanding::Registered,
            _ => HookStanding::Missing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hook(url: &str) -> HookKey {
        let tenant = TenantId::default_tenant();
        (tenant.clone(), HookId::of(&tenant, url))
    }

    #[test]
    fn an_event_from_before_the_deletion_stays_dead_when_its_hook_is_registered_again() {
        let mut fence = HookFence::default();
        assert_eq!(fence.standing(&hook("a"), 5), HookStanding::Unread);
        fence.replace(BTreeSet::from([hook("a")]));
        assert_eq!(fence.standing(&hook("a"), 5), HookStanding::Registered);
        assert_eq!(fence.standing(&hook("b"), 5), HookStanding::Missing);
        fence.delete(hook("a"), 7);
        assert_eq!(fence.standing(&hook("a"), 7), HookStanding::Deleted);
        assert_eq!(fence.standing(&hook("a"), 8), HookStanding::Missing, "accepted by a replica behind");
        fence.register(hook("a"));
        assert_eq!(fence.standing(&hook("a"), 7), HookStanding::Deleted);
        assert_eq!(fence.standing(&hook("a"), 9), HookStanding::Registered);
        fence.replace(BTreeSet::from([hook("a")]));
        assert_eq!(fence.standing(&hook("a"), 7), HookStanding::Registered, "perhaps of another history");
    }

    #[test]
    fn the_memory_of_deletions_is_bounded() {
        let mut fence = HookFence::default();
        fence.replace(BTreeSet::new());
        for revision in 0..MOST as u64 + 10 {
            fence.delete(hook(&revision.to_string()), revision);
            fence.delete(hook("again"), revision);
        }
        assert_eq!((fence.deleted.len(), fence.by_revision.len()), (MOST, MOST));
        assert_eq!(fence.standing(&hook("again"), 10), HookStanding::Deleted);
    }
}
