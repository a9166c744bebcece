//! The meeting of each instance, also of instances that have ended: a callback or event of a server
//! may arrive after the record was removed.

use usher_model::{
    id::{InternalMeetingId, ServerId, TenantId},
    meeting::{MeetingKey, MeetingRecord, RecordState},
};

use super::{Fleet, instance_stem};
use crate::core::plan::Stored;

impl Fleet {
    /// Returns the record of a tenant's meeting that has an internal id, or may have it: its create
    /// is not confirmed, and the id is made of its `meetingID`. The caller may have the id from the
    /// answer to the create, whose confirmation is under way.
    pub fn record_of_instance(
        &self,
        tenant: &TenantId,
        instance: &str,
    ) -> Option<(&MeetingKey, &Stored<MeetingRecord>)> {
        let has_time =
            instance.rsplit_once('-').is_some_and(|(_, time)| time.bytes().all(|byte| byte.is_ascii_digit()));
        let stem = instance_stem::stem_of(instance);
        let named = |(key, stored): &(&MeetingKey, &Stored<MeetingRecord>)| match &stored.value.state {
            RecordState::Active { internal_id, .. } => internal_id.as_str() == instance,
            RecordState::Pending => has_time && instance_stem::stem(key, &stored.value) == stem,
            RecordState::Ending { .. } => false,
        };
        self.records.by_stem(tenant, stem).map(|(key, entry)| (key, &entry.stored)).find(named)
    }

    /// Returns the meeting whose record or zombie on a server names an instance.
    pub fn key_of_instance(&self, server: &ServerId, instance: &InternalMeetingId) -> Option<MeetingKey> {
        let mut records = self.records_on(server).filter(|(_, stored)| stored.value.names(instance));
        let record = records.next().map(|(key, _)| key.clone());
        record.or_else(|| {
            let mut zombies = self.zombies_on(server);
            let named = zombies.find(|(_, stored)| stored.value.internal_id.as_ref() == Some(instance));
            named.map(|(key, _)| key.meeting)
        })
    }

    /// Returns the meeting of an instance that runs on a server, or ended within the last 24 h as
    /// far as this replica has seen; `None` if the meeting has no tenant.
    pub fn instance_on(&self, server: &ServerId, instance: &InternalMeetingId) -> Option<MeetingKey> {
        let listed = || self.server(server)?.listed(instance)?.key.clone();
        let known = self.key_of_instance(server, instance).or_else(listed);
        known.or_else(|| self.ended.key_of(instance).cloned())
    }
}
