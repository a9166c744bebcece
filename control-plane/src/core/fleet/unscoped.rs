//! Unscoped meetings of tenants ([`usher_model::scope`], ADR 12), by the id under which their
//! servers know them. A meeting of tenant `default` with that id would have the same name there.

use std::collections::BTreeMap;

use foldhash::{HashMap, HashMapExt};
use usher_model::{
    id::{InternalMeetingId, MeetingId, ServerId, TenantId},
    meeting::MeetingKey,
    scope::TenantScope,
};

use crate::core::plan::FleetKey;

/// The index: by unscoped id, the keys of the records and zombies, each with its server.
#[derive(Debug, Clone)]
pub(super) struct UnscopedMeetings(HashMap<MeetingId, BTreeMap<FleetKey, ServerId>>);

impl Default for UnscopedMeetings {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl UnscopedMeetings {
    /// Notes the instance and the server that the record or zombie of the store key `key` names
    /// now; `None` if it names no instance or was deleted.
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
        let bare = names.filter(|(instance, _)| scope.is_unscoped(meeting.meeting.as_str(), instance));
        if let Some((_, server)) = bare {
            self.0.entry(meeting.meeting.clone()).or_default().insert(key, server.clone());
        } else if let Some(all) = self.0.get_mut(&meeting.meeting) {
            all.remove(&key);
            if all.is_empty() {
                self.0.remove(&meeting.meeting);
            }
        }
    }

    /// Visits the servers on which an unscoped meeting of another tenant has the name that
    /// `meeting` would have there. Only a meeting of tenant `default` can have such a name, because
    /// all other ids are scoped.
    pub(super) fn namesakes_of(&self, meeting: &MeetingKey) -> impl Iterator<Item = &ServerId> {
        let is_default = meeting.tenant.as_str() == TenantId::DEFAULT;
        let all = self.0.get(&meeting.meeting).filter(|_| is_default);
        all.into_iter().flat_map(BTreeMap::values)
    }
}
