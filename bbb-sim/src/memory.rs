//! The memory of a server: its meetings, their users, and the rules for finding a meeting. Without
//! sockets; the caller passes the time as milliseconds since 1970.

mod change;
mod create;
mod join;
mod meeting;
mod presence;
mod recordings;

use std::{
    collections::{BTreeMap, VecDeque},
    ops::Bound,
    time::Duration,
};

pub(crate) use change::{MeetingIds, MemoryChange, TimedChange};
pub(crate) use create::{SimBreakoutRequest, SimCreateRequest, SimCreateResult};
pub(crate) use join::{SimJoinRequest, SimJoinResult};
pub(crate) use meeting::{MeetingDocument, MeetingUser, ServerMeeting, UserRole};

use crate::{
    internal_id::hash_of,
    options::{BbbVersion, SimOptions},
    recording::{SimRecording, SimRecordingState},
};

/// Most ended meetings that stay in memory, for a late publication of their recordings.
const PAST_KEPT: usize = 1000;

/// The memory of one server.
#[derive(Debug)]
pub(crate) struct ServerMemory {
    version: BbbVersion,
    apps_delay_ms: u64,
    clients_connect_at_once: bool,
    end_delay: Duration,
    unjoined_expiry: Duration,
    /// The meetings by internal id.
    meetings: BTreeMap<String, ServerMeeting>,
    last_create_ms: u64,
    /// The ends that the apps server has not carried out: time and internal id, the earliest first.
    due_ends: VecDeque<(u64, String)>,
    recordings: Vec<SimRecording>,
    processing: Duration,
    /// The changes that are not reported yet, in order.
    changes: Vec<TimedChange>,
    /// The ended meetings, the latest last.
    past: VecDeque<ServerMeeting>,
}

/// The result of `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SimEndResult {
    Ended,
    NotFound,
    WrongPassword,
}

impl ServerMemory {
    pub(crate) fn new(options: &SimOptions) -> Self {
        Self {
            version: options.version,
            apps_delay_ms: u64::try_from(options.apps_delay.as_millis()).unwrap_or(u64::MAX),
            clients_connect_at_once: options.clients_connect_at_once,
            end_delay: options.end_delay,
            unjoined_expiry: options.unjoined_expiry,
            meetings: BTreeMap::new(),
            last_create_ms: 0,
            due_ends: VecDeque::new(),
            recordings: options.recordings.clone(),
            processing: options.processing,
            changes: Vec::new(),
            past: VecDeque::new(),
        }
    }

    /// Removes and returns the changes that are not reported yet.
    pub(crate) fn take_changes(&mut self) -> Vec<TimedChange> {
        std::mem::take(&mut self.changes)
    }

    fn report(&mut self, at_ms: u64, change: MemoryChange) {
        self.changes.push(TimedChange { at_ms, change });
    }

    pub(crate) fn version(&self) -> BbbVersion {
        self.version
    }

    /// Removes the meetings that have ended by `now_ms`, and keeps the recordings of recorded ones.
    pub(crate) fn expire(&mut self, now_ms: u64) {
        let expiry = self.unjoined_expiry;
        self.carry_out_ends(now_ms);
        self.end_breakouts(now_ms);
        for meeting in self.meetings.values_mut() {
            meeting.confirm(now_ms);
            let ended = meeting.ended_at_ms.is_some() || meeting.has_ended(now_ms, expiry);
            if ended && !std::mem::replace(&mut meeting.end_is_queued, true) {
                let change = MemoryChange::Ended(Box::new(meeting.clone()));
                self.changes.push(TimedChange { at_ms: now_ms, change });
                if self.past.len() == PAST_KEPT {
                    self.past.pop_front();
                }
                self.past.push_back(meeting.clone());
            }
        }
        let recordings = &mut self.recordings;
        let processing = u64::try_from(self.processing.as_millis()).unwrap_or(u64::MAX);
        self.meetings.retain(|_, meeting| {
            let over = meeting.has_ended(now_ms, expiry);
            if over && meeting.record {
                recordings.push(meeting.recording(now_ms, now_ms.saturating_add(processing)));
            }
            !over
        });
        self.process(now_ms);
    }

    /// Publishes the recordings whose processing ends by `now_ms`.
    fn process(&mut self, now_ms: u64) {
        let mut published = Vec::new();
        for recording in &mut self.recordings {
            if recording.state == SimRecordingState::Processing && now_ms >= recording.ready_at_ms {
                recording.state = SimRecordingState::Published;
                published.push(recording.clone());
            }
        }
        for recording in published {
            self.report(now_ms, MemoryChange::RecordingReady(Box::new(recording)));
        }
    }

    /// Ends the breakout rooms whose parents have ended: both leave the memory together.
    fn end_breakouts(&mut self, now_ms: u64) {
        let expiry = self.unjoined_expiry;
        let gone_at = |parent: &str| match self.meetings.get(parent) {
            Some(parent) if parent.has_ended(now_ms, expiry) => Some(now_ms),
            Some(parent) => parent.removed_at_ms,
            None => Some(now_ms),
        };
        let rooms = self.meetings.iter().filter_map(|(id, room)| Some((id, room.breakout.as_ref()?)));
        let ending: Vec<(String, u64)> =
            rooms.filter_map(|(id, room)| Some((id.clone(), gone_at(&room.parent_internal_id)?))).collect();
        for (id, at) in ending {
            if let Some(room) = self.meetings.get_mut(&id) {
                room.end(now_ms, at.saturating_sub(now_ms));
            }
        }
    }

    /// Returns every meeting, breakout rooms and ending ones included.
    pub(crate) fn meetings(&self) -> impl Iterator<Item = &ServerMeeting> {
        self.meetings.values()
    }

    /// Returns whether the server has accepted the end of a meeting, or of a parent of a breakout
    /// room, which ends with it. A parent may be a breakout room itself. A room that replaced one
    /// with the same internal id may be its own ancestor: the number of meetings limits the search.
    pub(crate) fn is_ending(&self, meeting: &ServerMeeting) -> bool {
        let mut ancestor = Some(meeting);
        for _ in 0..self.meetings.len() {
            let Some(meeting) = ancestor else { return true };
            if meeting.end_is_accepted() {
                return true;
            }
            let Some(room) = &meeting.breakout else { return false };
            ancestor = self.meetings.get(&room.parent_internal_id);
        }
        false
    }

    /// Finds a meeting as BBB does: first `id` is the beginning of an internal id, then a
    /// `meetingID`. A meeting that is ending is found only if there is no other.
    pub(crate) fn find(&self, id: &str) -> Option<&ServerMeeting> {
        self.key_of(id).map(|key| &self.meetings[&key])
    }

    /// Finds a meeting like [`ServerMemory::find`], for a change.
    pub(crate) fn find_mut(&mut self, id: &str) -> Option<&mut ServerMeeting> {
        let key = self.key_of(id)?;
        self.meetings.get_mut(&key)
    }

    /// Finds a meeting that is not ending.
    pub(crate) fn find_live(&self, id: &str) -> Option<&ServerMeeting> {
        self.find(id).filter(|meeting| meeting.ended_at_ms.is_none())
    }

    /// Finds the user who joined with this session token, and the meeting.
    pub(crate) fn session(&self, token: &str) -> Option<(&ServerMeeting, &MeetingUser)> {
        self.meetings().find_map(|meeting| {
            meeting.users.iter().find(|user| user.session_token == token).map(|user| (meeting, user))
        })
    }

    /// Accepts the end of a meeting. The apps server carries it out after its delay; the meeting is
    /// as before until then, and another end is accepted as well.
    pub(crate) fn end(&mut self, id: &str, password: Option<&str>, now_ms: u64) -> SimEndResult {
        let wants_password = self.version == BbbVersion::V2_4;
        let due_ms = now_ms.saturating_add(self.apps_delay_ms);
        let Some(meeting) = self.find_mut(id) else { return SimEndResult::NotFound };
        if wants_password && password != Some(meeting.moderator_password.as_str()) {
            return SimEndResult::WrongPassword;
        }
        if meeting.end_due_ms.is_none() {
            meeting.end_due_ms = Some(due_ms);
            let key = meeting.internal_id.clone();
            self.due_ends.push_back((due_ms, key));
        }
        self.expire(now_ms);
        SimEndResult::Ended
    }

    /// Ends a meeting at once, as its last moderator does. Returns whether it existed.
    pub(crate) fn end_now(&mut self, id: &str, now_ms: u64) -> bool {
        let delay = u64::try_from(self.end_delay.as_millis()).unwrap_or(u64::MAX);
        let Some(meeting) = self.find_mut(id) else { return false };
        meeting.end(now_ms, delay);
        self.expire(now_ms);
        true
    }

    /// Returns the time when the next end is due.
    pub(crate) fn next_end_ms(&self) -> Option<u64> {
        self.due_ends.front().map(|(due_ms, _)| *due_ms)
    }

    /// Lets the apps server confirm every create and carry out every end.
    pub(crate) fn settle(&mut self, now_ms: u64) {
        for (due_ms, _) in &mut self.due_ends {
            *due_ms = now_ms.min(*due_ms);
        }
        for meeting in self.meetings.values_mut() {
            meeting.confirmed_at_ms = meeting.confirmed_at_ms.min(now_ms);
        }
        self.expire(now_ms);
    }

    fn carry_out_ends(&mut self, now_ms: u64) {
        let delay = u64::try_from(self.end_delay.as_millis()).unwrap_or(u64::MAX);
        while let Some((_, key)) = self.due_ends.pop_front_if(|(due_ms, _)| *due_ms <= now_ms) {
            if let Some(meeting) = self.meetings.get_mut(&key) {
                meeting.end(now_ms, delay);
            }
        }
    }

    /// Removes all meetings, as a restart does.
    pub(crate) fn forget(&mut self) {
        self.meetings.clear();
        self.due_ends.clear();
    }

    fn key_of(&self, id: &str) -> Option<String> {
        if id.is_empty() {
            return None;
        }
        self.key_with_prefix(id).or_else(|| self.key_with_prefix(&hash_of(id)))
    }

    fn key_with_prefix(&self, prefix: &str) -> Option<String> {
        let from = (Bound::Included(prefix), Bound::Unbounded);
        let found = self.meetings.range::<str, _>(from).take_while(|(key, _)| key.starts_with(prefix));
        found.min_by_key(|(_, meeting)| meeting.ended_at_ms.is_some()).map(|(key, _)| key.clone())
    }
}

#[cfg(test)]
mod tests;
