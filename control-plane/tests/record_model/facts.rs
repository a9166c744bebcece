//! Makes the fleet that a replica with a certain view holds.

use std::time::Instant;

use usher_bbb::{checksum::ChecksumAlgorithm, secret::Secret};
use usher_control_plane::core::{
    fleet::Fleet,
    plan::{FleetEvent, Stored},
    policy::Policy,
};
use usher_model::{
    id::{InternalMeetingId, MeetingId, ServerId, TenantId},
    meeting::{MeetingKey, MeetingRecord, RecordState, Zombie, ZombieKey, ZombieState},
    server::{AdminState, HealthRecord, Server, ServerSample},
};

use crate::state::{Admin, Counters, Rec, RecState, SERVERS, View, Zom, ZomState};

/// Revision that every poll has seen.
pub(crate) const WATERMARK: u64 = 10;
/// Revision that no poll can have seen.
const LATER: u64 = 11;

/// Revision of a write after the watermark.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Changed {
    pub(crate) record: bool,
    pub(crate) zombie: Option<usize>,
}

/// Returns the fleet that shows `view`; all of it was applied at `now`.
pub(crate) fn fleet(view: &View, changed: Changed, policy: &Policy, now: Instant) -> Fleet {
    let (mut then, mut later) = (Vec::new(), Vec::new());
    for server in SERVERS {
        then.push(FleetEvent::Server(sid(server), stored(described(server, view.admin[server]))));
        let health = view.health[server].and_then(|counters| stored(health(counters)));
        then.push(FleetEvent::Health(sid(server), health));
        let watermark = if view.empty[server] { WATERMARK } else { 0 };
        then.push(FleetEvent::Sample(sid(server), stored(sample(watermark))));
        let zombie = view.zom[server].map(zombie);
        if changed.zombie == Some(server) {
            if zombie.is_none() {
                let gone = Zom { state: ZomState::Due, instance: None };
                then.push(FleetEvent::Zombie(zkey(server), stored(self::zombie(gone))));
            }
            later.push(FleetEvent::Zombie(zkey(server), zombie.and_then(stored_later)));
        } else if let Some(zombie) = zombie {
            then.push(FleetEvent::Zombie(zkey(server), stored(zombie)));
        }
    }
    let record = view.rec.map(record);
    if changed.record {
        if record.is_none() {
            let gone = Rec { state: RecState::Pending, server: 0, token: 0 };
            then.push(FleetEvent::Record(key(), stored(self::record(gone))));
        }
        later.push(FleetEvent::Record(key(), record.and_then(stored_later)));
    } else if let Some(record) = record {
        then.push(FleetEvent::Record(key(), stored(record)));
    }
    let mut fleet = Fleet::new(7, policy.clone());
    fleet.apply(WATERMARK, then, now);
    if !later.is_empty() {
        fleet.apply(LATER, later, now);
    }
    fleet
}

fn stored<T>(value: T) -> Option<Stored<T>> {
    Some(Stored { value, created: WATERMARK, modified: WATERMARK })
}

fn stored_later<T>(value: T) -> Option<Stored<T>> {
    Some(Stored { value, created: LATER, modified: LATER })
}

pub(crate) fn sid(server: usize) -> ServerId {
    ServerId::parse(&format!("s{server}")).expect("a name")
}

/// Names an instance; the number is its `createTime` too.
pub(crate) fn iid(instance: u8) -> InternalMeetingId {
    InternalMeetingId::parse(&format!("i-{instance}")).expect("a name")
}

pub(crate) fn key() -> MeetingKey {
    MeetingKey::new(TenantId::default_tenant(), MeetingId::parse("m").expect("a name"))
}

pub(crate) fn zkey(server: usize) -> ZombieKey {
    ZombieKey { meeting: key(), server: sid(server) }
}

pub(crate) fn token(number: u8) -> String {
    if number == 0 { String::new() } else { format!("t{number}") }
}

pub(crate) fn health(counters: Counters) -> HealthRecord {
    HealthRecord {
        recover: u32::from(counters.recover),
        error: u32::from(counters.error),
        since_ms: 0,
        reason: String::new(),
        flapped_at_ms: Vec::new(),
        stood_ms: 0,
        calls_failed_at_ms: Vec::new(),
    }
}

pub(crate) fn sample(watermark: u64) -> ServerSample {
    ServerSample { watermark, taken_at_ms: 0, meetings: Vec::new(), bbb_version: String::new(), term: 0 }
}

fn described(server: usize, admin: Admin) -> Server {
    Server {
        id: sid(server),
        url: format!("https://s{server}.example.org/bigbluebutton/api/"),
        secret: Secret::new("secret"),
        weight: 1.0,
        tags: Vec::new(),
        admin: match admin {
            Admin::Enabled => AdminState::Enabled,
            Admin::Cordoned => AdminState::Cordoned,
            Admin::Disabled => AdminState::Disabled,
        },
        algorithm: ChecksumAlgorithm::Sha256,
        created_at_ms: 0,
        former_of: None,
        created_by: None,
    }
}

fn record(rec: Rec) -> MeetingRecord {
    let state = match rec.state {
        RecState::Pending => RecordState::Pending,
        RecState::Active(instance) => {
            RecordState::Active { internal_id: iid(instance), create_time_ms: i64::from(instance) }
        }
        RecState::Ending(instance) => RecordState::Ending { internal_id: instance.map(iid) },
    };
    MeetingRecord {
        state,
        server: sid(usize::from(rec.server)),
        token: token(rec.token),
        request_digest: Box::default(),
        created_at_ms: 0,
        max_users: 0,
        size_hint: 0,
        voice_bridge: None,
        breakout: false,
        unanswered: false,
    }
}

fn zombie(zom: Zom) -> Zombie {
    let state = match zom.state {
        ZomState::Waiting => ZombieState::Waiting,
        ZomState::Due => ZombieState::Due,
        ZomState::Ending => ZombieState::Ending,
    };
    Zombie { state, internal_id: zom.instance.map(iid), reason: String::new(), since_ms: 0, stood_ms: 0 }
}
