//! Breakout rooms that an application creates itself (BBB API, section 4.8).
//!
//! A server makes one beside its parent, and knows no parent but one of its own meetings: the create goes to
//! the parent's server, whatever placement would say. The room is part of its parent: it gets no record and
//! no place of its own, counts as no meeting of the tenant, and goes when the parent goes.
//!
//! The parent is one of the tenant's own meetings, whatever else the server runs.

use usher_common::{
    bbb::{
        call::Call,
        query::{Edit, RawQuery, decode, rewrite},
        reply::Refusal,
    },
    id::MeetingId,
};

use crate::{
    control::meetings::sha1_hex,
    server::{
        gateway::Gateway,
        locate::{Located, Owner, find},
        reply::Reply,
        request::Ask,
    },
};

const PARENT: &str = "parentMeetingID";

/// Where a breakout room is made.
#[derive(Debug)]
pub(super) struct Beside {
    /// Its parent, and the server that both are on.
    pub(super) parent: Owner,
    /// The parameters, with the room and its parent named as that server is to know them.
    pub(super) parameters: String,
}

/// Returns where to make a breakout room; none for any other create.
///
/// # Errors
/// The tenant has no such meeting, or nobody can say.
pub(super) async fn beside(gateway: &Gateway, ask: &Ask, parameters: &str) -> Result<Option<Beside>, Reply> {
    let query = RawQuery::new(&ask.parameters);
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
    let parent = match find(gateway, ask, &id, Call::GetMeetingInfo).await {
        Located::At(owner) => owner,
        Located::Missing | Located::EndLater(_) => return Err(unknown()),
        Located::Unreachable => return Err(Reply::unavailable()),
    };
    let own = ask.meeting.as_ref().map_or("", |id| id.as_str());
    let scoped = ask.meetings.scope().scoped(own);
    // What is called so on the server begins its internal id too, and there others could find it by an id
    // of theirs. Its hash makes one like any other's, by which the scoped id finds it as well.
    let hash = (!scoped.prefix.is_empty()).then(|| sha1_hex(&scoped.to_string()));
    let mut edits = Vec::new();
    // An internal id stays as it is.
    let is_named = parent.key.meeting.as_str() == given && parent.address() != given;
    edits.extend(is_named.then(|| Edit::Set(PARENT, parent.address())));
    edits.extend(hash.as_deref().map(|hash| Edit::Set("meetingID", hash)));
    let parameters = rewrite(parameters, &edits);
    Ok(Some(Beside { parent, parameters }))
}
