//! Reads the answer of `getMeetings`.

use std::borrow::Cow;

use super::{
    element::{ElementWalk, PlainLeaf, UnreadableReply},
    listing::{self, ParsedList},
    numbers::{create_time_of, digits},
    outcome::ServerReply,
};
use crate::{query::decode, secret::Secret};

/// The metadata with the tenant of a meeting, in lower case as servers write it: the mark of Usher.
const TENANT: &str = "usher-tenant";
/// The metadata with the id that an application gave to a breakout room.
const ROOM: &str = "usher-room";
/// The metadata with the exact id of a meeting, percent-encoded, where answers squeeze its white space.
const EXACT_ID: &str = "usher-id";
/// The metadata with the tenant of a meeting of Scalelite: the id of the tenant in Scalelite, and its name.
const SCALELITE: [&str; 2] = ["tenant-id", "tenant-name"];
/// The metadata with the expected number of users.
const SIZE: &str = "usher-size";

/// One meeting in the list of a server.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ListedMeeting<'a> {
    /// The complete `<meeting>` element, unchanged.
    pub raw: &'a str,
    /// The `meetingID` on the server.
    pub meeting_id: String,
    /// Position of the text of the id in `raw`, bytes.
    pub meeting_id_at: usize,
    /// Internal id of the meeting.
    pub internal_id: String,
    /// Create time by the clock of the server, milliseconds since 1970; 0 if it is absent.
    pub create_time_ms: i64,
    /// Number of users, moderators included.
    pub participants: u32,
    /// Largest number of users; 0 means no limit.
    pub max_users: u32,
    /// Whether the meeting has users.
    pub running: bool,
    /// Whether the meeting was ended and will disappear from the list.
    pub forcibly_ended: bool,
    /// Whether the meeting is a breakout room.
    pub is_breakout: bool,
    /// Internal id of the parent of a breakout room.
    pub parent_internal_id: Option<String>,
    /// Voice bridge in the text of the server; empty if it is absent.
    pub voice_bridge: String,
    /// Moderator password, which BBB 2.4 needs for `end`.
    pub moderator_password: Option<Secret>,
    /// Metadata with the keys of the server: lower case, without `meta_`.
    pub metadata: Vec<(String, String)>,
}

impl ListedMeeting<'_> {
    /// Returns the value of a metadata key.
    pub fn metadata(&self, key: &str) -> Option<&str> {
        self.metadata.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// Returns the tenant in the mark of Usher, if the meeting has one.
    pub fn tenant(&self) -> Option<&str> {
        self.metadata(TENANT)
    }

    /// Returns the id of a breakout room that an application created by its own call.
    pub fn room(&self) -> Option<&str> {
        self.metadata(ROOM)
    }

    /// Returns the exact id of the tenant's meeting, if Usher marked the meeting with it. An application cannot set
    /// the mark, but the caller compares it with the internal id: rooms of a server have the marks of their parents.
    pub fn exact_id(&self) -> Option<Cow<'_, str>> {
        self.metadata(EXACT_ID).map(decode)
    }

    /// Returns the tenant for which Scalelite created the meeting. Scalelite sets both keys; an application may use
    /// one of them for itself.
    pub fn scalelite_tenant(&self) -> Option<&str> {
        let [id, name] = SCALELITE.map(|key| self.metadata(key).filter(|value| !value.is_empty()));
        id.and(name)
    }

    /// Returns the expected number of users; 0 means unknown.
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
    while let Some(child) = next_child(walk, depth)? {
        match child.name {
            "meetingID" => {
                meeting.meeting_id_at = child.text_at - at;
                meeting.meeting_id = child.text(walk)?.into_owned();
            }
            "internalMeetingID" => meeting.internal_id = child.text(walk)?.trim().into(),
            "createTime" => create_time = Some(digits(&child.text(walk)?)),
            "participantCount" => meeting.participants = count(&child.text(walk)?),
            "voiceBridge" => child.text(walk)?.trim().clone_into(&mut meeting.voice_bridge),
            "maxUsers" => meeting.max_users = count(&child.text(walk)?),
            "running" => meeting.running = truth(&child.text(walk)?),
            "hasBeenForciblyEnded" => meeting.forcibly_ended = truth(&child.text(walk)?),
            "isBreakout" => meeting.is_breakout = truth(&child.text(walk)?),
            "parentMeetingID" => meeting.parent_internal_id = Some(child.text(walk)?.trim().to_owned()),
            "moderatorPW" => {
                let password = child.text(walk)?;
                meeting.moderator_password = (!password.is_empty()).then(|| Secret::new(&password));
            }
            "metadata" if child.leaf.is_none() => {
                while let Some(entry) = next_child(walk, depth + 1)? {
                    let value = entry.text(walk)?.into_owned();
                    meeting.metadata.push((entry.name.to_owned(), value));
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

/// A child of a meeting or of its metadata.
struct ListedChild<'a> {
    name: &'a str,
    /// Position of its text, bytes.
    text_at: usize,
    /// The text of a plain element, which the walk has passed; otherwise the element is open.
    leaf: Option<&'a str>,
}

impl<'a> ListedChild<'a> {
    fn text(&self, walk: &mut ElementWalk<'a>) -> Result<Cow<'a, str>, UnreadableReply> {
        self.leaf.map_or_else(|| walk.text(), |text| Ok(Cow::Borrowed(text)))
    }
}

/// Returns the next child of the element at `depth`, or `None` if that element has ended.
fn next_child<'a>(
    walk: &mut ElementWalk<'a>,
    depth: usize,
) -> Result<Option<ListedChild<'a>>, UnreadableReply> {
    if walk.depth() == depth
        && let Some(PlainLeaf { name, text_at, text }) = walk.plain_leaf()
    {
        return Ok(Some(ListedChild { name, text_at, leaf: Some(text) }));
    }
    let opened = walk.child(depth)?;
    Ok(opened.map(|(name, _)| ListedChild { name, text_at: walk.position(), leaf: None }))
}

fn count(text: &str) -> u32 {
    u32::try_from(digits(text)).unwrap_or(u32::MAX)
}

fn truth(text: &str) -> bool {
    text.trim().eq_ignore_ascii_case("true")
}
