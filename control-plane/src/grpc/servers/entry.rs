//! The fields by which servers are filtered and ordered.

use std::{
    hash::{DefaultHasher, Hasher as _},
    time::Instant,
};

use prost::Message as _;
use usher_model::{
    id::ServerId,
    server::{AdminState, Health},
};
use usher_proto::v1;
use usher_runtime::clock::{self, WallClock};

use super::output;
use crate::{
    core::{
        change_log::ChangedKey,
        filter::{FieldKind, FieldSpec, FieldValue, FilteredEntry},
        fleet::{Fleet, FleetServer},
    },
    grpc::{
        list_query::QueriedList,
        name,
        secret_visibility::SecretVisibility,
        watch::{EntryDigest, WatchedList, WatchedPart},
    },
};

/// The words of the state that operators set.
const ADMIN_STATES: &[&str] = &["enabled", "cordoned", "disabled"];

/// The servers of the fleet.
pub(super) struct ServerList;

/// A server with the fleet that knows its meetings.
pub(super) struct ServerEntry<'f> {
    fleet: &'f Fleet,
    server: &'f FleetServer,
    now: Instant,
    now_ms: i64,
}

impl FilteredEntry for ServerEntry<'_> {
    const FIELDS: &'static [FieldSpec] = &[
        FieldSpec { name: "id", kind: FieldKind::Id("servers/") },
        FieldSpec { name: "name", kind: FieldKind::Id("servers/") },
        FieldSpec { name: "url", kind: FieldKind::Text },
        FieldSpec { name: "state", kind: FieldKind::Word(ADMIN_STATES) },
        FieldSpec { name: "admin_state", kind: FieldKind::Word(ADMIN_STATES) },
        FieldSpec { name: "health", kind: FieldKind::Word(&["online", "unhealthy", "offline", "unknown"]) },
        FieldSpec { name: "meetings", kind: FieldKind::Number },
        FieldSpec { name: "users", kind: FieldKind::Number },
        FieldSpec { name: "load", kind: FieldKind::Number },
        FieldSpec { name: "effective_load", kind: FieldKind::Number },
        FieldSpec { name: "weight", kind: FieldKind::Number },
        FieldSpec { name: "zombies", kind: FieldKind::Number },
        FieldSpec { name: "age", kind: FieldKind::Duration },
        FieldSpec { name: "sample_age", kind: FieldKind::Duration },
        FieldSpec { name: "tags", kind: FieldKind::Texts },
    ];

    fn value(&self, field: usize) -> FieldValue<'_> {
        let count = |count: usize| FieldValue::Number(count as f64);
        let stored = &self.server.stored.value;
        match Self::FIELDS[field].name {
            "id" | "name" => FieldValue::text(stored.id.as_str()),
            "url" => FieldValue::text(&stored.url),
            "state" | "admin_state" => FieldValue::text(match stored.admin {
                AdminState::Enabled => "enabled",
                AdminState::Cordoned => "cordoned",
                AdminState::Disabled => "disabled",
            }),
            "health" => FieldValue::text(match (stored.admin, self.server.health()) {
                (AdminState::Disabled, _) => "unknown",
                (_, Health::Online) => "online",
                (_, Health::Unhealthy) => "unhealthy",
                (_, Health::Offline) => "offline",
            }),
            "meetings" => count(self.fleet.record_count_on(&stored.id)),
            "users" => FieldValue::Number(self.server.users() as f64),
            "load" | "effective_load" => FieldValue::Number(self.server.effective_load() as f64),
            "weight" => FieldValue::Number(stored.weight),
            "zombies" => count(self.fleet.zombie_count_on(&stored.id)),
            "age" => {
                let age = self.now_ms.saturating_sub(stored.created_at_ms);
                FieldValue::Number(age.max(0) as f64 / 1000.0)
            }
            "sample_age" => {
                let age = self.server.sample_age(self.now);
                age.map_or(FieldValue::Absent, |age| FieldValue::Number(age.as_secs_f64()))
            }
            _ => FieldValue::Texts(&stored.tags),
        }
    }
}

impl QueriedList for ServerList {
    type Key = ServerId;
    type Entry<'f> = ServerEntry<'f>;
    type Shown = v1::Server;

    fn after<'f>(
        &'f self,
        fleet: &'f Fleet,
        after: Option<&'f ServerId>,
    ) -> Box<dyn Iterator<Item = ServerEntry<'f>> + 'f> {
        let (now, now_ms) = (clock::now(), WallClock::system().now_ms());
        Box::new(fleet.servers_after(after).map(move |server| ServerEntry { fleet, server, now, now_ms }))
    }

    fn find<'f>(&'f self, fleet: &'f Fleet, key: &'f ServerId) -> Option<ServerEntry<'f>> {
        let (now, now_ms) = (clock::now(), WallClock::system().now_ms());
        Some(ServerEntry { fleet, server: fleet.server(key)?, now, now_ms })
    }

    fn key<'e>(entry: &'e ServerEntry<'_>) -> &'e ServerId {
        entry.server.id()
    }

    fn token(key: &ServerId) -> String {
        key.to_string()
    }

    fn show(&self, fleet: &Fleet, entry: &ServerEntry<'_>) -> v1::Server {
        output::server(fleet, entry.server, SecretVisibility::Masked, entry.now)
    }
}

impl WatchedList for ServerList {
    type Message = v1::WatchServersResponse;
    const SAMPLED: bool = true;

    fn changed(&self, key: &ChangedKey) -> Option<ServerId> {
        match key {
            ChangedKey::Server(id) => Some(id.clone()),
            ChangedKey::Meeting(_) => None,
        }
    }

    fn name(key: &ServerId) -> String {
        name::server(key)
    }

    fn digest(shown: &v1::Server) -> EntryDigest {
        // The age grows all the time.
        let steady = v1::Server { sample_age: None, ..shown.clone() };
        let mut hasher = DefaultHasher::new();
        hasher.write(&steady.encode_to_vec());
        hasher.finish()
    }

    fn message(part: WatchedPart<v1::Server>) -> v1::WatchServersResponse {
        v1::WatchServersResponse {
            stage: part.stage.into(),
            revision: part.revision.map(Into::into),
            servers: part.entries,
            removed: part.removed,
        }
    }
}

#[cfg(test)]
mod tests;
