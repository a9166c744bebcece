//! The read-only calls: `isMeetingRunning`, `getMeetingInfo`, `getMeetings`, `getSessions`.

use usher_bbb::reply::{self, Refusal};

use super::{ApiAnswer, Context};
use crate::{memory::World, render, request::Params};

pub(super) fn running(context: &Context<'_>, params: &Params) -> ApiAnswer {
    match super::meeting_id(params) {
        Ok(id) => {
            let running = context.world.find(id).is_some_and(crate::memory::Meeting::is_running);
            ApiAnswer::Xml(reply::running(running))
        }
        Err(refusal) => refusal.into(),
    }
}

pub(super) fn meeting(context: &Context<'_>, params: &Params) -> ApiAnswer {
    let id = match super::meeting_id(params) {
        Ok(id) => id,
        Err(refusal) => return refusal.into(),
    };
    match context.world.find(id) {
        None => Refusal::NOT_FOUND.into(),
        Some(meeting) => {
            ApiAnswer::Xml(reply::success(|xml| render::meeting(xml, context.world, meeting, false)))
        }
    }
}

/// Returns the answer of `getMeetings`.
pub(crate) fn meetings(world: &World) -> String {
    if world.meetings().next().is_none() {
        return reply::meetings([]);
    }
    reply::success(|xml| {
        xml.element("meetings", |xml| {
            for meeting in world.meetings() {
                xml.element("meeting", |xml| render::meeting(xml, world, meeting, true));
            }
        });
    })
}

pub(super) fn sessions(context: &Context<'_>) -> ApiAnswer {
    let mut sessions = context
        .world
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
