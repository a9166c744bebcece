//! A BBB server and its two axes: what operators decided and what checks saw.

mod base_url;

pub use base_url::{BaseUrlError, base_url, place_of};

use crate::{
    id::{InternalMeetingId, ServerId, TenantId},
    meeting::MeetingKey,
    voice::VoiceBridge,
};
use usher_bbb::{checksum::ChecksumAlgorithm, secret::Secret};

/// What operators decided (S5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AdminState {
    /// Takes meetings while healthy.
    Enabled,
    /// No new meetings; becomes disabled when empty (S6).
    Cordoned,
    /// Neither polled nor used.
    Disabled,
}

/// What checks saw; derived from [`HealthRecord`], never stored (requirements A2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Health {
    /// Green.
    Online,
    /// Yellow.
    Unhealthy,
    /// Red.
    Offline,
}

/// One BBB server as operators described it.
#[derive(Debug, Clone, PartialEq)]
pub struct Server {
    /// Its name.
    pub id: ServerId,
    /// Base of its API, ending in `/bigbluebutton/api/`.
    pub url: String,
    /// Its shared secret.
    pub secret: Secret,
    /// Capacity relative to others, above 0; 1 is ordinary (S4).
    pub weight: f64,
    /// Tags by which tenants and meetings ask for it.
    pub tags: Vec<String>,
    /// What operators decided.
    pub admin: AdminState,
    /// Hash by which requests to it are signed.
    pub algorithm: ChecksumAlgorithm,
    /// Wall clock of its creation, milliseconds since 1970.
    pub created_at_ms: i64,
    /// Of the entry of an old address, the server that was given another one by force: what it left behind
    /// is ended here, and the entry goes with the last of it.
    pub former_of: Option<ServerId>,
}

/// The stored half of a server's health: counters, never the colour (requirements A2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthRecord {
    /// Successful polls in a row, `0..=healthy_threshold`.
    pub recover: u32,
    /// Failed polls since it was last online, `0..=HealthSettings::unhealthy_threshold()`.
    pub error: u32,
    /// Wall clock of the last change of colour, milliseconds since 1970; for people.
    pub since_ms: i64,
    /// Why the last poll failed; empty when it did not.
    pub reason: String,
    /// Wall clocks of recent green to yellow changes, oldest first (H17).
    pub flapped_at_ms: Vec<i64>,
    /// Wall clocks of recent failed calls that polls did not see, oldest first, one an interval at
    /// most (X6).
    pub calls_failed_at_ms: Vec<i64>,
    /// How long it had its present colour when that was last written down, milliseconds; counted
    /// while it is offline, for `zombie_ttl`.
    pub stood_ms: u64,
}

/// What one successful poll saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerSample {
    /// Store revision that was applied before the poll was sent.
    pub watermark: u64,
    /// Wall clock of the answer, milliseconds since 1970.
    pub taken_at_ms: i64,
    /// Every meeting the server listed.
    pub meetings: Vec<SampledMeeting>,
    /// Version the server gave, or empty.
    pub bbb_version: String,
}

/// What a successful poll adds to the stored [`ServerSample`] when it saw the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SampleFreshness {
    /// Store revision that was applied before the poll was sent.
    pub watermark: u64,
}

/// One meeting in a [`ServerSample`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SampledMeeting {
    /// Its key, when it carries our mark.
    pub key: Option<MeetingKey>,
    /// The tenant that another balancer created it for, where it says so and does not carry our mark.
    pub claim: Option<TenantId>,
    /// Its `meetingID` on the server.
    pub external_id: String,
    /// Its instance.
    pub internal_id: InternalMeetingId,
    /// Users, moderators included (S2).
    pub participants: u32,
    /// Age by the server's own clock, milliseconds.
    pub age_ms: u64,
    /// `maxUsers`; 0 means no limit.
    pub max_users: u32,
    /// Expected users; 0 means unknown.
    pub size_hint: u32,
    /// Breakout rooms are load of their parent.
    pub breakout: bool,
    /// A breakout room that its application created itself: `key` holds the id it gave it, and there is a
    /// record of it as of any meeting. Those that servers make have none.
    pub named: bool,
    /// The number callers reach it by; none where it is none that Usher could give out.
    pub voice_bridge: Option<VoiceBridge>,
    /// Moderator password, where the server gave it (BBB 2.4 wants it for `end`). Never stored.
    pub moderator_password: Option<Secret>,
}

impl SampledMeeting {
    /// Tells whether a record may stand for it: it is no breakout room that a server made.
    pub fn is_addressed(&self) -> bool {
        !self.breakout || self.named
    }
}
