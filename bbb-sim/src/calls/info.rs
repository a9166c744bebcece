//! The read-only calls: `isMeetingRunning`, `getMeetingInfo`, `getMeetings`, `getSessions`.

use usher_bbb::reply::{self, Refusal};

use super::CallContext;
use crate::{answer::ApiAnswer, memory::ServerMemory, render, request::ApiParams};

pub(super) fn running(context: &CallContext<'_>, params: &ApiParams) -> ApiAnswer {
    match super::meeting_id(params) {
        Ok(id) => {
            let running = context.memory.find(id).is_some_and(crate::memory::ServerMeeting::is_running);
            ApiAnswer::Xml(reply::running(running))
        }
        Err(refusal) => refusal.into(),
    }
}

pub(super) fn meeting(context: &CallContext<'_>, params: &ApiParams) -> ApiAnswer {
    let id = match super::meeting_id(params) {
        Ok(id) => id,
        Err(refusal) => return refusal.into(),
    };
    match context.memory.find(id) {
        None => Refusal::NOT_FOUND.into(),
        Some(meeting) => {
            ApiAnswer::Xml(reply::success(|xml| render::meeting(xml, context.memory, meeting, false)))
        }
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

pub(super) fn sessions(context: &CallContext<'_>) -> ApiAnswer {
    let mut sessions = context
        .memory
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
                        .leaf("meetingName", &meeting.name)
                        .leaf("userName", &user.full_name);
                });
            }
        });
    }))
}
