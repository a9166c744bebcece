//! A sample, looked up by meeting and by instance.

use foldhash::{HashMap, HashMapExt};
use usher_common::{
    id::InternalMeetingId,
    meeting::MeetingKey,
    server::{Sample, SampledMeeting},
    settings::Adopt,
};

use crate::core::load;

/// One listed meeting.
#[derive(Debug, Clone, Copy)]
pub(super) struct Listed<'a> {
    pub(super) meeting: &'a SampledMeeting,
    /// It carries our mark, or every meeting is to be taken over.
    pub(super) ours: bool,
}

/// The index. Breakouts are not in it: they are their parent's.
#[derive(Debug)]
pub(super) struct Listing<'a> {
    by_key: HashMap<MeetingKey, Listed<'a>>,
    by_id: HashMap<&'a InternalMeetingId, &'a SampledMeeting>,
}

impl<'a> Listing<'a> {
    pub(super) fn new(sample: &'a Sample, adopt: Adopt) -> Self {
        let mut listing = Self { by_key: HashMap::new(), by_id: HashMap::new() };
        for meeting in sample.meetings.iter().filter(|meeting| !meeting.breakout) {
            listing.by_id.insert(&meeting.internal_id, meeting);
            if let Some(key) = load::listed_key(meeting) {
                let listed = Listed { meeting, ours: meeting.key.is_some() || adopt == Adopt::All };
                listing
                    .by_key
                    .entry(key)
                    .and_modify(|other| {
                        // A server runs one instance of an id; should it list two, the younger is it.
                        if (listed.ours, other.meeting.age_ms) > (other.ours, meeting.age_ms) {
                            *other = listed;
                        }
                    })
                    .or_insert(listed);
            }
        }
        listing
    }

    pub(super) fn key(&self, key: &MeetingKey) -> Option<Listed<'a>> {
        self.by_key.get(key).copied()
    }

    pub(super) fn instance(&self, id: &InternalMeetingId) -> Option<&'a SampledMeeting> {
        self.by_id.get(id).copied()
    }

    /// Visits the meetings that are ours to judge.
    pub(super) fn ours(&self) -> impl Iterator<Item = &MeetingKey> {
        self.by_key.iter().filter(|(_, listed)| listed.ours).map(|(key, _)| key)
    }
}
