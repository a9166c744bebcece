//! The meetings of one tenant, found by `meetingID` and by the server's internal id.
//!
//! A server's internal id is `sha1hex(meetingID)-createTime` (wire-contract 4.2). Its `meetingID`
//! is the one that the server received: the tenant's own id with its scope. Entries are therefore
//! kept by that id and hashed by its SHA-1, so that one map serves both ids, and an internal id
//! costs eight bytes. Internal ids of another form, and those of meetings without a scope
//! ([`usher_model::scope`]), have a small map of their own. Readers never wait: the map is changed
//! in place, one entry at a time.

use std::{
    hash::{Hash, Hasher},
    sync::Arc,
};

use foldhash::quality::RandomState;
use papaya::{Equivalent, HashMap};
use sha1::{Digest, Sha1};
use usher_model::{
    id::{InternalMeetingId, TenantId},
    routing::RouteState,
    scope::{ScopedId, TenantScope},
};

use super::{server_slot::ServerSlot, unknown_meetings::UnknownMeetings};

/// The number of hexadecimal digits of a SHA-1.
const SHA1_HEX: usize = 40;

/// The server of a meeting, and the instance that runs there.
#[derive(Debug, Clone)]
pub struct MeetingPlace {
    /// The server that has the meeting.
    pub server: Arc<ServerSlot>,
    instance: Instance,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Instance {
    Pending,
    /// `sha1hex(meetingID)-createTime`, of which only the time is kept.
    Regular(u64),
    /// Another balancer created the meeting: its server knows it by the tenant's own id (ADR 12).
    Unscoped(Box<str>),
    Other(Box<str>),
}

impl Instance {
    /// Returns whether the instance may be the one with this time in an internal id of the usual form.
    fn may_have_begun_at(&self, time: u64) -> bool {
        match self {
            Self::Pending => true,
            Self::Regular(own) => *own == time,
            Self::Unscoped(_) | Self::Other(_) => false,
        }
    }

    /// Returns the internal id if the map by SHA-1 cannot find it.
    fn odd(&self) -> Option<&str> {
        match self {
            Self::Pending | Self::Regular(_) => None,
            Self::Unscoped(internal) | Self::Other(internal) => Some(internal),
        }
    }
}

impl MeetingPlace {
    /// Makes the place of the meeting `id`, whose `meetingID` on its server is `scoped` if Usher
    /// created it.
    fn new(scope: &TenantScope, id: &str, scoped: &str, server: Arc<ServerSlot>, state: &RouteState) -> Self {
        let instance = match state {
            RouteState::Pending => Instance::Pending,
            RouteState::Active(internal) => match create_time_of(internal.as_str(), &sha1(scoped)) {
                Some(time) => Instance::Regular(time),
                None if scope.is_unscoped(id, internal) => Instance::Unscoped(internal.as_str().into()),
                None => Instance::Other(internal.as_str().into()),
            },
        };
        Self { server, instance }
    }

    /// Returns whether the server has confirmed the meeting.
    pub fn is_confirmed(&self) -> bool {
        self.instance != Instance::Pending
    }

    /// Returns whether the server knows the meeting by the tenant's own id, without the scope.
    pub fn is_unscoped(&self) -> bool {
        matches!(self.instance, Instance::Unscoped(_))
    }

    /// Returns the state of the meeting, whose `meetingID` on its server is `scoped` if Usher
    /// created it.
    fn state(&self, scoped: &str) -> RouteState {
        let internal = match &self.instance {
            Instance::Pending => return RouteState::Pending,
            Instance::Regular(time) => format!("{}-{time}", hex(&sha1(scoped))),
            Instance::Unscoped(internal) | Instance::Other(internal) => internal.to_string(),
        };
        // The text was parsed from such an id, so it parses again.
        InternalMeetingId::parse(&internal).map_or(RouteState::Pending, RouteState::Active)
    }
}

/// A meeting that a lookup has found.
#[derive(Debug, Clone, Copy)]
pub struct TableMeeting<'m> {
    /// The `meetingID`, as the tenant wrote it.
    pub name: &'m str,
    /// The `meetingID`, as the server knows it.
    pub on_server: &'m str,
    /// The server and the instance of the meeting.
    pub place: &'m MeetingPlace,
}

impl<'m> TableMeeting<'m> {
    fn new(name: &'m str, key: &'m ScopedIdKey, place: &'m MeetingPlace) -> Self {
        let on_server = if place.is_unscoped() { name } else { &key.0 };
        Self { name, on_server, place }
    }

    /// Returns the state of the meeting.
    pub fn state(&self) -> RouteState {
        self.place.state(self.on_server)
    }
}

/// The `meetingID` on a server, as a key that is hashed by its SHA-1.
struct ScopedIdKey(Box<str>);

impl Hash for ScopedIdKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(prefix(&sha1(&self.0)));
    }
}

impl PartialEq for ScopedIdKey {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for ScopedIdKey {}

struct ByName<'a>(ScopedId<'a>);

impl Hash for ByName<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let sha1 = if self.0.prefix.is_empty() {
            sha1(self.0.id)
        } else {
            Sha1::new_with_prefix(self.0.prefix).chain_update(self.0.id).finalize().into()
        };
        state.write_u64(prefix(&sha1));
    }
}

impl Equivalent<ScopedIdKey> for ByName<'_> {
    fn equivalent(&self, key: &ScopedIdKey) -> bool {
        key.0.strip_prefix(self.0.prefix) == Some(self.0.id)
    }
}

struct BySha1([u8; 20]);

impl Hash for BySha1 {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(prefix(&self.0));
    }
}

impl Equivalent<ScopedIdKey> for BySha1 {
    fn equivalent(&self, key: &ScopedIdKey) -> bool {
        sha1(&key.0) == self.0
    }
}

/// The server and the state of a meeting before a change.
type Old = (Arc<ServerSlot>, RouteState);

/// The meetings of one tenant.
pub struct TenantMeetings {
    scope: TenantScope,
    by_name: HashMap<ScopedIdKey, MeetingPlace, RandomState>,
    by_odd_instance: HashMap<Box<str>, Box<str>, RandomState>,
    unknown: UnknownMeetings,
}

impl std::fmt::Debug for TenantMeetings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Meetings({})", self.len())
    }
}

impl TenantMeetings {
    /// Returns an empty map for a tenant, which holds `capacity` meetings without growing.
    pub fn new(tenant: &TenantId, capacity: usize) -> Self {
        Self {
            scope: TenantScope::of(tenant),
            by_name: HashMap::builder().capacity(capacity).hasher(RandomState::default()).build(),
            by_odd_instance: HashMap::builder().hasher(RandomState::default()).build(),
            unknown: UnknownMeetings::default(),
        }
    }

    /// Returns the scope of the tenant's ids on servers.
    pub fn scope(&self) -> &TenantScope {
        &self.scope
    }

    /// Returns the ids that are unknown at present.
    pub fn unknown(&self) -> &UnknownMeetings {
        &self.unknown
    }

    /// Returns the number of meetings.
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Returns whether there is no meeting.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Looks a meeting up by its `meetingID`, and then by its internal id. A meeting that its server
    /// has not confirmed is found by every internal id that is made of its `meetingID`: a caller may
    /// know the id from the answer to the create before the table does. The id belongs to this
    /// tenant, and the server knows whether it is right.
    pub fn find<R>(&self, id: &str, read: impl FnOnce(TableMeeting<'_>) -> R) -> Option<R> {
        let meetings = self.by_name.pin();
        if let Some((key, place)) = meetings.get_key_value(&ByName(self.scope.scoped(id))) {
            return Some(read(self.found(key, place)));
        }
        if let Some((sha1, time)) = split_internal_id(id)
            && let Some((key, place)) = meetings.get_key_value(&BySha1(sha1))
            && place.instance.may_have_begun_at(time)
        {
            return Some(read(self.found(key, place)));
        }
        let odd = self.by_odd_instance.pin();
        let on_server = odd.get(id)?;
        let (key, place) = meetings.get_key_value(&ByName(ScopedId { prefix: "", id: on_server }))?;
        (place.instance.odd() == Some(id)).then(|| read(self.found(key, place)))
    }

    fn found<'m>(&self, key: &'m ScopedIdKey, place: &'m MeetingPlace) -> TableMeeting<'m> {
        // This scope made every key.
        TableMeeting::new(self.scope.original(&key.0).unwrap_or(&key.0), key, place)
    }

    /// Sets a meeting and returns its former server and state.
    pub(super) fn insert(&self, id: &str, server: Arc<ServerSlot>, state: &RouteState) -> Option<Old> {
        self.unknown.created(id);
        let scoped: Box<str> = self.scope.scoped(id).to_string().into();
        let place = MeetingPlace::new(&self.scope, id, &scoped, server, state);
        if let Some(internal) = place.instance.odd() {
            self.by_odd_instance.pin().insert(internal.into(), scoped.clone());
        }
        let old = self.by_name.pin().insert(ScopedIdKey(scoped), place.clone()).cloned()?;
        if old.instance != place.instance {
            self.forget_odd(&old);
        }
        Some(self.old(id, old))
    }

    /// Removes a meeting and returns its former server and state.
    pub(super) fn remove(&self, id: &str) -> Option<Old> {
        let old = self.by_name.pin().remove(&ByName(self.scope.scoped(id))).cloned()?;
        self.forget_odd(&old);
        Some(self.old(id, old))
    }

    fn old(&self, id: &str, place: MeetingPlace) -> Old {
        let state = place.state(&self.scope.scoped(id).to_string());
        (place.server, state)
    }

    fn forget_odd(&self, old: &MeetingPlace) {
        if let Some(internal) = old.instance.odd() {
            self.by_odd_instance.pin().remove(internal);
        }
    }

    /// Visits every meeting, in no particular order.
    pub fn for_each(&self, mut visit: impl FnMut(TableMeeting<'_>)) {
        for (key, place) in &self.by_name.pin() {
            visit(self.found(key, place));
        }
    }
}

/// Returns whether an id has the usual form of internal ids, `sha1hex-createTime`.
pub fn is_internal(id: &str) -> bool {
    split_internal_id(id).is_some()
}

/// Returns the SHA-1 of a `meetingID`, which is the first half of an internal id.
pub fn sha1_hex(on_server: &str) -> String {
    hex(&sha1(on_server))
}

fn sha1(text: &str) -> [u8; 20] {
    Sha1::digest(text).into()
}

fn prefix(sha1: &[u8; 20]) -> u64 {
    sha1.iter().take(8).fold(0, |sum, byte| (sum << 8) | u64::from(*byte))
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]])
        .map(char::from)
        .collect()
}

/// Splits `sha1hex-createTime`. Returns `None` for every other form, so that joining the parts
/// gives exactly the same text.
fn split_internal_id(id: &str) -> Option<([u8; 20], u64)> {
    let (digest, time) = id.split_at_checked(SHA1_HEX)?;
    let time = time.strip_prefix('-')?;
    let canonical = !time.is_empty()
        && time.bytes().all(|b| b.is_ascii_digit())
        && (time == "0" || !time.starts_with('0'));
    let time = time.parse().ok().filter(|_| canonical)?;
    let mut sha1 = [0; 20];
    for (byte, pair) in sha1.iter_mut().zip(digest.as_bytes().chunks_exact(2)) {
        *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }
    Some((sha1, time))
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

fn create_time_of(internal: &str, expected: &[u8; 20]) -> Option<u64> {
    split_internal_id(internal).filter(|(sha1, _)| sha1 == expected).map(|(_, time)| time)
}

#[cfg(test)]
mod tests;
