//! A BBB server: its admin state, which operators decide, and its health, which polls decide.

mod base_url;

pub use base_url::{BaseUrlError, base_url, place_of};

use crate::{
    id::{InternalMeetingId, ListedMeetingId, ServerId, TenantId},
    meeting::MeetingKey,
    request_mark::RequestMark,
    voice::VoiceBridge,
};
use usher_bbb::{checksum::ChecksumAlgorithm, secret::Secret};

/// The decision of operators about a server (S5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AdminState {
    /// Takes new meetings while it is online.
    Enabled,
    /// Takes no new meetings and becomes disabled when empty (S6).
    Cordoned,
    /// Takes no meetings and is not polled.
    Disabled,
}

/// The health of a server; derived from [`HealthRecord`], never stored (requirements A2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Health {
    /// Takes new meetings.
    Online,
    /// Takes no new meetings; its running meetings are served.
    Unhealthy,
    /// Enough polls failed; the ids of its meetings are free.
    Offline,
}

/// One BBB server as operators configured it.
#[derive(Debug, Clone, PartialEq)]
pub struct Server {
    /// Id of the server.
    pub id: ServerId,
    /// Base URL of its API, ending in `/bigbluebutton/api/`.
    pub url: String,
    /// Shared secret of the server.
    pub secret: Secret,
    /// Share of meetings relative to other servers, above 0; the default is 1 (S4).
    pub weight: f64,
    /// Tags by which a tenant or a create selects the server.
    pub tags: Vec<String>,
    /// Admin state of the server.
    pub admin: AdminState,
    /// Hash that signs calls to the server.
    pub algorithm: ChecksumAlgorithm,
    /// Wall clock at which the entry was added, milliseconds since 1970.
    pub created_at_ms: i64,
    /// For the entry of a former address, the server that moved to another address by force. Usher ends the
    /// meetings that remain at the former address and then removes the entry.
    pub former_of: Option<ServerId>,
    /// The request that created the entry, if it is known.
    pub created_by: Option<RequestMark>,
}

/// The stored facts of the health of a server: counters, never the health itself (requirements A2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthRecord {
    /// Successful polls in a row, `0..=healthy_threshold`.
    pub recover: u32,
    /// Failed polls since it was last online, `0..=HealthSettings::unhealthy_threshold()`.
    pub error: u32,
    /// Wall clock of the last change of health, milliseconds since 1970; for operators.
    pub since_ms: i64,
    /// Reason why the last poll failed; empty if it succeeded.
    pub reason: String,
    /// Wall clocks of recent changes from online to unhealthy, oldest first (H17).
    pub flapped_at_ms: Vec<i64>,
    /// Wall clocks of recent failed calls while polls succeeded, oldest first, at most one per interval (X6).
    pub calls_failed_at_ms: Vec<i64>,
    /// Time in the present health at the last write, milliseconds; counted while the server is offline, for
    /// `zombie_ttl`.
    pub stood_ms: u64,
}

/// The content of one successful poll.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerSample {
    /// Store revision that was applied when the poll was sent: its watermark.
    pub watermark: u64,
    /// Wall clock at which the answer arrived, milliseconds since 1970.
    pub taken_at_ms: i64,
    /// Every meeting that the server listed.
    pub meetings: Vec<SampledMeeting>,
    /// BBB version in the answer, or empty.
    pub bbb_version: String,
    /// Term of the leader that wrote the sample: the revision that created its election key (ADR 34).
    pub term: u64,
}

/// One meeting in a [`ServerSample`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SampledMeeting {
    /// Tenant and id, if the meeting has the mark of Usher.
    pub key: Option<MeetingKey>,
    /// Tenant for which another balancer created the meeting, if its metadata names one and it has no mark of
    /// Usher.
    pub claim: Option<TenantId>,
    /// The `meetingID` on the server.
    pub external_id: ListedMeetingId,
    /// Internal id of the meeting.
    pub internal_id: InternalMeetingId,
    /// Number of users, moderators included (S2).
    pub participants: u32,
    /// Age by the clock of the server, milliseconds.
    pub age_ms: u64,
    /// Value of `maxUsers`; 0 means no limit.
    pub max_users: u32,
    /// Expected number of users; 0 means unknown.
    pub size_hint: u32,
    /// Whether the meeting is a breakout room, which counts as load of its parent.
    pub breakout: bool,
    /// Whether an application created this breakout room by its own call. Then `key` has its id, and it has a
    /// record like any meeting; a breakout room that a server creates has none (ADR 15).
    pub named: bool,
    /// Voice bridge of the meeting, if Usher could assign it.
    pub voice_bridge: Option<VoiceBridge>,
    /// Moderator password, if the server lists it: BBB 2.4 needs it for `end`. It is never stored.
    pub moderator_password: Option<Secret>,
}

impl SampledMeeting {
    /// Tells whether the meeting may have a record: breakout rooms that a server created have none.
    pub fn is_addressed(&self) -> bool {
        !self.breakout || self.named
    }
}
