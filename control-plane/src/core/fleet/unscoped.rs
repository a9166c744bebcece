//! Bare meetings of tenants ([`usher_model::scope`]) by the id that their servers know them by: it is
//! what a meeting of tenant `default` would be called there.

use std::collections::BTreeMap;

use foldhash::{HashMap, HashMapExt};
use usher_model::{
    id::{InternalMeetingId, MeetingId, ServerId, TenantId},
    meeting::MeetingKey,
    scope::TenantScope,
};

use crate::core::plan::FleetKey;

/// The index: which record or zombie, and where.
#[derive(Debug, Clone)]
pub(super) struct UnscopedMeetings(HashMap<MeetingId, BTreeMap<FleetKey, ServerId>>);

impl Default for UnscopedMeetings {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl UnscopedMeetings {
    /// Notes what a record or zombie, by its `key` in the store, names now: an instance on a server, or
    /// nothing.
    pub(super) fn set(
        &mut self,
        key: FleetKey,
        meeting: &MeetingKey,
        names: Option<(&InternalMeetingId, &ServerId)>,
    ) {
        if meeting.tenant.as_str() == TenantId::DEFAULT {
            return;
        }
        let scope = TenantScope::of(&meeting.tenant);
        let bare = names.filter(|(instance, _)| scope.is_bare(meeting.meeting.as_str(), instance));
        if let Some((_, server)) = bare {
            self.0.entry(meeting.meeting.clone()).or_default().insert(key, server.clone());
        } else if let Some(all) = self.0.get_mut(&meeting.meeting) {
            all.remove(&key);
            if all.is_empty() {
                self.0.remove(&meeting.meeting);
            }
        }
    }

    /// Visits the servers that know a meeting of another tenant by the id that `meeting` has there.
    pub(super) fn namesakes_of(&self, meeting: &MeetingKey) -> impl Iterator<Item = &ServerId> {
        let is_default = meeting.tenant.as_str() == TenantId::DEFAULT;
        let all = self.0.get(&meeting.meeting).filter(|_| is_default);
        all.into_iter().flat_map(BTreeMap::values)
    }
}
