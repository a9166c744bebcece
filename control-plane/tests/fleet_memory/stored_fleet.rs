//! A fleet as the store holds it: each server has a sample, and each meeting a record.

use usher_bbb::{checksum::ChecksumAlgorithm, secret::Secret};
use usher_control_plane::{
    core::plan::{Plan, PlanWrite},
    ports::{StoreEntry, StoreListing, TxnWrite},
    store::codec::StoreCodec,
};
use usher_model::{
    id::{InternalMeetingId, MeetingId, ServerId, TenantId},
    meeting::{MeetingKey, MeetingRecord, RecordState},
    routing::TenantRoute,
    server::{AdminState, SampledMeeting, Server, ServerSample},
    voice::VoiceBridge,
};

/// A sixteenth of a million, because hash tables double: these are as full as those of a million.
pub(crate) const MEETINGS: usize = 62_500;
pub(crate) const SERVERS: usize = 125;

const CREATED_AT_MS: i64 = 1_795_000_000_000;

/// Returns the whole store, in the order of its keys.
pub(crate) fn listing(codec: &StoreCodec) -> StoreListing {
    let mut entries: Vec<StoreEntry> = (0..SERVERS).map(|number| sample(codec, number, 4)).collect();
    entries.extend((0..SERVERS).map(|number| entry(codec, PlanWrite::server(server(number)), 1)));
    entries.extend((0..MEETINGS).map(|number| record(codec, number, 2)));
    entries.push(entry(codec, PlanWrite::tenant(TenantRoute::new(TenantId::default_tenant())), 1));
    entries.sort_by(|a, b| a.key.cmp(&b.key));
    StoreListing { revision: 4, entries }
}

/// Returns the sample of a server. The numbers of its users follow from the revision.
pub(crate) fn sample(codec: &StoreCodec, server: usize, revision: u64) -> StoreEntry {
    let listed = |number| SampledMeeting {
        key: Some(key(number)),
        claim: None,
        external_id: meeting_id(number).as_str().into(),
        internal_id: internal_id(number),
        participants: (number as u64 + revision) as u32 % 9,
        age_ms: 3_600_000,
        max_users: 0,
        size_hint: 0,
        breakout: false,
        named: false,
        voice_bridge: VoiceBridge::new(10_000 + number as u32),
        moderator_password: None,
    };
    let sample = ServerSample {
        watermark: 3,
        taken_at_ms: CREATED_AT_MS,
        meetings: (server..MEETINGS).step_by(SERVERS).map(listed).collect(),
        bbb_version: "3.0.4".into(),
        term: 1,
    };
    entry(codec, PlanWrite::Sample(server_id(server), sample), revision)
}

/// Returns the record of a meeting.
pub(crate) fn record(codec: &StoreCodec, number: usize, revision: u64) -> StoreEntry {
    let record = MeetingRecord {
        state: RecordState::Active { internal_id: internal_id(number), create_time_ms: CREATED_AT_MS },
        server: server_id(number % SERVERS),
        token: "0123456789abcdef0123456789abcdef".into(),
        request_digest: vec![7; 32].into(),
        created_at_ms: CREATED_AT_MS,
        max_users: 0,
        size_hint: 0,
        voice_bridge: None,
        breakout: false,
        unanswered: false,
    };
    entry(codec, PlanWrite::Record(key(number), record), revision)
}

fn entry(codec: &StoreCodec, write: PlanWrite, revision: u64) -> StoreEntry {
    let txn = codec.txn(&Plan { guards: Vec::new(), writes: vec![write] }, None);
    match txn.writes.into_iter().next() {
        Some(TxnWrite::Put(key, value)) => {
            StoreEntry { key, value, create_revision: revision, mod_revision: revision }
        }
        other => panic!("no value is written: {other:?}"),
    }
}

/// Returns an id of 39 characters, as learning platforms create them.
fn meeting_id(number: usize) -> String {
    format!("{number:08}-4f1c-9a57-course-2026-winter-a")
}

fn key(number: usize) -> MeetingKey {
    MeetingKey::new(TenantId::default_tenant(), MeetingId::parse(&meeting_id(number)).expect("is an id"))
}

/// Returns an internal id in the format of BBB, with a hash that is in another order than the ids.
fn internal_id(number: usize) -> InternalMeetingId {
    let hash = (number as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    InternalMeetingId::parse(&format!("{hash:040x}-{CREATED_AT_MS}")).expect("is an id")
}

fn server_id(number: usize) -> ServerId {
    ServerId::parse(&format!("bbb-{number}")).expect("is an id")
}

fn server(number: usize) -> Server {
    Server {
        id: server_id(number),
        url: format!("https://bbb-{number}.example.org/bigbluebutton/api/"),
        secret: Secret::new("a server's secret"),
        weight: 1.0,
        tags: Vec::new(),
        admin: AdminState::Enabled,
        algorithm: ChecksumAlgorithm::Sha256,
        created_at_ms: CREATED_AT_MS,
        former_of: None,
        created_by: None,
    }
}
