//! Breakout rooms that an application creates itself (wire-contract 4.8; ADR 15).
//!
//! A server makes one beside its parent, and knows no parent but one of its own meetings: the create goes to
//! the parent's server, whatever placement would say. From then on it is a meeting like any other, known by
//! the id its application gave it. The server takes that for its whole internal id, where others could find
//! it by theirs: so it is given one as other meetings have, made of the id and the time.
//!
//! The parent is one of the tenant's own meetings, whatever else the server runs.

use usher_bbb::{
    call::ApiCall,
    query::{QueryEdit, RawQuery, decode, rewrite},
    reply::Refusal,
};
use usher_model::{id::MeetingId, meeting::MeetingKey};
use usher_runtime::clock::WallClock;

use crate::{
    control::meetings::sha1_hex,
    core::rules::as_room,
    server::{
        fleet::locate::{Located, find},
        reply::Reply,
        request::Ask,
        router::Gateway,
    },
};

const PARENT: &str = "parentMeetingID";

/// A breakout room that is to be made.
#[derive(Debug)]
pub(super) struct Room {
    /// Its parent.
    pub(super) parent: MeetingId,
    /// The parameters, with the room and its parent named as their server is to know them.
    pub(super) parameters: String,
}

/// Returns the breakout room that a create is of; none for any other create. `parameters` are those that the
/// server would get.
///
/// # Errors
/// The tenant has no such parent, or nobody can say.
pub(super) async fn room(
    gateway: &Gateway,
    ask: &Ask,
    key: &MeetingKey,
    parameters: &str,
) -> Result<Option<Room>, Reply> {
    let query = RawQuery::new(parameters);
    // Of several the server may take any.
    let is_true = |value| decode(value).trim().eq_ignore_ascii_case("true");
    if !query.pairs().any(|pair| pair.is("isBreakout") && is_true(pair.value)) {
        return Ok(None);
    }
    let unknown = || Reply::refused(&Refusal::PARENT_UNKNOWN);
    if query.count(PARENT) > 1 {
        return Err(unknown());
    }
    let given = query.first(PARENT).unwrap_or_default();
    let id = MeetingId::parse(&given).map_err(|_| unknown())?;
    let parent = match find(gateway, ask, &id, ApiCall::GetMeetingInfo).await {
        Located::At(owner) => owner,
        Located::Missing | Located::EndLater(_) => return Err(unknown()),
        Located::Unreachable => return Err(Reply::unavailable()),
    };
    let scoped = ask.meetings.scope().scoped(key.meeting.as_str()).to_string();
    let instance = format!("{}-{}", sha1_hex(&scoped), WallClock::system().now_ms());
    let mut edits = Vec::from(as_room(&key.meeting, &instance));
    // An internal id stays as it is.
    let is_named = parent.key.meeting.as_str() == given && parent.address() != given;
    edits.extend(is_named.then(|| QueryEdit::Set(PARENT, parent.address())));
    Ok(Some(Room { parameters: rewrite(parameters, &edits), parent: parent.key.meeting }))
}
