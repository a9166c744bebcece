//! Meetings, the records that say where they live, and zombies (requirements A5).

use std::fmt;

use bytes::Bytes;

use crate::{
    id::{InternalMeetingId, MeetingId, ServerId, TenantId},
    voice::VoiceBridge,
};

/// A meeting as its application knows it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MeetingKey {
    /// Whose meeting it is.
    pub tenant: TenantId,
    /// The `meetingID` the application chose.
    pub meeting: MeetingId,
}

impl MeetingKey {
    /// Names a meeting.
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
    /// Written before the server was called.
    Pending,
    /// The server confirmed this instance.
    Active {
        /// The instance.
        internal_id: InternalMeetingId,
        /// The server's `createTime`, milliseconds since 1970.
        create_time_ms: i64,
    },
    /// `end` succeeded; unroutable; removed once a poll no longer lists the instance.
    Ending {
        /// The instance that was asked to end, where it is known.
        internal_id: Option<InternalMeetingId>,
    },
}

impl RecordState {
    /// Returns the instance this state names.
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
    /// Where in its life it is.
    pub state: RecordState,
    /// Where it lives.
    pub server: ServerId,
    /// Identifies the placement that made it.
    pub token: String,
    /// Digest of the create's parameters.
    pub request_digest: Bytes,
    /// Wall clock of the placement, milliseconds since 1970; for people.
    pub created_at_ms: i64,
    /// `maxParticipants`; 0 means no limit.
    pub max_users: u32,
    /// Expected users; 0 means unknown.
    pub size_hint: u32,
    /// The number callers reach it by, where Usher gave or knows it.
    pub voice_bridge: Option<VoiceBridge>,
    /// It is a breakout room that its application created itself: on its parent's server, load of its parent,
    /// and no meeting of its own where meetings are counted (ADR 15).
    pub breakout: bool,
}

impl MeetingRecord {
    /// Tells whether it is ACTIVE with this instance.
    pub fn runs(&self, instance: &InternalMeetingId) -> bool {
        matches!(&self.state, RecordState::Active { internal_id, .. } if internal_id == instance)
    }

    /// Tells whether it names this instance, be it that it runs or that it was asked to end.
    pub fn names(&self, instance: &InternalMeetingId) -> bool {
        self.state.internal_id() == Some(instance)
    }
}

/// What happens to a zombie next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ZombieState {
    /// Its replacement is not confirmed yet.
    Waiting,
    /// To be ended at the next poll that lists it.
    Due,
    /// An `end` may be on its way.
    Ending,
}

/// A meeting perhaps still running on a server although its record has moved on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zombie {
    /// What happens next.
    pub state: ZombieState,
    /// The instance; unknown when a create's answer was lost.
    pub internal_id: Option<InternalMeetingId>,
    /// Why it stands, for people.
    pub reason: String,
    /// Wall clock of its entry, milliseconds since 1970; for people.
    pub since_ms: i64,
    /// How long it had stood when that was last written down, milliseconds; for `zombie_ttl`.
    pub stood_ms: u64,
}

/// Where a zombie stands: one entry per meeting and server.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ZombieKey {
    /// The id it was created under.
    pub meeting: MeetingKey,
    /// Where it perhaps still runs.
    pub server: ServerId,
}
