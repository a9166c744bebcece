//! The fields by which meetings are filtered and ordered.

use usher_model::{
    id::{ServerId, TenantId},
    meeting::{MeetingKey, MeetingRecord, RecordState},
    server::Health,
};
use usher_proto::v1;
use usher_runtime::clock::WallClock;

use super::output;
use crate::{
    core::{
        change_log::ChangedKey,
        filter::{FieldKind, FieldSpec, FieldValue, FilteredEntry},
        fleet::Fleet,
    },
    grpc::{
        list_query::QueriedList,
        name,
        watch::{EntryDigest, WatchedList, WatchedPart},
    },
};

/// The meetings of a tenant and a server, or of all.
pub(super) struct MeetingList {
    pub(super) tenant: Option<TenantId>,
    pub(super) server: Option<ServerId>,
}

/// A meeting with the fleet that knows its server.
pub(super) struct MeetingEntry<'f> {
    fleet: &'f Fleet,
    key: &'f MeetingKey,
    record: &'f MeetingRecord,
    now_ms: i64,
}

impl FilteredEntry for MeetingEntry<'_> {
    const FIELDS: &'static [FieldSpec] = &[
        FieldSpec { name: "id", kind: FieldKind::Text },
        FieldSpec { name: "meeting_id", kind: FieldKind::Text },
        FieldSpec { name: "name", kind: FieldKind::Text },
        FieldSpec { name: "tenant", kind: FieldKind::Id("tenants/") },
        FieldSpec { name: "server", kind: FieldKind::Id("servers/") },
        FieldSpec { name: "state", kind: FieldKind::Word(&["pending", "active", "ending"]) },
        FieldSpec { name: "users", kind: FieldKind::Number },
        FieldSpec { name: "age", kind: FieldKind::Duration },
        FieldSpec { name: "detached", kind: FieldKind::Flag },
        FieldSpec { name: "breakout", kind: FieldKind::Flag },
        FieldSpec { name: "participants", kind: FieldKind::Number },
        FieldSpec { name: "internal_id", kind: FieldKind::Text },
    ];

    fn value(&self, field: usize) -> FieldValue<'_> {
        match Self::FIELDS[field].name {
            "id" | "meeting_id" => FieldValue::text(self.key.meeting.as_str()),
            "name" => FieldValue::text(name::meeting(self.key)),
            "tenant" => FieldValue::text(self.key.tenant.as_str()),
            "server" => FieldValue::text(self.record.server.as_str()),
            "state" => FieldValue::text(match self.record.state {
                RecordState::Pending => "pending",
                RecordState::Active { .. } => "active",
                RecordState::Ending { .. } => "ending",
            }),
            "users" | "participants" => {
                FieldValue::Number(output::participants(self.fleet, self.record).into())
            }
            "age" => {
                let age = self.now_ms.saturating_sub(output::created_ms(self.record));
                FieldValue::Number(age.max(0) as f64 / 1000.0)
            }
            "detached" => FieldValue::Flag(
                self.fleet.server(&self.record.server).is_none_or(|s| s.health() == Health::Offline),
            ),
            "breakout" => FieldValue::Flag(self.record.breakout),
            _ => {
                self.record.state.internal_id().map_or(FieldValue::Absent, |id| FieldValue::text(id.as_str()))
            }
        }
    }
}

impl QueriedList for MeetingList {
    type Key = MeetingKey;
    type Entry<'f> = MeetingEntry<'f>;
    type Shown = v1::Meeting;

    fn after<'f>(
        &'f self,
        fleet: &'f Fleet,
        after: Option<&'f MeetingKey>,
    ) -> Box<dyn Iterator<Item = MeetingEntry<'f>> + 'f> {
        let records = fleet.records_after(self.tenant.as_ref(), self.server.as_ref(), after);
        let now_ms = WallClock::system().now_ms();
        Box::new(records.map(move |(key, stored)| MeetingEntry { fleet, key, record: &stored.value, now_ms }))
    }

    fn find<'f>(&'f self, fleet: &'f Fleet, key: &'f MeetingKey) -> Option<MeetingEntry<'f>> {
        Some(MeetingEntry {
            fleet,
            key,
            record: &fleet.record(key)?.value,
            now_ms: WallClock::system().now_ms(),
        })
    }

    fn key<'e>(entry: &'e MeetingEntry<'_>) -> &'e MeetingKey {
        entry.key
    }

    fn token(key: &MeetingKey) -> String {
        key.to_string()
    }

    fn show(&self, fleet: &Fleet, entry: &MeetingEntry<'_>) -> v1::Meeting {
        output::meeting(fleet, entry.key, entry.record)
    }
}

impl WatchedList for MeetingList {
    type Message = v1::WatchMeetingsResponse;
    const SAMPLED: bool = false;

    fn changed(&self, key: &ChangedKey) -> Option<MeetingKey> {
        match key {
            ChangedKey::Meeting(key) if self.tenant.as_ref().is_none_or(|tenant| *tenant == key.tenant) => {
                Some(key.clone())
            }
            _ => None,
        }
    }

    fn name(key: &MeetingKey) -> String {
        name::meeting(key)
    }

    fn digest(_: &v1::Meeting) -> EntryDigest {
        0
    }

    fn message(part: WatchedPart<v1::Meeting>) -> v1::WatchMeetingsResponse {
        v1::WatchMeetingsResponse {
            stage: part.stage.into(),
            revision: part.revision.map(Into::into),
            meetings: part.entries,
            removed: part.removed,
        }
    }
}
