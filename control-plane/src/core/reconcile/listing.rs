//! An index of a sample by meeting and by instance.

use std::collections::BTreeSet;

use foldhash::{HashMap, HashMapExt};
use usher_model::{
    id::{InternalMeetingId, ServerId},
    meeting::MeetingKey,
    scope::{TenantScope, is_altered},
    server::{SampledMeeting, ServerSample},
    settings::AdoptPolicy,
};

use crate::core::{fleet::Fleet, load};

/// One meeting of the list.
#[derive(Debug, Clone, Copy)]
pub(super) struct IndexedMeeting<'a> {
    pub(super) meeting: &'a SampledMeeting,
    /// Whether the meeting has Usher's mark, or `meetings.adopt` is `all`.
    pub(super) ours: bool,
}

/// The index. Breakout rooms that a server made have no key, because they belong to their parent.
#[derive(Debug)]
pub(super) struct ListedIndex<'a> {
    by_key: HashMap<MeetingKey, IndexedMeeting<'a>>,
    by_id: HashMap<&'a InternalMeetingId, &'a SampledMeeting>,
}

impl<'a> ListedIndex<'a> {
    /// Indexes the list of `server`. An instance that a record or zombie of the server names
    /// belongs to that meeting, under any name on the server. The same applies to records and
    /// zombies of other entries whose samples list the same instance (ADR 21).
    pub(super) fn new(fleet: &Fleet, server: &ServerId, sample: &'a ServerSample) -> Self {
        let adopt = fleet.policy().adopt;
        let mut named: HashMap<InternalMeetingId, MeetingKey> = HashMap::new();
        let listers = sample.meetings.iter().flat_map(|meeting| fleet.listers_of(&meeting.internal_id));
        let others: BTreeSet<&ServerId> = listers.filter(|lister| *lister != server).collect();
        for entry in others.into_iter().chain([server]) {
            for (zombie, stored) in fleet.zombies_on(entry) {
                named.extend(stored.value.internal_id.clone().map(|id| (id, zombie.meeting)));
            }
            for (key, stored) in fleet.records_on(entry) {
                named.extend(stored.value.state.internal_id().map(|id| (id.clone(), key.clone())));
            }
        }
        let mut listing = Self { by_key: HashMap::new(), by_id: HashMap::new() };
        for meeting in &sample.meetings {
            listing.by_id.insert(&meeting.internal_id, meeting);
            let unmarked = |_: &_| meeting.key.is_none() || !meeting.is_addressed();
            let named = named.get(&meeting.internal_id).filter(unmarked).cloned();
            if let Some(key) = named.or_else(|| key_of(fleet, meeting)) {
                let listed =
                    IndexedMeeting { meeting, ours: meeting.key.is_some() || adopt == AdoptPolicy::All };
                listing
                    .by_key
                    .entry(key)
                    .and_modify(|other| {
                        // A server runs one instance of an id. If it lists two, the younger one
                        // counts.
                        if (listed.ours, other.meeting.age_ms) > (other.ours, meeting.age_ms) {
                            *other = listed;
                        }
                    })
                    .or_insert(listed);
            }
        }
        listing
    }

    pub(super) fn key(&self, key: &MeetingKey) -> Option<IndexedMeeting<'a>> {
        self.by_key.get(key).copied()
    }

    pub(super) fn instance(&self, id: &InternalMeetingId) -> Option<&'a SampledMeeting> {
        self.by_id.get(id).copied()
    }

    /// Visits the meetings that may be adopted or ended: the marked ones, or all of them under
    /// `adopt = "all"`.
    pub(super) fn ours(&self) -> impl Iterator<Item = &MeetingKey> {
        self.by_key.iter().filter(|(_, listed)| listed.ours).map(|(key, _)| key)
    }
}

/// Returns the meeting of a listed one. A server squeezes white space in its answers, so that the
/// listed id may be that of another meeting; the internal id begins with the hash of the true one.
/// An instance whose true id is unknown has no key: it counts as load, and no record is made for it
/// under an id that no application uses.
fn key_of(fleet: &Fleet, meeting: &SampledMeeting) -> Option<MeetingKey> {
    let instance = &meeting.internal_id;
    let is_its_own = |key: &MeetingKey| {
        let (scope, id) = (TenantScope::of(&key.tenant), key.meeting.as_str());
        scope.is_instance(id, instance) || scope.is_unscoped(id, instance)
    };
    if meeting.breakout || !is_altered(meeting.external_id.as_str(), instance.as_str()) {
        return load::listed_key(meeting);
    }
    let marked = meeting.key.clone();
    match marked.clone().filter(is_its_own) {
        Some(exact) => Some(exact),
        None => fleet.squeezed_meeting_of(instance, marked.as_ref().map(|key| &key.tenant)).cloned(),
    }
}
