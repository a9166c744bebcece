//! One server's list of meetings, read once for all tenants.

use std::{collections::HashMap, ops::Range};

use usher_bbb::parse::{ListedMeeting, ServerReply, meetings};
use usher_model::{id::InternalMeetingId, scope::is_altered};

/// What a list says about one meeting, as far as the choice for a tenant needs it.
#[derive(Debug)]
pub(super) struct MeetingListEntry {
    element: Range<usize>,
    /// Position of the text of the id in the element, bytes.
    pub(super) id_at: usize,
    /// The `meetingID` on the server.
    pub(super) meeting_id: Box<str>,
    pub(super) create_time_ms: i64,
    pub(super) is_breakout: bool,
    /// The id that its application gave to a breakout room.
    pub(super) room: Option<Box<str>>,
    /// The exact id in Usher's mark and the internal id, if the server has squeezed the white space of
    /// the id.
    pub(super) altered: Option<Box<(String, InternalMeetingId)>>,
}

/// The meetings with one tenant's mark, in the order of the list.
#[derive(Debug, Default)]
struct MarkedMeetings {
    indexes: Vec<usize>,
    /// Length of their elements together, bytes.
    size: usize,
}

/// The list of one server, with an index by the tenant in Usher's mark. A tenant's part is found
/// without a look at the meetings of other tenants.
#[derive(Debug)]
pub struct MeetingIndex {
    text: String,
    meetings: Vec<MeetingListEntry>,
    marked: HashMap<Box<str>, MarkedMeetings>,
    /// The meetings without a mark, in the order of the list.
    unmarked: MarkedMeetings,
}

fn altered(listed: &ListedMeeting<'_>) -> Option<Box<(String, InternalMeetingId)>> {
    if !is_altered(&listed.meeting_id, &listed.internal_id) {
        return None;
    }
    let instance = InternalMeetingId::parse(&listed.internal_id).ok()?;
    Some(Box::new((listed.exact_id()?.into_owned(), instance)))
}

impl MeetingIndex {
    /// Reads the answer of `getMeetings`. Returns `None` if it is a refusal or cannot be read.
    pub fn read(text: String) -> Option<Self> {
        let Ok(ServerReply::Success(listed)) = meetings(&text) else { return None };
        let mut meetings = Vec::with_capacity(listed.len());
        let (mut marked, mut unmarked) = (HashMap::new(), MarkedMeetings::default());
        for meeting in listed {
            let begin = meeting.raw.as_ptr().addr().checked_sub(text.as_ptr().addr())?;
            let own = match meeting.tenant() {
                Some(tenant) => marked.entry(Box::from(tenant)).or_default(),
                None => &mut unmarked,
            };
            own.indexes.push(meetings.len());
            own.size += meeting.raw.len();
            meetings.push(MeetingListEntry {
                element: begin..begin + meeting.raw.len(),
                id_at: meeting.meeting_id_at,
                create_time_ms: meeting.create_time_ms,
                is_breakout: meeting.is_breakout,
                room: meeting.room().map(Box::from),
                altered: altered(&meeting),
                meeting_id: meeting.meeting_id.into_boxed_str(),
            });
        }
        Some(Self { text, meetings, marked, unmarked })
    }

    /// Returns about how much memory the list takes, bytes.
    pub fn size(&self) -> usize {
        self.text.len() + self.meetings.len() * size_of::<MeetingListEntry>()
    }

    /// Returns the length of the meetings that `MeetingIndex::of` visits for a tenant, bytes.
    pub fn size_of(&self, tenant: &str) -> usize {
        self.marked.get(tenant).map_or(0, |own| own.size) + self.unmarked.size
    }

    /// Visits the meetings with the mark of `tenant`, and those without a mark, in the order of the
    /// list; `true` for a marked one.
    pub(super) fn of(&self, tenant: &str) -> impl Iterator<Item = (&MeetingListEntry, bool)> {
        let marked = self.marked.get(tenant).map_or(&[][..], |own| &own.indexes);
        let (mut marked, mut unmarked) = (marked.iter().peekable(), self.unmarked.indexes.iter().peekable());
        std::iter::from_fn(move || {
            let marked_first = match (marked.peek(), unmarked.peek()) {
                (Some(marked), Some(unmarked)) => marked < unmarked,
                (first, _) => first.is_some(),
            };
            let index = if marked_first { marked.next() } else { unmarked.next() }?;
            Some((self.meetings.get(*index)?, marked_first))
        })
    }

    /// Returns the element of a meeting of this list, unchanged.
    pub(super) fn element(&self, meeting: &MeetingListEntry) -> &str {
        self.text.get(meeting.element.clone()).unwrap_or_default()
    }
}
