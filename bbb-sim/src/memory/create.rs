//! Creation of meetings, and repeated creates (wire-contract 4).

use std::collections::BTreeMap;

use usher_bbb::reply::Refusal;

use super::{MeetingDocument, MemoryChange, ServerMeeting, ServerMemory, meeting::BreakoutLink};
use crate::{chance, internal_id::hash_of, options::BbbVersion};

/// The voice bridge for tests: its meetings get an internal id without a hash.
const TEST_BRIDGE: u64 = 99_999;
/// Most attempts to draw a free voice bridge.
const BRIDGE_TRIES: usize = 10;

/// A validated request to create a meeting.
#[derive(Debug, Clone, Default)]
pub(crate) struct SimCreateRequest {
    pub(crate) meeting_id: String,
    pub(crate) name: String,
    /// The password of attendees; empty if the request has none.
    pub(crate) attendee_password: String,
    /// The password of moderators; empty if the request has none.
    pub(crate) moderator_password: String,
    pub(crate) voice_bridge: Option<u64>,
    pub(crate) dial_number: String,
    pub(crate) duration: u64,
    pub(crate) record: bool,
    pub(crate) max_participants: usize,
    pub(crate) guest_policy: String,
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) documents: Vec<MeetingDocument>,
    pub(crate) unjoined_minutes: Option<u64>,
    /// The address of the end callback, `meetingEndedURL`.
    pub(crate) ended_url: Option<String>,
    pub(crate) keep_events: bool,
    pub(crate) breakout: Option<SimBreakoutRequest>,
}

/// The additional parameters of a breakout room.
#[derive(Debug, Clone, Default)]
pub(crate) struct SimBreakoutRequest {
    pub(crate) parent: Option<String>,
    pub(crate) sequence: u32,
    pub(crate) free_join: bool,
    /// Whether the moderators of the parent open the room, and not an application.
    pub(crate) is_of_moderators: bool,
}

/// The result of `create`.
#[derive(Debug)]
pub(crate) enum SimCreateResult<'w> {
    New(&'w ServerMeeting),
    Duplicate(&'w ServerMeeting),
    Refused(Refusal),
}

impl ServerMemory {
    pub(crate) fn create(&mut self, request: SimCreateRequest, now_ms: u64) -> SimCreateResult<'_> {
        let parent = match self.parent_of(&request) {
            Ok(parent) => parent,
            Err(refusal) => return SimCreateResult::Refused(refusal),
        };
        if parent.is_none() {
            // Other calls find a meeting by a prefix; `create` compares only the hash of its own
            // id.
            let existing =
                self.find_live(&hash_of(&request.meeting_id)).map(|meeting| meeting.internal_id.clone());
            if let Some(key) = existing {
                let existing = &self.meetings[&key];
                return if self.admits_duplicate(existing, &request) {
                    SimCreateResult::Duplicate(existing)
                } else {
                    SimCreateResult::Refused(Refusal::ID_NOT_UNIQUE)
                };
            }
        }
        // The voice bridge of a breakout room is that of its parent followed by its own number; the
        // request cannot choose it, except at 2.5. The behaviour of BBB for a second breakout room with the same
        // number is undocumented; the simulator draws another voice bridge.
        let own = parent.as_ref().filter(|own| own.sequence > 0).and_then(|own| own.voice_bridge);
        let own = own.filter(|bridge| !self.bridge_is_taken(*bridge));
        let voice_bridge = match own.or(request.voice_bridge) {
            Some(bridge) if self.bridge_is_taken(bridge) => {
                return SimCreateResult::Refused(Refusal::VOICE_BRIDGE_TAKEN);
            }
            Some(bridge) => bridge,
            None => self.free_bridge(),
        };
        let create_time_ms = now_ms.max(self.last_create_ms + 1);
        self.last_create_ms = create_time_ms;
        let confirmed_at_ms = now_ms.saturating_add(self.apps_delay_ms);
        let meeting =
            ServerMeeting { confirmed_at_ms, ..meeting(request, parent, voice_bridge, create_time_ms) };
        self.report(now_ms, MemoryChange::Created(Box::new(meeting.clone())));
        // The new meeting replaces a breakout room with the same internal id: BBB compares only the
        // external id, which is new.
        SimCreateResult::New(
            self.meetings.entry(meeting.internal_id.clone()).insert_entry(meeting).into_mut(),
        )
    }

    /// Adds a breakout room to a meeting, as its moderators do inside the meeting.
    pub(crate) fn add_breakout(&mut self, parent: &str, now_ms: u64) -> Option<&ServerMeeting> {
        let parent = self.find_live(parent)?;
        let sequence = 1 + self.breakouts_of(&parent.internal_id).count();
        let request = SimCreateRequest {
            meeting_id: format!("{}-{now_ms}", hash_of(&format!("{}-{sequence}", parent.internal_id))),
            name: format!("{} (Room {sequence})", parent.name),
            metadata: parent.metadata.clone(),
            breakout: Some(SimBreakoutRequest {
                parent: Some(parent.internal_id.clone()),
                sequence: u32::try_from(sequence).unwrap_or(u32::MAX),
                free_join: false,
                is_of_moderators: true,
            }),
            ..SimCreateRequest::default()
        };
        match self.create(request, now_ms) {
            SimCreateResult::New(meeting) => Some(meeting),
            SimCreateResult::Duplicate(_) | SimCreateResult::Refused(_) => None,
        }
    }

    pub(crate) fn breakouts_of<'w>(
        &'w self,
        internal_id: &'w str,
    ) -> impl Iterator<Item = &'w ServerMeeting> {
        self.meetings().filter(move |meeting| {
            meeting.breakout.as_ref().is_some_and(|breakout| breakout.parent_internal_id == internal_id)
        })
    }

    fn parent_of(&self, request: &SimCreateRequest) -> Result<Option<BreakoutLink>, Refusal> {
        let Some(breakout) = &request.breakout else { return Ok(None) };
        let parent = breakout.parent.as_deref().ok_or(Refusal::PARENT_ID_MISSING)?;
        let parent = self.find_live(parent).ok_or(Refusal::PARENT_UNKNOWN)?;
        let may_choose = self.version == BbbVersion::V2_5 && !breakout.is_of_moderators;
        let voice_bridge = format!("{:05}{}", parent.voice_bridge, breakout.sequence).parse().ok();
        let voice_bridge = voice_bridge.filter(|_| !may_choose);
        Ok(Some(BreakoutLink {
            voice_bridge,
            parent_internal_id: parent.internal_id.clone(),
            sequence: breakout.sequence,
            free_join: breakout.free_join,
        }))
    }

    /// Returns whether a repeated create succeeds. BBB compares only the passwords; up to 2.5 it
    /// also refuses a request without passwords.
    fn admits_duplicate(&self, existing: &ServerMeeting, request: &SimCreateRequest) -> bool {
        let none = request.attendee_password.is_empty() && request.moderator_password.is_empty();
        let same = request.attendee_password == existing.attendee_password
            && request.moderator_password == existing.moderator_password;
        same || (none && self.version > BbbVersion::V2_5)
    }

    fn bridge_is_taken(&self, bridge: u64) -> bool {
        self.meetings().any(|meeting| meeting.voice_bridge == bridge)
    }

    fn free_bridge(&self) -> u64 {
        let mut bridge = chance::five_digits();
        for _ in 1..BRIDGE_TRIES {
            if bridge != TEST_BRIDGE && !self.bridge_is_taken(bridge) {
                break;
            }
            bridge = chance::five_digits();
        }
        bridge
    }
}

fn meeting(
    request: SimCreateRequest,
    breakout: Option<BreakoutLink>,
    voice_bridge: u64,
    create_time_ms: u64,
) -> ServerMeeting {
    let (internal_id, external_id) = match &breakout {
        // The `meetingID` of a request for a breakout room is its internal id, and the time in it
        // is a part of the external id.
        Some(parent) => {
            let time = request.meeting_id.split_once('-').map_or("", |(_, time)| time);
            let own = format!("{}-{time}-{}", parent.parent_internal_id, parent.sequence);
            (request.meeting_id.clone(), format!("{}-{time}", hash_of(&own)))
        }
        None if voice_bridge == TEST_BRIDGE => (format!("-{create_time_ms}"), request.meeting_id),
        None => (format!("{}-{create_time_ms}", hash_of(&request.meeting_id)), request.meeting_id),
    };
    let or_generated = |given: String| if given.is_empty() { chance::alphanumeric(8) } else { given };
    ServerMeeting {
        external_id,
        internal_id,
        name: request.name,
        create_time_ms,
        attendee_password: or_generated(request.attendee_password),
        moderator_password: or_generated(request.moderator_password),
        voice_bridge,
        dial_number: request.dial_number,
        duration: request.duration,
        record: request.record,
        max_participants: request.max_participants,
        guest_policy: request.guest_policy,
        metadata: request.metadata,
        breakout,
        documents: request.documents,
        chat: Vec::new(),
        users: Vec::new(),
        crowd: 0,
        first_join_ms: None,
        confirmed_at_ms: create_time_ms,
        end_due_ms: None,
        start_time_ms: 0,
        unjoined_minutes: request.unjoined_minutes,
        ended_url: request.ended_url,
        keep_events: request.keep_events,
        end_is_queued: false,
        ended_at_ms: None,
        removed_at_ms: None,
    }
}
