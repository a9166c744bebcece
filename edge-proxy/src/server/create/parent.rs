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

use crate::server::{gateway::Gateway, reply::Reply, request::Ask};

const PARENT: &str = "parentMeetingID";

/// Names the parent in `parameters` as its server knows it; other creates stay as they are.
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
    let known = ask.meetings.find(&given, |found| (found.name == given).then(|| found.on_server.to_owned()));
    let on_server = match known {
        Some(None) => return Ok(parameters), // its internal id, which the server knows it by
        Some(Some(on_server)) => on_server,
        None => {
            let unknown = || Reply::refused(&Refusal::PARENT_UNKNOWN);
            let parent = MeetingId::parse(&given).map_err(|_| unknown())?;
            let key = MeetingKey::new(ask.tenant.clone(), parent);
            let resolved = gateway.placement.resolve(&key).await.map_err(|_| Reply::unavailable())?;
            resolved.ok_or_else(unknown)?;
            ask.meetings.scope().scoped(&given).to_string()
        }
    };
    if on_server == given {
        return Ok(parameters);
    }
    Ok(rewrite(&parameters, &[Edit::Set(PARENT, &on_server)]))
}
