//! The presence of users: a user who has joined is present once the client is connected.

use super::{MeetingIds, MeetingUser, MemoryChange, ServerMeeting, ServerMemory, TimedChange, UserRole};

impl ServerMemory {
    /// Connects the client of the user who joined with this session token. Returns the user and the
    /// meeting if there is such a session.
    pub(crate) fn connect(&mut self, token: &str, now_ms: u64) -> Option<(&ServerMeeting, &MeetingUser)> {
        let (key, at) = self.meetings.iter().find_map(|(key, meeting)| {
            let at = meeting.users.iter().position(|user| user.session_token == token)?;
            Some((key.clone(), at))
        })?;
        let meeting = self.meetings.get_mut(&key)?;
        self.changes.extend(meeting.connect(at, now_ms));
        let meeting = &*meeting;
        Some((meeting, meeting.users.get(at)?))
    }

    /// Connects the clients of all users who joined a meeting. Returns whether the meeting exists.
    pub(crate) fn connect_all(&mut self, id: &str, now_ms: u64) -> bool {
        let Some(key) = self.key_of(id) else { return false };
        let Some(meeting) = self.meetings.get_mut(&key) else { return false };
        for at in 0..meeting.users.len() {
            self.changes.extend(meeting.connect(at, now_ms));
        }
        true
    }

    /// Removes all users with this full name from a meeting. Returns whether there was one.
    pub(crate) fn leave(&mut self, id: &str, full_name: &str, now_ms: u64) -> bool {
        let Some(meeting) = self.find_mut(id) else { return false };
        let gone: Vec<_> = meeting.users.extract_if(.., |user| user.full_name == full_name).collect();
        let ids = MeetingIds::from(&*meeting);
        let was_one = !gone.is_empty();
        for user in gone.into_iter().filter(MeetingUser::is_present) {
            self.report(now_ms, MemoryChange::Left(ids.clone(), Box::new(user)));
        }
        was_one
    }

    /// Sets the number of simulated participants, who count but have no names. Returns whether the
    /// meeting exists.
    pub(crate) fn set_crowd(&mut self, id: &str, users: usize, now_ms: u64) -> bool {
        let Some(meeting) = self.find_mut(id) else { return false };
        meeting.crowd = users;
        if users > 0 {
            meeting.first_join_ms.get_or_insert(now_ms);
        }
        true
    }
}

impl ServerMeeting {
    /// Connects the client of one user. Returns the change if the user is present now and was not
    /// before.
    fn connect(&mut self, at: usize, now_ms: u64) -> Option<TimedChange> {
        let has_presenter = self.users.iter().any(|user| user.is_presenter);
        let user = self.users.get_mut(at).filter(|user| !user.is_connected)?;
        user.is_connected = true;
        if !user.is_present() {
            return None;
        }
        // The first moderator becomes presenter.
        user.is_presenter = user.role == UserRole::Moderator && !has_presenter;
        let user = Box::new(user.clone());
        self.first_join_ms.get_or_insert(now_ms);
        Some(TimedChange { at_ms: now_ms, change: MemoryChange::Joined((&*self).into(), user) })
    }
}
