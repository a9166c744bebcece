//! The routing table of the stubbed edge: a tenant whose secret the inputs are signed with, and
//! another one whose words must never appear in an answer.

use std::net::SocketAddr;

use usher_bbb::{checksum::ChecksumAlgorithm, secret::Secret};
use usher_model::{
    id::{InternalMeetingId, MeetingId, ServerId, TenantId},
    meeting::MeetingKey,
    revision::Revision,
    routing::{MeetingRoute, RouteState, RoutingDelta, RoutingTable, ServerRoute, TenantRoute},
    server::{AdminState, Health},
    voice::VoiceBridge,
};

/// The word in every id, name and secret of the other tenant, and in every secret of a server.
pub(crate) const CANARY: &str = "zq7canary";

/// The secret of the tenant that signs the inputs.
pub(super) const SECRET: &str = "fuzz-secret";

/// The meetings of the tenant that signs the inputs; the second one is not confirmed yet.
pub(super) const MEETINGS: [&str; 3] = ["room-1", "room-2", "room-3"];

/// The internal ids of these meetings.
pub(super) const INTERNAL: [&str; 3] = [
    "6e1f9a0f4d1f4a9b1c2d3e4f5a6b7c8d9e0f1a2b-1700000000001",
    "6e1f9a0f4d1f4a9b1c2d3e4f5a6b7c8d9e0f1a2b-1700000000002",
    "6e1f9a0f4d1f4a9b1c2d3e4f5a6b7c8d9e0f1a2b-1700000000003",
];

pub(super) fn server_id(number: usize) -> ServerId {
    ServerId::parse(&format!("s{number}")).expect("is an id")
}

pub(super) fn server_secret(number: usize) -> Secret {
    Secret::new(&format!("{CANARY}-secret-of-server-{number}"))
}

/// Returns the table, with one route for each server.
pub(super) fn table(servers: [SocketAddr; 2]) -> RoutingTable {
    let mut table = RoutingTable::empty(Revision::new(1, 1));
    let mut delta = RoutingDelta::new(Revision::new(1, 1), Revision::new(1, 2));
    for (number, address) in servers.into_iter().enumerate() {
        let route = ServerRoute {
            id: server_id(number),
            url: format!("http://{address}/bigbluebutton/api/"),
            secret: server_secret(number),
            admin: AdminState::Enabled,
            health: Health::Online,
            algorithm: ChecksumAlgorithm::Sha256,
        };
        delta.servers.insert(route.id.clone(), Some(route));
    }
    let own =
        TenantRoute { secrets: vec![Secret::new(SECRET)], ..TenantRoute::new(TenantId::default_tenant()) };
    let other = TenantRoute {
        secrets: vec![Secret::new(&format!("{CANARY}-secret"))],
        hosts: vec![format!("{CANARY}.example.org")],
        ..TenantRoute::new(TenantId::parse(CANARY).expect("is an id"))
    };
    for (number, id) in MEETINGS.into_iter().enumerate() {
        let state = match number {
            1 => RouteState::Pending,
            _ => RouteState::Active(InternalMeetingId::parse(INTERNAL[number]).expect("is an id")),
        };
        let bridge = VoiceBridge::parse(&format!("7000{number}"));
        add(&mut delta, MeetingRoute { state, voice_bridge: bridge, ..route(&own.id, id, number % 2) });
    }
    let state = RouteState::Active(InternalMeetingId::parse(&other_internal()).expect("is an id"));
    add(&mut delta, MeetingRoute { state, ..route(&other.id, &format!("{CANARY}-room"), 0) });
    for tenant in [own, other] {
        delta.tenants.insert(tenant.id.clone(), Some(tenant));
    }
    table.apply(&delta).expect("follows the empty table");
    table
}

/// Returns the internal id of the other tenant's meeting.
pub(super) fn other_internal() -> String {
    format!("{CANARY}-1700000000009")
}

fn route(tenant: &TenantId, id: &str, server: usize) -> MeetingRoute {
    MeetingRoute {
        key: MeetingKey::new(tenant.clone(), MeetingId::parse(id).expect("is an id")),
        server: server_id(server),
        state: RouteState::Pending,
        voice_bridge: None,
    }
}

fn add(delta: &mut RoutingDelta, route: MeetingRoute) {
    delta.meetings.insert(route.key.clone(), Some(route));
}
