//! Reading the answer of `getSessions`.

use super::{
    Answer, Unreadable,
    element::Walk,
    listing::{self, Listing},
};

/// Somebody in a meeting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedSession<'a> {
    /// The complete `<meeting>` element, as it came.
    pub raw: &'a str,
    /// The instance; servers call it `meetingID` here.
    pub internal_id: String,
}

/// Reads the answer of `getSessions`.
///
/// # Errors
/// It is none, or not a whole one.
pub fn sessions(body: &str) -> Result<Answer<Vec<ListedSession<'_>>>, Unreadable> {
    match listing::read(body, ("sessions", "meeting"), session, |_, _| Ok(()))? {
        Answer::Failed(failure) => Ok(Answer::Failed(failure)),
        Answer::Success(Listing { entries: Some(listed), .. }) => Ok(Answer::Success(listed)),
        Answer::Success(_) => Err(Unreadable::Missing("sessions")),
    }
}

fn session<'a>(walk: &mut Walk<'a>, at: usize) -> Result<ListedSession<'a>, Unreadable> {
    let depth = walk.depth();
    let mut internal_id = None;
    while let Some((name, _)) = walk.child(depth)? {
        if name == "meetingID" {
            internal_id = Some(walk.text()?.trim().to_owned());
        }
    }
    let internal_id = internal_id.ok_or(Unreadable::Missing("meetingID"))?;
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
        let Ok(Answer::Success(listed)) = sessions(&answer) else { panic!("no list: {answer}") };
        assert_eq!(listed.len(), 2);
        assert!(listed.iter().all(|session| session.raw == one && session.internal_id == "i-1"));
        assert_eq!(sessions(&reply::sessions([])), Ok(Answer::Success(Vec::new())));
        assert!(sessions("<response><returncode>SUCCESS</returncode></response>").is_err());
    }
}
