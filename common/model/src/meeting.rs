//! Meetings, the records of their servers, and zombies (requirements A5).

use std::fmt;

use crate::{
    id::{InternalMeetingId, MeetingId, ServerId, TenantId},
    voice::VoiceBridge,
};

/// The key of a meeting: the tenant and the id that the application chose.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MeetingKey {
    /// Tenant that owns the meeting.
    pub tenant: TenantId,
    /// The `meetingID` that the application chose.
    pub meeting: MeetingId,
}

impl MeetingKey {
    /// Returns the key of a meeting.
    pub fn new(tenant: TenantId, meeting: MeetingId) -> Self {
        Self { tenant, meeting }
    }
}

impl fmt::Display for MeetingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.tenant, self.meeting)
    }
}

impl fmt::Debug for MeetingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// The stored state of a record. *Detached* is not stored: it is a record whose server is offline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordState {
    /// Written before the server is called.
    Pending,
    /// The server confirmed this instance.
    Active {
        /// Internal id of the instance.
        internal_id: InternalMeetingId,
        /// Value of `createTime` on the server, milliseconds since 1970.
        create_time_ms: i64,
    },
    /// `end` succeeded; unroutable; removed once a poll no longer lists the instance.
    Ending {
        /// Internal id of the instance that was ended, if it is known.
        internal_id: Option<InternalMeetingId>,
    },
}

impl RecordState {
    /// Returns the internal id of the instance, if the state has one.
    pub fn internal_id(&self) -> Option<&InternalMeetingId> {
        match self {
            Self::Pending => None,
            Self::Active { internal_id, .. } => Some(internal_id),
            Self::Ending { internal_id } => internal_id.as_ref(),
        }
    }
}

/// The stored fact "this meeting lives on that server".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeetingRecord {
    /// Stored state of the record.
    pub state: RecordState,
    /// Server of the meeting.
    pub server: ServerId,
    /// Placement token: the random name of the placement that made the record.
    pub token: String,
    /// Digest of the parameters of the create.
    pub request_digest: Box<[u8]>,
    /// Wall clock of the placement, milliseconds since 1970; for operators.
    pub created_at_ms: i64,
    /// Value of `maxParticipants`; 0 means no limit.
    pub max_users: u32,
    /// Expected number of users; 0 means unknown.
    pub size_hint: u32,
    /// Voice bridge of the meeting, if Usher assigned or learnt it.
    pub voice_bridge: Option<VoiceBridge>,
    /// Whether the meeting is a breakout room that its application created. It is on the server of its parent, its
    /// users are load of the parent, and limits do not count it as a meeting (ADR 15).
    pub breakout: bool,
    /// Whether a poll listed the meeting before the server answered its create: the create is under way, and takes
    /// one of the places of its server (F5). It says nothing about the route of the meeting.
    pub unanswered: bool,
}

impl MeetingRecord {
    /// Tells whether the record is ACTIVE with this instance.
    pub fn runs(&self, instance: &InternalMeetingId) -> bool {
        matches!(&self.state, RecordState::Active { internal_id, .. } if internal_id == instance)
    }

    /// Tells whether the record has this instance, ACTIVE or ENDING.
    pub fn names(&self, instance: &InternalMeetingId) -> bool {
        self.state.internal_id() == Some(instance)
    }
}

/// The next step for a zombie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ZombieState {
    /// Waits, because the record that replaces it is not confirmed yet.
    Waiting,
    /// Is ended at the next poll that lists it.
    Due,
    /// An `end` was sent and its result is not known yet.
    Ending,
}

/// A meeting that may still run on a server although its record has moved on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zombie {
    /// Next step for the zombie.
    pub state: ZombieState,
    /// Internal id of the instance; unknown if the answer of the create was lost.
    pub internal_id: Option<InternalMeetingId>,
    /// Reason of the zombie, for operators.
    pub reason: String,
    /// Wall clock at which it became a zombie, milliseconds since 1970; for operators.
    pub since_ms: i64,
    /// Age of the zombie at the last write, milliseconds; for `zombie_ttl`.
    pub stood_ms: u64,
}

/// The key of a zombie: a meeting has at most one zombie on each server.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ZombieKey {
    /// Tenant and id with which the meeting was created.
    pub meeting: MeetingKey,
    /// Server on which the meeting may still run.
    pub server: ServerId,
}
