//! Reads the answer of `getSessions`.

use super::{
    element::{ElementWalk, UnreadableReply},
    listing::{self, ParsedList},
    outcome::ServerReply,
};

/// One session of a user in a meeting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedSession<'a> {
    /// The complete `<meeting>` element, unchanged.
    pub raw: &'a str,
    /// Internal id of the meeting, which servers call `meetingID` in this answer.
    pub internal_id: String,
}

/// Reads the answer of `getSessions`.
///
/// # Errors
/// The body is not a complete answer.
pub fn sessions(body: &str) -> Result<ServerReply<Vec<ListedSession<'_>>>, UnreadableReply> {
    match listing::read(body, ("sessions", "meeting"), session, |_, _| Ok(()))? {
        ServerReply::Failed(failure) => Ok(ServerReply::Failed(failure)),
        ServerReply::Success(ParsedList { entries: Some(listed), .. }) => Ok(ServerReply::Success(listed)),
        ServerReply::Success(_) => Err(UnreadableReply::Missing("sessions")),
    }
}

fn session<'a>(walk: &mut ElementWalk<'a>, at: usize) -> Result<ListedSession<'a>, UnreadableReply> {
    let depth = walk.depth();
    let mut internal_id = None;
    while let Some((name, _)) = walk.child(depth)? {
        if name == "meetingID" {
            internal_id = Some(walk.text()?.trim().to_owned());
        }
    }
    let internal_id = internal_id.ok_or(UnreadableReply::Missing("meetingID"))?;
    Ok(ListedSession { raw: walk.slice(at, walk.position()), internal_id })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reply;

    #[test]
    fn sessions_are_read_as_they_came() {
        let one = "<meeting>\n<meetingID>i-1</meetingID>\n<meetingName>A</meetingName>\n<userName>Ada</userName>\n</meeting>";
        let answer = reply::sessions([one, one]);
        let Ok(ServerReply::Success(listed)) = sessions(&answer) else { panic!("no list: {answer}") };
        assert_eq!(listed.len(), 2);
        assert!(listed.iter().all(|session| session.raw == one && session.internal_id == "i-1"));
        assert_eq!(sessions(&reply::sessions([])), Ok(ServerReply::Success(Vec::new())));
        assert!(sessions("<response><returncode>SUCCESS</returncode></response>").is_err());
    }
}
