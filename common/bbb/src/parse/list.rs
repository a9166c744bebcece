//! Reading the answer of `getMeetings`.

use super::{
    ServerReply, UnreadableReply, create_time_of, digits,
    element::ElementWalk,
    listing::{self, ParsedList},
};
use crate::secret::Secret;

/// Metadata by which a meeting says whose it is, as servers spell it: lower case.
const TENANT: &str = "usher-tenant";
/// Metadata by which a breakout room says what the application that created it calls it.
const ROOM: &str = "usher-room";
/// Metadata by which Scalelite says whose a meeting is: its own id of the tenant, and the tenant's name.
const SCALELITE: [&str; 2] = ["tenant-id", "tenant-name"];
/// Metadata with the number of users expected.
const SIZE: &str = "usher-size";

/// One meeting as a server lists it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ListedMeeting<'a> {
    /// The complete `<meeting>` element, as it came.
    pub raw: &'a str,
    /// The `meetingID` on the server.
    pub meeting_id: String,
    /// Where in `raw` its text begins, in bytes.
    pub meeting_id_at: usize,
    /// The instance.
    pub internal_id: String,
    /// Milliseconds since 1970 by the server's clock; 0 if it does not say.
    pub create_time_ms: i64,
    /// Users, moderators included.
    pub participants: u32,
    /// 0 means no limit.
    pub max_users: u32,
    /// Whether anybody is in it.
    pub running: bool,
    /// Whether it was ended and is about to go.
    pub forcibly_ended: bool,
    /// Whether it is a breakout room.
    pub is_breakout: bool,
    /// Of a breakout room, the instance it belongs to.
    pub parent_internal_id: Option<String>,
    /// The number callers reach it by, as the server wrote it; empty if it does not say.
    pub voice_bridge: String,
    /// BBB 2.4 wants it for `end`.
    pub moderator_password: Option<Secret>,
    /// Keys are as the server gave them: lower case, without `meta_`.
    pub metadata: Vec<(String, String)>,
}

impl ListedMeeting<'_> {
    /// Returns a value of the metadata.
    pub fn metadata(&self, key: &str) -> Option<&str> {
        self.metadata.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// Returns the tenant it carries our mark for.
    pub fn tenant(&self) -> Option<&str> {
        self.metadata(TENANT)
    }

    /// Returns the id that its application gave a breakout room, if it created that itself.
    pub fn room(&self) -> Option<&str> {
        self.metadata(ROOM)
    }

    /// Returns the tenant that Scalelite created it for. Scalelite gives both; one alone may be anything.
    pub fn scalelite_tenant(&self) -> Option<&str> {
        let [id, name] = SCALELITE.map(|key| self.metadata(key).filter(|value| !value.is_empty()));
        id.and(name)
    }

    /// Returns how many users are expected; 0 means unknown.
    pub fn size_hint(&self) -> u32 {
        self.metadata(SIZE).map_or(0, count)
    }
}

/// Reads the answer of `getMeetings`.
pub fn meetings(body: &str) -> Result<ServerReply<Vec<ListedMeeting<'_>>>, UnreadableReply> {
    match listing::read(body, ("meetings", "meeting"), meeting, |_, _| Ok(()))? {
        ServerReply::Failed(failure) => Ok(ServerReply::Failed(failure)),
        ServerReply::Success(ParsedList { entries: Some(listed), .. }) => Ok(ServerReply::Success(listed)),
        ServerReply::Success(ParsedList { said, .. }) if said.key == "noMeetings" => {
            Ok(ServerReply::Success(Vec::new()))
        }
        ServerReply::Success(_) => Err(UnreadableReply::Missing("meetings")),
    }
}

fn meeting<'a>(walk: &mut ElementWalk<'a>, at: usize) -> Result<ListedMeeting<'a>, UnreadableReply> {
    let depth = walk.depth();
    let mut meeting = ListedMeeting::default();
    let mut create_time = None;
    while let Some((name, _)) = walk.child(depth)? {
        match name {
            "meetingID" => {
                meeting.meeting_id_at = walk.position() - at;
                meeting.meeting_id = walk.text()?.into_owned();
            }
            "internalMeetingID" => meeting.internal_id = walk.text()?.trim().into(),
            "createTime" => create_time = Some(digits(&walk.text()?)),
            "participantCount" => meeting.participants = count(&walk.text()?),
            "voiceBridge" => walk.text()?.trim().clone_into(&mut meeting.voice_bridge),
            "maxUsers" => meeting.max_users = count(&walk.text()?),
            "running" => meeting.running = truth(&walk.text()?),
            "hasBeenForciblyEnded" => meeting.forcibly_ended = truth(&walk.text()?),
            "isBreakout" => meeting.is_breakout = truth(&walk.text()?),
            "parentMeetingID" => meeting.parent_internal_id = Some(walk.text()?.trim().to_owned()),
            "moderatorPW" => {
                let password = walk.text()?;
                meeting.moderator_password = (!password.is_empty()).then(|| Secret::new(&password));
            }
            "metadata" => {
                while let Some((key, _)) = walk.child(depth + 1)? {
                    let value = walk.text()?.into_owned();
                    meeting.metadata.push((key.to_owned(), value));
                }
            }
            _ => {}
        }
    }
    meeting.raw = walk.slice(at, walk.position());
    if meeting.meeting_id.is_empty() {
        return Err(UnreadableReply::Missing("meetingID"));
    }
    if meeting.internal_id.is_empty() {
        return Err(UnreadableReply::Missing("internalMeetingID"));
    }
    meeting.create_time_ms = create_time.unwrap_or_else(|| create_time_of(&meeting.internal_id));
    if !meeting.is_breakout {
        meeting.parent_internal_id = None;
    }
    Ok(meeting)
}

fn count(text: &str) -> u32 {
    u32::try_from(digits(text)).unwrap_or(u32::MAX)
}

fn truth(text: &str) -> bool {
    text.trim().eq_ignore_ascii_case("true")
}
