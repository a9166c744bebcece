//! `join`: the browser is sent to the meeting's server, by a URL signed anew. The hot path: from the
//! table alone, without a task, a span or a wait. A body is never read.

use std::fmt::Write as _;

use http::{Method, Request};
use hyper::body::Incoming;
use usher_bbb::{
    call::ApiCall,
    query::{QueryEdit, RawQuery},
    reply::Refusal,
};
use usher_model::{
    routing::{RouteState, ServerRoute, TenantRoute},
    scope::looks_internal,
};

use crate::server::{
    fleet::locate::{Located, locate},
    reply::Reply,
    request::{Ask, not_enabled, tenant_of},
    router::Gateway,
};
use crate::{
    control::table::TenantSlot,
    core::{
        authenticate::authenticate,
        request_target::target,
        resign,
        route::{KnownMeeting, RoutingDecision, decide},
        rules::ParameterChange,
        validate,
    },
    metrics::Outcome,
};

/// Answers a join where that needs no waiting; `None` for any other request.
pub(in crate::server) fn at_once(gateway: &Gateway, request: &Request<Incoming>) -> Option<Reply> {
    let target = target(request.uri().path()).filter(|target| target.call == ApiCall::Join.name())?;
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return None;
    }
    let table = gateway.cell.load();
    let tenants = table.as_ref()?.tenants();
    let authority = request.uri().authority().map(http::uri::Authority::as_str);
    let slot = tenant_of(&tenants, target, request.headers(), authority)?;
    let route = slot.route.as_ref()?;
    let query = request.uri().query().unwrap_or_default();
    let parameters = match authenticate(ApiCall::Join, query, None, &route.secrets) {
        Ok(parameters) => parameters,
        Err(problem) => return Some(Reply::checksum(ApiCall::Join, problem)),
    };
    if !route.enabled {
        return Some(Reply::refused(&not_enabled()));
    }
    let id = match validate::check(ApiCall::Join, &parameters) {
        Ok(id) => id.unwrap_or_default(),
        Err(refusal) => return Some(refuse(&parameters, &refusal)),
    };
    slot.meetings.find(&id, |found| {
        let server = found.place.server.route();
        let server = server.as_ref()?;
        let known = KnownMeeting {
            confirmed: found.place.is_confirmed(),
            admin: server.admin,
            health: server.health,
        };
        let instance;
        let edit = if found.name != id {
            None // its internal id
        } else if looks_internal(found.on_server) {
            let RouteState::Active(internal) = found.state() else { return None };
            instance = internal;
            Some(QueryEdit::Set("meetingID", instance.as_str()))
        } else {
            (found.on_server != found.name).then_some(QueryEdit::Set("meetingID", found.on_server))
        };
        (decide(ApiCall::Join, Some(known)) == RoutingDecision::Forward)
            .then(|| redirect(gateway, (slot, route), server, &parameters, edit))
    })?
}

/// Answers a join of a meeting that the table does not know, or not as reachable.
pub(in crate::server) async fn join(gateway: &Gateway, ask: &Ask) -> Reply {
    match locate(gateway, ask).await {
        Located::At(owner) => {
            let given = ask.meeting.as_ref().map_or("", |id| id.as_str());
            let tenant = (&ask.slot, &*ask.route);
            redirect(gateway, tenant, &owner.server, &ask.parameters, owner.edit(given))
        }
        Located::Missing | Located::EndLater(_) => refuse(&ask.parameters, &Refusal::INVALID_MEETING),
        Located::Unreachable => Reply::unavailable(),
    }
}

fn redirect(
    gateway: &Gateway,
    (slot, tenant): (&TenantSlot, &TenantRoute),
    server: &ServerRoute,
    parameters: &str,
    id: Option<QueryEdit<'_>>,
) -> Reply {
    if !slot.admits(tenant) {
        return refuse(parameters, &Refusal::FULL);
    }
    let changes = gateway.rules.join_changes(parameters, &tenant.policy);
    let mut edits = gateway.rules.join();
    edits.extend(changes.iter().map(ParameterChange::edit).chain(id));
    Reply::redirect(resign::url(server, ApiCall::Join, parameters, &edits), Outcome::success)
}

/// Refuses a join whose checksum was good: to where the application wants its users to be sent, or
/// as XML (wire-contract 5). Faults of role or password are always XML.
pub(in crate::server) fn refuse(parameters: &str, refusal: &Refusal) -> Reply {
    let query = RawQuery::new(parameters);
    let target = ["errorRedirectUrl", "logoutURL"]
        .into_iter()
        .filter_map(|name| query.first(name))
        .find(|url| is_web_address(url));
    match target {
        Some(target) if refusal.key != Refusal::JOIN_ROLE.key => {
            Reply::redirect(with_errors(&target, refusal), Outcome::refused)
        }
        _ => Reply::refused(refusal),
    }
}

fn is_web_address(url: &str) -> bool {
    url::Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

/// Appends `errors=[{"key":…,"message":…}]`, quoted as BBB quotes it.
fn with_errors(url: &str, refusal: &Refusal) -> String {
    let (address, fragment) = url.split_once('#').map_or((url, None), |(a, f)| (a, Some(f)));
    let mut location = String::with_capacity(url.len() + 128);
    push_quoted(&mut location, address, "!#$%&'()*+,/:;=?@[]~-._");
    location.push(if address.contains('?') { '&' } else { '?' });
    location.push_str("errors=");
    let errors = format!(r#"[{{"key":"{}","message":"{}"}}]"#, refusal.key, refusal.message);
    push_quoted(&mut location, &errors, "[]:,-._~'()");
    if let Some(fragment) = fragment {
        location.push('#');
        push_quoted(&mut location, fragment, "!$%&'()*+,/:;=?@~-._");
    }
    location
}

fn push_quoted(out: &mut String, text: &str, plain: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || plain.contains(char::from(byte)) && byte.is_ascii() {
            out.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn location(parameters: &str, refusal: &Refusal) -> Option<String> {
        let reply = refuse(parameters, refusal);
        reply.response.headers().get("location").map(|value| value.to_str().unwrap().to_owned())
    }

    #[test]
    fn refusals_go_where_the_application_wants_them() {
        let expected = "https://app.test/?errors=[%7B%22key%22:%22invalidMeetingIdentifier%22,\
                        %22message%22:%22A%20meeting%20with%20that%20ID%20does%20not%20exist%22%7D]";
        let given =
            "meetingID=x&logoutURL=https%3A%2F%2Fother.test%2F&errorRedirectUrl=https%3A%2F%2Fapp.test%2F";
        assert_eq!(location(given, &Refusal::INVALID_MEETING).as_deref(), Some(expected));
        let with_query =
            location("logoutURL=https%3A%2F%2Fapp.test%2Fx%3Fa%3D1%23f", &Refusal::INVALID_MEETING);
        let with_query = with_query.unwrap();
        assert!(with_query.starts_with("https://app.test/x?a=1&errors=[") && with_query.ends_with("]#f"));
    }

    #[test]
    fn refusals_are_xml_where_there_is_no_good_address() {
        for parameters in
            ["", "logoutURL=javascript%3Aalert(1)", "errorRedirectUrl=%2F%2Fevil.test", "errorRedirectUrl="]
        {
            assert_eq!(location(parameters, &Refusal::INVALID_MEETING), None, "{parameters}");
        }
        assert_eq!(location("logoutURL=https%3A%2F%2Fapp.test", &Refusal::JOIN_ROLE), None);
    }

    #[test]
    fn an_address_cannot_break_out_of_its_header() {
        let split =
            location("logoutURL=https%3A%2F%2Fapp.test%2F%0d%0aSet-Cookie%3Ax", &Refusal::INVALID_MEETING);
        assert!(!split.unwrap_or_default().contains(['\r', '\n']));
    }
}
