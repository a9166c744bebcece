//! Answers in the form of a BBB server: XML without a declaration, with one element on each line (wire-contract 3).

mod hooks;
mod recordings;
mod refusal;
mod success;
pub mod xml;

pub use hooks::{HookElement, PING, hook_created, hook_destroyed, hook_exists, hooks};
pub use recordings::{RecordingPage, changed, recordings};
pub use refusal::Refusal;
pub use success::success;

/// The `Content-Type` of every XML answer.
pub const CONTENT_TYPE: &str = "text/xml;charset=utf-8";
/// The `Content-Type` of answers about text tracks, and of the root for clients that request JSON.
pub const JSON: &str = "application/json;charset=utf-8";

/// Returns the answer to the root of the API.
pub fn root() -> String {
    success(|xml| {
        xml.leaf("version", "2.0").leaf("apiVersion", "2.0").leaf("bbbVersion", "");
    })
}

/// Returns the answer to the root of the API for clients that request JSON.
pub fn root_json() -> String {
    r#"{"response":{"returncode":"SUCCESS","version":"2.0","apiVersion":"2.0","bbbVersion":""}}"#.into()
}

/// Returns the answer of `isMeetingRunning`.
pub fn running(running: bool) -> String {
    success(|xml| {
        xml.leaf("running", if running { "true" } else { "false" });
    })
}

/// Returns the answer of `getMeetings`; each of `meetings` is a complete `<meeting>` element.
pub fn meetings<'m>(meetings: impl IntoIterator<Item = &'m str>) -> String {
    let mut meetings = meetings.into_iter().peekable();
    success(|xml| {
        if meetings.peek().is_none() {
            xml.empty("meetings");
            xml.leaf("messageKey", "noMeetings").leaf("message", "no meetings were found on this server");
            return;
        }
        xml.element("meetings", |xml| {
            for meeting in meetings {
                xml.raw(meeting);
            }
        });
    })
}

/// Returns the answer of `getSessions`; each of `sessions` is a complete `<meeting>` element.
pub fn sessions<'s>(sessions: impl IntoIterator<Item = &'s str>) -> String {
    let mut sessions = sessions.into_iter().peekable();
    success(|xml| {
        if sessions.peek().is_none() {
            xml.empty("sessions")
                .leaf("messageKey", "noSessions")
                .leaf("message", "no sessions were found on this serverr"); // the spelling of BBB
            return;
        }
        xml.element("sessions", |xml| {
            for session in sessions {
                xml.raw(session);
            }
        });
    })
}

/// Returns the answer of an `end` that was sent to a server.
pub fn ended() -> String {
    success(|xml| {
        xml.leaf("messageKey", "sentEndMeetingRequest").leaf(
            "message",
            "A request to end the meeting was sent. Please wait a few seconds, and then use the \
             getMeetingInfo or isMeetingRunning API calls to verify that it was ended.",
        );
    })
}

#[cfg(test)]
mod tests;
