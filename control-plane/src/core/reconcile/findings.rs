//! The work that the rules find for one meeting: writes, an `end` call, a query of its server.

use usher_bbb::secret::Secret;
use usher_model::{
    id::{InternalMeetingId, ServerId},
    meeting::{MeetingKey, ZombieKey},
};

use crate::core::plan::Plan;

/// The work that follows from one meeting.
#[derive(Debug, Default)]
pub(super) struct MeetingFindings {
    pub(super) plan: Plan,
    pub(super) end: Option<InstanceEnd>,
    pub(super) verify: Option<InstanceCheck>,
}

/// An instance to be ended. First `mark` is committed with the fencing token, unless it is empty.
/// Only then, and while the lease allows it (X3), `end` is sent with the internal id alone, so that
/// it cannot hit a newer meeting of the same id (I2).
#[derive(Debug, Clone, PartialEq)]
pub struct InstanceEnd {
    /// Moves the zombie to *ending*, which records that an `end` may be on its way; empty if it is
    /// marked already.
    pub mark: Plan,
    /// The zombie whose instance is ended.
    pub zombie: ZombieKey,
    /// Internal id of the instance.
    pub internal_id: InternalMeetingId,
    /// The moderator password, which BBB 2.4 requires for `end`, if the poll contained it.
    pub moderator_password: Option<Secret>,
}

/// An instance whose existence a server is queried for, by `getMeetingInfo`, before the list is
/// trusted.
#[derive(Debug, Clone, PartialEq)]
pub struct InstanceCheck {
    /// Tenant and id of the meeting.
    pub key: MeetingKey,
    /// The server that is queried.
    pub server: ServerId,
    /// The internal id for which the server is queried.
    pub internal_id: InternalMeetingId,
    /// The reason for the query.
    pub doubt: CheckReason,
    /// The plan to commit if the server does not know the instance.
    pub if_gone: Plan,
}

/// The reason for which a server is queried for an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckReason {
    /// The list of the instance's own server lacks it although it is young (F9). If the server
    /// knows it, the list is wrong: alarm `snapshot_inconsistent`.
    Missing,
    /// The server of the id's record may be the same server as the one that listed the instance,
    /// under another entry. If it knows the instance, the two entries are one server (ADR 21).
    OneServerTwice,
}
