//! The meetings whose ids servers squeeze in their answers, by the hash that begins their internal
//! ids ([`usher_model::scope::is_squeezed`]).

use std::collections::{BTreeMap, BTreeSet};

use usher_model::{
    id::{InternalMeetingId, TenantId},
    meeting::MeetingKey,
    scope::{IdHash, TenantScope, is_squeezed},
};

use crate::core::plan::FleetKey;

/// The index. Few meetings have such ids, and all others cost nothing here.
#[derive(Debug, Clone, Default)]
pub(super) struct SqueezedIds {
    by_hash: BTreeMap<IdHash, BTreeSet<FleetKey>>,
    meetings: BTreeMap<FleetKey, MeetingKey>,
}

impl SqueezedIds {
    /// Notes whether the record or zombie of the store key `key` exists.
    pub(super) fn set(&mut self, key: FleetKey, meeting: &MeetingKey, exists: bool) {
        let id = meeting.meeting.as_str();
        if !is_squeezed(id) {
            return;
        }
        let scope = TenantScope::of(&meeting.tenant);
        // The id of an instance is scoped, or that of another balancer's meeting (ADR 12).
        for hash in [IdHash::of(&scope.scoped(id).to_string()), IdHash::of(id)] {
            let keys = self.by_hash.entry(hash).or_default();
            if exists {
                keys.insert(key.clone());
            } else {
                keys.remove(&key);
            }
            if keys.is_empty() {
                self.by_hash.remove(&hash);
            }
        }
        if exists {
            self.meetings.insert(key, meeting.clone());
        } else {
            self.meetings.remove(&key);
        }
    }

    /// Returns the meeting, of `tenant` if that is known, that `instance` was created for.
    pub(super) fn meeting_of(
        &self,
        instance: &InternalMeetingId,
        tenant: Option<&TenantId>,
    ) -> Option<&MeetingKey> {
        let keys = self.by_hash.get(&IdHash::of_instance(instance.as_str())?)?;
        keys.iter().filter_map(|key| self.meetings.get(key)).find(|meeting| {
            let (scope, id) = (TenantScope::of(&meeting.tenant), meeting.meeting.as_str());
            tenant.is_none_or(|tenant| meeting.tenant == *tenant)
                && (scope.is_instance(id, instance) || scope.is_unscoped(id, instance))
        })
    }
}
