//! One server's list of sessions, read once for all tenants.

use std::{collections::HashMap, ops::Range};

use usher_bbb::parse::{ServerReply, sessions};

/// The list of one server, with an index by the meetings. A session names its meeting by the
/// internal id alone.
#[derive(Debug)]
pub struct SessionIndex {
    text: String,
    /// The elements in the order of the list.
    elements: Vec<Range<usize>>,
    /// The indexes of the elements of each meeting, by its internal id.
    meetings: HashMap<Box<str>, Vec<usize>>,
}

impl SessionIndex {
    /// Reads the answer of `getSessions`. Returns `None` if it is a refusal or cannot be read.
    pub fn read(text: String) -> Option<Self> {
        let Ok(ServerReply::Success(listed)) = sessions(&text) else { return None };
        let mut elements = Vec::with_capacity(listed.len());
        let mut meetings: HashMap<Box<str>, Vec<usize>> = HashMap::new();
        for session in listed {
            let begin = session.raw.as_ptr().addr().checked_sub(text.as_ptr().addr())?;
            meetings.entry(session.internal_id.into_boxed_str()).or_default().push(elements.len());
            elements.push(begin..begin + session.raw.len());
        }
        Some(Self { text, elements, meetings })
    }

    /// Returns the number of meetings that have sessions.
    pub fn meetings(&self) -> usize {
        self.meetings.len()
    }

    /// Returns about how much memory the list takes, bytes.
    pub fn size(&self) -> usize {
        self.text.len() + self.elements.len() * size_of::<Range<usize>>()
    }

    /// Returns the elements of the meetings for whose internal ids `is_own` holds, in the order of
    /// the list. `is_own` is called once for each meeting.
    pub fn of(&self, is_own: impl Fn(&str) -> bool) -> impl Iterator<Item = &str> {
        let own = self.meetings.iter().filter(|(instance, _)| is_own(instance));
        let mut indexes: Vec<usize> = own.flat_map(|(_, indexes)| indexes).copied().collect();
        indexes.sort_unstable();
        indexes.into_iter().filter_map(|index| self.text.get(self.elements.get(index)?.clone()))
    }
}

#[cfg(test)]
mod tests {
    use usher_bbb::reply;

    use super::*;

    #[test]
    fn the_sessions_of_some_meetings_come_in_the_order_of_the_list() {
        let session = |meeting: &str, user: &str| {
            format!("<meeting>\n<meetingID>{meeting}</meetingID>\n<userName>{user}</userName>\n</meeting>")
        };
        let listed =
            [session("a-1", "Ada"), session("b-2", "Bob"), session("c-3", "Eve"), session("a-1", "Dan")];
        let index = SessionIndex::read(reply::sessions(listed.iter().map(String::as_str))).unwrap();
        let shown: Vec<_> = index.of(|instance| instance != "b-2").collect();
        assert_eq!(shown, [&listed[0], &listed[2], &listed[3]]);
        assert!(index.of(|_| false).next().is_none());
        assert!(SessionIndex::read("<response><returncode>FAILED</returncode></response>".into()).is_none());
    }
}
