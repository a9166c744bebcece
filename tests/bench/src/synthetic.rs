//! A synthetic fleet: every number denotes one meeting, its server and its place in the routing
//! table.

use sha1::{Digest as _, Sha1};
use usher_bbb::{checksum::ChecksumAlgorithm, secret::Secret};
use usher_model::{
    id::{IdError, InternalMeetingId, MeetingId, ServerId, TenantId},
    meeting::MeetingKey,
    routing::{MeetingRoute, RouteState, ServerRoute, TenantRoute},
    server::{AdminState, Health},
};

/// The number of servers of the fleet.
pub(crate) const SERVERS: usize = 20;

/// The secret of the tenant `default`.
pub(crate) const SECRET: &str = "b6AAOaJ1XQ2nPlGZ5dYUWwKkAY7tMsE2QVhDTs6f";

/// The wall clock of every creation, in milliseconds since 1970.
pub(crate) const CREATED_AT_MS: i64 = 1_795_000_000_000;

/// Returns the base address of a meeting's server.
pub(crate) fn server_url(meeting: usize) -> String {
    format!("https://bbb-{:02}.example.org/bigbluebutton/api/", meeting % SERVERS)
}

/// Returns an id of 39 characters, as learning platforms create them.
pub(crate) fn meeting_id(meeting: usize) -> String {
    format!("{meeting:08}-4f1c-9a57-course-2026-winter-a")
}

/// Returns the internal id of a meeting, in the format of BBB.
pub(crate) fn internal_id(meeting_id: &str) -> String {
    let hash = Sha1::digest(meeting_id);
    let hex: String = hash.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(digit).collect();
    format!("{hex}-{CREATED_AT_MS}")
}

fn digit(value: u8) -> char {
    char::from(b"0123456789abcdef"[usize::from(value & 15)])
}

pub(crate) fn key(meeting: usize) -> Result<MeetingKey, IdError> {
    Ok(MeetingKey::new(TenantId::default_tenant(), MeetingId::parse(&meeting_id(meeting))?))
}

pub(crate) fn meeting(meeting: usize) -> Result<MeetingRoute, IdError> {
    let key = key(meeting)?;
    let internal_id = InternalMeetingId::parse(&internal_id(key.meeting.as_str()))?;
    let state = RouteState::Active(internal_id);
    Ok(MeetingRoute { key, server: server_id(meeting)?, state, voice_bridge: None })
}

fn server_id(meeting: usize) -> Result<ServerId, IdError> {
    ServerId::parse(&format!("bbb-{:02}", meeting % SERVERS))
}

pub(crate) fn servers() -> Result<Vec<ServerRoute>, IdError> {
    let server = |number| {
        Ok(ServerRoute {
            id: server_id(number)?,
            url: server_url(number),
            secret: Secret::new(&format!("secret-of-server-{number:02}-0123456789abcdef")),
            admin: AdminState::Enabled,
            health: Health::Online,
            algorithm: ChecksumAlgorithm::Sha256,
        })
    };
    (0..SERVERS).map(server).collect()
}

pub(crate) fn tenant() -> TenantRoute {
    TenantRoute { secrets: vec![Secret::new(SECRET)], ..TenantRoute::new(TenantId::default_tenant()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn meetings_look_like_those_of_a_learning_platform() {
        assert_eq!(meeting_id(7).len(), 39);
        let internal = internal_id("random-8648527");
        assert!(internal.len() == 54 && internal.ends_with("-1795000000000"), "{internal}");
        assert_eq!(servers().unwrap().len(), SERVERS);
        assert_eq!(meeting(21).unwrap().server, servers().unwrap()[1].id);
    }
}
