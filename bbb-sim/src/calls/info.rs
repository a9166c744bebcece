//! The read-only calls: `isMeetingRunning`, `getMeetingInfo`, `getMeetings`, `getSessions`.

use usher_bbb::{
    call::ApiCall,
    reply::{self, Refusal},
};

use super::ids::meeting_id;
use crate::{
    answer::ApiAnswer,
    memory::{ServerMeeting, ServerMemory},
    render,
    request::ApiParams,
};

pub(super) fn running(memory: &ServerMemory, params: &ApiParams) -> ApiAnswer {
    match meeting_id(params, memory.version(), ApiCall::IsMeetingRunning) {
        Ok(id) => ApiAnswer::Xml(reply::running(memory.find(id).is_some_and(ServerMeeting::is_running))),
        Err(fault) => fault.into(),
    }
}

pub(super) fn meeting(memory: &ServerMemory, params: &ApiParams) -> ApiAnswer {
    let id = match meeting_id(params, memory.version(), ApiCall::GetMeetingInfo) {
        Ok(id) => id,
        Err(fault) => return fault.into(),
    };
    match memory.find(id) {
        None => Refusal::NOT_FOUND.into(),
        Some(meeting) => ApiAnswer::Xml(reply::success(|xml| render::meeting(xml, memory, meeting, false))),
    }
}

/// Returns the answer of `getMeetings`.
pub(crate) fn meetings(memory: &ServerMemory) -> String {
    if memory.meetings().next().is_none() {
        return reply::meetings([]);
    }
    reply::success(|xml| {
        xml.element("meetings", |xml| {
            for meeting in memory.meetings() {
                xml.element("meeting", |xml| render::meeting(xml, memory, meeting, true));
            }
        });
    })
}

pub(super) fn sessions(memory: &ServerMemory) -> ApiAnswer {
    let mut sessions = memory
        .meetings()
        .flat_map(|meeting| meeting.users.iter().map(move |user| (meeting, user)))
        .peekable();
    ApiAnswer::Xml(reply::success(|xml| {
        if sessions.peek().is_none() {
            xml.empty("sessions")
                .leaf("messageKey", "noSessions")
                .leaf("message", "no sessions were found on this serverr");
            return;
        }
        xml.element("sessions", |xml| {
            for (meeting, user) in sessions {
                xml.element("meeting", |xml| {
                    xml.leaf("meetingID", &meeting.internal_id)
                        .leaf("meetingName", render::squeezed(&meeting.name))
                        .leaf("userName", render::squeezed(&user.full_name));
                });
            }
        });
    }))
}
