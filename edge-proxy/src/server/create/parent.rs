//! The parent of a breakout room that an application creates itself: one of the tenant's own
//! meetings, whatever else the server runs.

use usher_common::{
    bbb::{
        query::{Edit, RawQuery, decode, rewrite},
        reply::Refusal,
    },
    id::MeetingId,
    meeting::MeetingKey,
};

use crate::{
    control::meetings::sha1_hex,
    server::{gateway::Gateway, locate::Owner, reply::Reply, request::Ask},
};

const PARENT: &str = "parentMeetingID";

/// Names a breakout room and its parent in `parameters` as their server is to know them; other creates stay
/// as they are.
///
/// # Errors
/// The tenant has no such meeting, or nobody can say.
pub(super) async fn named_for_server(
    gateway: &Gateway,
    ask: &Ask,
    parameters: String,
) -> Result<String, Reply> {
    let query = RawQuery::new(&ask.parameters);
    // Of several the server may take any.
    let is_true = |value| decode(value).trim().eq_ignore_ascii_case("true");
    if !query.pairs().any(|pair| pair.is("isBreakout") && is_true(pair.value)) {
        return Ok(parameters);
    }
    if query.count(PARENT) > 1 {
        return Err(Reply::refused(&Refusal::PARENT_UNKNOWN));
    }
    let given = query.first(PARENT).unwrap_or_default();
    let parent = parent(gateway, ask, &given).await?;
    let scope = ask.meetings.scope();
    let own = ask.meeting.as_ref().map_or("", |id| id.as_str());
    let scoped = scope.scoped(own);
    // What is called so on the server begins its internal id too, and there others could find it by an id
    // of theirs. Its hash makes one like any other's, by which the scoped id finds it as well.
    let hash = (!scoped.prefix.is_empty()).then(|| sha1_hex(&scoped.to_string()));
    let mut edits = Vec::new();
    edits.extend(parent.as_deref().filter(|parent| *parent != given).map(|parent| Edit::Set(PARENT, parent)));
    edits.extend(hash.as_deref().map(|hash| Edit::Set("meetingID", hash)));
    if edits.is_empty() { Ok(parameters) } else { Ok(rewrite(&parameters, &edits)) }
}

/// Returns what a server calls the tenant's meeting `given`; none when that is its internal id.
async fn parent(gateway: &Gateway, ask: &Ask, given: &str) -> Result<Option<String>, Reply> {
    let known = ask.meetings.find(given, |found| (found.name == given).then(|| found.on_server.to_owned()));
    if let Some(on_server) = known {
        return Ok(on_server);
    }
    let unknown = || Reply::refused(&Refusal::PARENT_UNKNOWN);
    let parent = MeetingId::parse(given).map_err(|_| unknown())?;
    let key = MeetingKey::new(ask.tenant.clone(), parent);
    let resolved = gateway.placement.resolve(&key).await.map_err(|_| Reply::unavailable())?;
    Ok(Some(Owner::resolved(ask.meetings.scope(), resolved.ok_or_else(unknown)?).on_server))
}
