//! Conversion of servers into messages.

use std::time::Instant;

use usher_model::{
    id::ServerId,
    server::{AdminState, Health, Server},
};
use usher_proto::{
    time::{duration, timestamp},
    v1,
};
use usher_runtime::clock;

use crate::{
    core::fleet::{Fleet, FleetServer},
    grpc::{etag, name, secret_visibility::SecretVisibility},
};

/// Converts the server of an id.
pub(super) fn by_id(fleet: &Fleet, id: &ServerId, view: SecretVisibility) -> Option<v1::Server> {
    Some(server(fleet, fleet.server(id)?, view, clock::now()))
}

/// Converts a server, with all that this replica knows of it.
pub(super) fn server(
    fleet: &Fleet,
    server: &FleetServer,
    view: SecretVisibility,
    now: Instant,
) -> v1::Server {
    let stored = &server.stored.value;
    let record = server.health_record.as_ref().map(|stored| &stored.value);
    let health = match stored.admin {
        AdminState::Disabled => v1::Health::Unspecified,
        AdminState::Enabled | AdminState::Cordoned => v1::Health::from(server.health()),
    };
    v1::Server {
        name: name::server(&stored.id),
        url: stored.url.clone(),
        secret: if view == SecretVisibility::Revealed {
            stored.secret.expose().to_owned()
        } else {
            String::new()
        },
        weight: stored.weight,
        tags: stored.tags.clone(),
        admin_state: v1::AdminState::from(stored.admin).into(),
        checksum_algorithm: v1::ChecksumAlgorithm::from(stored.algorithm).into(),
        etag: etag::of(server.stored.modified),
        health: health.into(),
        recover_count: record.map_or(0, |record| record.recover),
        error_count: record.map_or(0, |record| record.error),
        health_since_time: record.map(|record| timestamp(record.since_ms)),
        health_reason: record
            .filter(|_| server.health() != Health::Online)
            .map(|record| record.reason.clone())
            .unwrap_or_default(),
        meetings: count(fleet.record_count_on(&stored.id)),
        users: u32::try_from(server.users()).unwrap_or(u32::MAX),
        effective_load: server.effective_load() as f64,
        sample_age: server.sample_age(now).map(duration),
        zombies: count(fleet.zombie_count_on(&stored.id)),
        same_as: fleet.original_of(&stored.id).map(name::server).unwrap_or_default(),
        former_of: stored.former_of.as_ref().map(name::server).unwrap_or_default(),
        listed_meetings: server.sample.as_ref().map_or(0, |sample| count(sample.value.meetings.len())),
    }
}

/// Returns the message of a server as it is once `server` is stored. The etag is the one of a write
/// that has not happened, so it is empty.
pub(super) fn as_written(shown: v1::Server, server: &Server) -> v1::Server {
    let health = match (server.admin, shown.admin_state()) {
        (AdminState::Disabled, _) => v1::Health::Unspecified,
        // An enabled server is on probation (A8).
        (_, v1::AdminState::Disabled) => v1::Health::from(Health::Unhealthy),
        _ => shown.health(),
    };
    v1::Server {
        name: name::server(&server.id),
        url: server.url.clone(),
        secret: String::new(),
        weight: server.weight,
        tags: server.tags.clone(),
        admin_state: v1::AdminState::from(server.admin).into(),
        checksum_algorithm: v1::ChecksumAlgorithm::from(server.algorithm).into(),
        etag: String::new(),
        health: health.into(),
        ..shown
    }
}

fn count(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
