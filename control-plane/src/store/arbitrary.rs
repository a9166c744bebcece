//! Strategies that generate keys and values for the property tests of the store.

use std::time::Duration;

use proptest::{collection::vec, option, prelude::*};
use usher_bbb::{checksum::ChecksumAlgorithm, secret::Secret};
use usher_model::{
    id::{InternalMeetingId, MeetingId, ServerId, TenantId},
    meeting::{MeetingKey, MeetingRecord, RecordState, Zombie, ZombieKey, ZombieState},
    request_mark::RequestMark,
    routing::TenantRoute,
    server::{AdminState, HealthRecord, SampledMeeting, Server, ServerSample},
    tenant::{ParameterRule, PresentationDocument, TenantPolicy},
    voice::{VoiceBridge, VoiceRange},
};

use crate::core::{
    plan::{FleetKey, PlanWrite},
    voice::VoiceAssignment,
};

const NAME: &str = "[A-Za-z0-9._-]{1,64}";

pub(crate) fn server_id() -> impl Strategy<Value = ServerId> {
    NAME.prop_map(|text| ServerId::parse(&text).expect("a server id"))
}

fn tenant_id() -> impl Strategy<Value = TenantId> {
    NAME.prop_map(|text| TenantId::parse(&text).expect("a tenant id"))
}

fn internal_id() -> impl Strategy<Value = InternalMeetingId> {
    "[a-f0-9-]{1,60}".prop_map(|text| InternalMeetingId::parse(&text).expect("an internal id"))
}

fn meeting_key() -> impl Strategy<Value = MeetingKey> {
    (tenant_id(), "\\PC{1,40}")
        .prop_map(|(tenant, text)| MeetingKey::new(tenant, MeetingId::parse(&text).expect("a meeting id")))
}

fn zombie_key() -> impl Strategy<Value = ZombieKey> {
    (meeting_key(), server_id()).prop_map(|(meeting, server)| ZombieKey { meeting, server })
}

fn bridge() -> impl Strategy<Value = VoiceBridge> {
    (10_000_u32..=999_999_999).prop_filter_map("a voice bridge", VoiceBridge::new)
}

fn range() -> impl Strategy<Value = VoiceRange> {
    (10_000_u32..500_000_000, 0_u32..400_000_000)
        .prop_filter_map("a range", |(first, size)| VoiceRange::new(first, first + size).ok())
}

pub(crate) fn key() -> impl Strategy<Value = FleetKey> {
    prop_oneof![
        server_id().prop_map(FleetKey::Server),
        server_id().prop_map(FleetKey::Health),
        server_id().prop_map(FleetKey::Sample),
        tenant_id().prop_map(FleetKey::Tenant),
        meeting_key().prop_map(FleetKey::Record),
        zombie_key().prop_map(FleetKey::Zombie),
        bridge().prop_map(FleetKey::Voice),
    ]
}

fn server() -> impl Strategy<Value = Server> {
    let admin =
        prop_oneof![Just(AdminState::Enabled), Just(AdminState::Cordoned), Just(AdminState::Disabled)];
    let algorithm = prop_oneof![
        Just(ChecksumAlgorithm::Sha1),
        Just(ChecksumAlgorithm::Sha256),
        Just(ChecksumAlgorithm::Sha384),
        Just(ChecksumAlgorithm::Sha512)
    ];
    let made = (any::<i64>(), option::of(any::<([u8; 16], [u8; 16])>()));
    (server_id(), ".{0,40}", ".{0,20}", 0.001..1e6, vec(".{0,8}", 0..3), admin, algorithm, made).prop_map(
        |(id, url, secret, weight, tags, admin, algorithm, (created_at_ms, mark))| Server {
            id,
            url,
            secret: Secret::new(&secret),
            weight,
            tags,
            admin,
            algorithm,
            created_at_ms,
            former_of: None,
            created_by: mark.map(|(id, content)| RequestMark { id, content }),
        },
    )
}

fn health() -> impl Strategy<Value = HealthRecord> {
    let times = || vec(any::<i64>(), 0..4);
    (any::<u32>(), any::<u32>(), any::<i64>(), ".{0,20}", times(), any::<u64>(), times()).prop_map(
        |(recover, error, since_ms, reason, flapped_at_ms, stood_ms, calls_failed_at_ms)| HealthRecord {
            recover,
            error,
            since_ms,
            reason,
            flapped_at_ms,
            stood_ms,
            calls_failed_at_ms,
        },
    )
}

fn sampled() -> impl Strategy<Value = SampledMeeting> {
    let counts = (any::<u32>(), any::<u64>(), any::<u32>(), any::<u32>());
    let owner = (option::of(meeting_key()), option::of(tenant_id()));
    let flags = (any::<bool>(), any::<bool>(), option::of(bridge()));
    (owner, "\\PC{1,20}", any::<bool>(), internal_id(), counts, flags).prop_map(
        |(
            (key, claim),
            other,
            same,
            internal_id,
            (participants, age_ms, max_users, size_hint),
            (breakout, named, voice_bridge),
        )| {
            let external_id = match &key {
                Some(key) if same => (&key.meeting).into(),
                _ => other.as_str().into(),
            };
            SampledMeeting {
                key,
                claim,
                external_id,
                internal_id,
                participants,
                age_ms,
                max_users,
                size_hint,
                breakout,
                named,
                voice_bridge,
                moderator_password: None,
            }
        },
    )
}

fn sample() -> impl Strategy<Value = ServerSample> {
    (any::<u64>(), any::<i64>(), vec(sampled(), 0..4), ".{0,8}", any::<u64>()).prop_map(
        |(watermark, taken_at_ms, meetings, bbb_version, term)| ServerSample {
            watermark,
            taken_at_ms,
            meetings,
            bbb_version,
            term,
        },
    )
}

fn tenant() -> impl Strategy<Value = TenantRoute> {
    let mark = option::of(any::<([u8; 16], [u8; 16])>());
    (tenant_id(), vec(".{0,20}", 0..3), vec(".{0,20}", 0..3), any::<bool>(), policy(), mark).prop_map(
        |(id, secrets, hosts, enabled, policy, mark)| TenantRoute {
            id,
            secrets: secrets.iter().map(|secret| Secret::new(secret)).collect(),
            hosts,
            enabled,
            policy,
            users: 0,
            created_by: mark.map(|(id, content)| RequestMark { id, content }),
        },
    )
}

fn policy() -> impl Strategy<Value = TenantPolicy> {
    let rule = "(default|override|merge):[a-z]{1,9}=.{0,9}|remove:[a-z]{1,9}|cap:[a-z]{1,9}=[1-9]{1,9}";
    let rules = || vec(rule.prop_map(|text| text.parse::<ParameterRule>().expect("a rule")), 0..3);
    let presentation = option::of((".{0,20}", ".{0,9}", any::<bool>()))
        .prop_map(|shown| shown.map(|(url, name, forced)| PresentationDocument { url, name, forced }));
    let limits = (0..10_000_u64, any::<u32>(), any::<u32>(), any::<u32>(), ".{0,20}");
    let voice = (option::of(range()), ".{0,20}");
    (rules(), rules(), limits, presentation, voice, any::<bool>()).prop_map(
        |(create_rules, join_rules, limits, presentation, voice, partial_recordings)| {
            let (minutes, max_meetings, max_users, max_cost, server_tag) = limits;
            let max_duration = Duration::from_secs(minutes * 60);
            TenantPolicy {
                create_rules,
                join_rules,
                max_duration,
                max_meetings,
                max_users,
                max_cost,
                server_tag,
                presentation,
                voice_bridges: voice.0,
                dial_number: voice.1,
                partial_recordings,
            }
        },
    )
}

fn record() -> impl Strategy<Value = MeetingRecord> {
    let state = prop_oneof![
        Just(RecordState::Pending),
        (internal_id(), any::<i64>())
            .prop_map(|(internal_id, create_time_ms)| RecordState::Active { internal_id, create_time_ms }),
        option::of(internal_id()).prop_map(|internal_id| RecordState::Ending { internal_id }),
    ];
    let numbers = (any::<i64>(), any::<u32>(), any::<u32>(), option::of(bridge()), any::<bool>());
    (state, server_id(), ".{0,20}", vec(any::<u8>(), 0..33), numbers).prop_map(
        |(state, server, token, digest, (created_at_ms, max_users, size_hint, voice_bridge, breakout))| {
            MeetingRecord {
                state,
                server,
                token,
                request_digest: digest.into(),
                created_at_ms,
                max_users,
                size_hint,
                voice_bridge,
                breakout,
                unanswered: false,
            }
        },
    )
}

fn zombie() -> impl Strategy<Value = Zombie> {
    let state = prop_oneof![Just(ZombieState::Waiting), Just(ZombieState::Due), Just(ZombieState::Ending)];
    (state, option::of(internal_id()), ".{0,20}", any::<i64>(), any::<u64>()).prop_map(
        |(state, internal_id, reason, since_ms, stood_ms)| Zombie {
            state,
            internal_id,
            reason,
            since_ms,
            stood_ms,
        },
    )
}

/// Generates a write that sets a value.
pub(crate) fn put() -> impl Strategy<Value = PlanWrite> {
    prop_oneof![
        server().prop_map(PlanWrite::server),
        (server_id(), health()).prop_map(|(id, health)| PlanWrite::Health(id, health)),
        (server_id(), sample()).prop_map(|(id, sample)| PlanWrite::Sample(id, sample)),
        tenant().prop_map(PlanWrite::tenant),
        (meeting_key(), record()).prop_map(|(key, record)| PlanWrite::Record(key, record)),
        (zombie_key(), zombie()).prop_map(|(key, zombie)| PlanWrite::Zombie(key, zombie)),
        (bridge(), meeting_key(), any::<i64>()).prop_map(|(bridge, meeting, used_at_ms)| PlanWrite::Voice(
            bridge,
            VoiceAssignment { meeting, used_at_ms }
        )),
    ]
}
