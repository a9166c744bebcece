//! Merges the lists of meetings of all servers: the tenant's own meetings, each once, in a stable
//! order.
//!
//! If several servers have a copy of a meeting (a zombie and the active one, S9), the copy that the
//! table routes to is shown. A meeting without a tenant's mark is shown only to the tenant whose
//! record it is. Each tenant sees its own ids.

use std::{borrow::Cow, collections::HashMap};

use usher_bbb::{
    parse::{ListedMeeting, element_with_id, strip_usher_metadata, unscoped_element},
    reply,
};
use usher_model::{
    id::{InternalMeetingId, ServerId},
    scope::{TenantScope, is_altered},
};

/// The list of meetings that one server returned.
#[derive(Debug)]
pub struct ServerList<'a> {
    /// The server that returned the list.
    pub server: &'a ServerId,
    /// The meetings of all tenants on the server.
    pub meetings: Vec<ListedMeeting<'a>>,
}

/// The server that the table routes a tenant's meeting to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeetingHome {
    /// The id of the server.
    pub server: ServerId,
    /// Whether another balancer created the meeting, so that its server knows it by the tenant's
    /// own id (ADR 12).
    pub unscoped: bool,
}

/// Merges the lists of several servers for `tenant`, whose ids have this scope. `home` returns
/// where a `meetingID` of the tenant is routed to.
pub fn merge(
    tenant: &str,
    scope: &TenantScope,
    mut lists: Vec<ServerList<'_>>,
    home: impl Fn(&str) -> Option<MeetingHome>,
) -> String {
    lists.sort_by(|a, b| a.server.cmp(b.server));
    let mut shown: Vec<OwnMeeting<'_, '_>> = Vec::new();
    let mut places: HashMap<Cow<'_, str>, usize> = HashMap::new();
    for list in &lists {
        for listed in &list.meetings {
            let meeting = OwnMeeting { exact: exact_id(scope, listed), listed };
            if !is_shown(tenant, scope, &meeting, list.server, &home) {
                continue;
            }
            let id = meeting.exact.clone().map_or(Cow::Borrowed(listed.meeting_id.as_str()), Cow::Owned);
            match places.get(&id) {
                // Neither copy is in the table: the newer one has replaced the other.
                Some(&at) if listed.create_time_ms > shown[at].listed.create_time_ms => shown[at] = meeting,
                Some(_) => {}
                None => {
                    places.insert(id, shown.len());
                    shown.push(meeting);
                }
            }
        }
    }
    let elements: Vec<_> = shown.iter().map(|meeting| element(scope, meeting)).collect();
    reply::meetings(elements.iter().map(AsRef::as_ref))
}

/// A listed meeting, with its exact id if the server shows another one.
struct OwnMeeting<'l, 'm> {
    listed: &'l ListedMeeting<'m>,
    exact: Option<String>,
}

/// Returns the tenant's exact id of a meeting whose white space the server squeezed (wire-contract 3):
/// the id of the mark, if the internal id confirms it.
fn exact_id(scope: &TenantScope, listed: &ListedMeeting<'_>) -> Option<String> {
    if !is_altered(&listed.meeting_id, &listed.internal_id) {
        return None;
    }
    let instance = InternalMeetingId::parse(&listed.internal_id).ok()?;
    let is_its = |id: &String| scope.is_instance(id, &instance) || scope.is_unscoped(id, &instance);
    listed.exact_id().map(Cow::into_owned).filter(is_its)
}

/// Returns the element of a meeting as its tenant may see it.
fn element<'m>(scope: &TenantScope, meeting: &OwnMeeting<'_, 'm>) -> Cow<'m, str> {
    if let Some(exact) = &meeting.exact {
        let named = element_with_id(meeting.listed, exact);
        return Cow::Owned(strip_usher_metadata(&named).into_owned());
    }
    let meeting = meeting.listed;
    let own = scope.original(&meeting.meeting_id);
    let scoped = own.is_some_and(|own| own.len() < meeting.meeting_id.len());
    match unscoped_element(meeting, if scoped { scope.prefix() } else { "" }) {
        Cow::Borrowed(raw) => strip_usher_metadata(raw),
        Cow::Owned(raw) => Cow::Owned(strip_usher_metadata(&raw).into_owned()),
    }
}

fn is_shown(
    tenant: &str,
    scope: &TenantScope,
    meeting: &OwnMeeting<'_, '_>,
    server: &ServerId,
    home: impl Fn(&str) -> Option<MeetingHome>,
) -> bool {
    let OwnMeeting { listed: meeting, exact } = meeting;
    let marked = meeting.tenant();
    if marked.is_some_and(|owner| owner != tenant) {
        return false;
    }
    let here = |home: &MeetingHome| home.server == *server;
    // A breakout room is on the server of its parent and carries the parent's mark. A breakout room
    // that its application named has a record too.
    if meeting.is_breakout {
        return marked.is_some() && meeting.room().and_then(home).is_none_or(|home| here(&home));
    }
    let own = exact.as_deref().or_else(|| scope.original(&meeting.meeting_id));
    match (marked, own.map(&home)) {
        (Some(_), Some(home)) => home.as_ref().is_none_or(here),
        (None, Some(home)) => home.as_ref().is_some_and(here),
        // The id is not in the scope of this tenant. Only a meeting that another balancer created
        // may have such an id, with any mark.
        (_, None) => home(&meeting.meeting_id).is_some_and(|home| home.unscoped && here(&home)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use usher_bbb::parse::{ServerReply, meetings};
    use usher_model::id::TenantId;

    use super::*;

    fn element(id: &str, time: u64, tenant: Option<&str>) -> String {
        let mark = tenant.map_or(String::new(), |t| format!("<usher-tenant>{t}</usher-tenant>\n"));
        format!(
            "<meeting>\n<meetingID>{id}</meetingID>\n<internalMeetingID>{id}x-{time}</internalMeetingID>\n\
             <createTime>{time}</createTime>\n<metadata>\n{mark}<k>v</k>\n</metadata>\n</meeting>"
        )
    }

    fn answer(elements: &[String]) -> String {
        format!(
            "<response>\n<returncode>SUCCESS</returncode>\n<meetings>\n{}\n</meetings>\n</response>",
            elements.join("\n")
        )
    }

    fn merged(tenant: &str, answers: &[(&str, String)], home: &[(&str, &str)]) -> String {
        let ids: Vec<ServerId> = answers.iter().map(|(id, _)| ServerId::parse(id).unwrap()).collect();
        let lists = answers
            .iter()
            .zip(&ids)
            .map(|((_, answer), server)| match meetings(answer) {
                Ok(ServerReply::Success(meetings)) => ServerList { server, meetings },
                other => panic!("{other:?}"),
            })
            .collect();
        let scope = TenantScope::of(&TenantId::parse(tenant).unwrap());
        merge(tenant, &scope, lists, |id| {
            let (_, server) = home.iter().find(|(known, _)| known.trim_start_matches('=') == id)?;
            let unscoped = home.iter().any(|(known, _)| known.strip_prefix('=') == Some(id));
            Some(MeetingHome { server: ServerId::parse(server).unwrap(), unscoped })
        })
    }

    fn instance_of(scope: &TenantScope, id: &str) -> String {
        format!("{}-5", crate::control::meetings::sha1_hex(&scope.scoped(id).to_string()))
    }

    #[test]
    fn ids_that_servers_squeeze_are_shown_as_they_were_given() {
        let scope = TenantScope::of(&TenantId::parse("t").unwrap());
        let listed = |id: &str, shown: &str, mark: &str| {
            let element =
                element(shown, 5, Some("t")).replace(&format!("{shown}x-5"), &instance_of(&scope, id));
            element.replace("<k>", &format!("<usher-id>{mark}</usher-id>\n<k>"))
        };
        let answers = [(
            "a",
            answer(&[
                listed("a  b", "t~a b", "a%20%20b"),
                listed("a b", "t~a b", "a%20b"),
                listed("c\td", "t~c d", "c%09d"),
                listed("g  h", "t~g h", "a%20%20b"),
            ]),
        )];
        let shown = merged("t", &answers, &[("a  b", "a")]);
        for id in ["a  b", "a b", "c\td", "g h"] {
            assert_eq!(
                shown.matches(&format!("<meetingID>{id}</meetingID>")).count(),
                1,
                "{id:?} in {shown}"
            );
        }
        assert!(!shown.contains("usher"), "{shown}");
        let elsewhere = merged("t", &answers, &[("a  b", "b")]);
        assert!(!elsewhere.contains("<meetingID>a  b<"), "its own server did not answer: {elsewhere}");
    }

    #[test]
    fn a_breakout_room_that_its_application_named_is_shown_where_its_record_is() {
        let room = |external: &str| {
            let mark = "<usher-tenant>t</usher-tenant>\n<usher-room>room</usher-room>";
            let element = element(external, 1, None).replace("<k>", &format!("{mark}<k>"));
            element.replace("</meeting>", "<isBreakout>true</isBreakout></meeting>")
        };
        let answers = [("a", answer(&[room("old")])), ("b", answer(&[room("new")]))];
        let shown = merged("t", &answers, &[("room", "b")]);
        assert!(shown.contains("new") && !shown.contains("old") && !shown.contains("usher-"), "{shown}");
        assert!(merged("t", &answers, &[]).contains("old"), "no record is known yet");
        assert!(!merged("u", &answers, &[]).contains("<meeting>"));
    }

    #[test]
    fn a_tenants_meeting_of_another_balancer_is_shown_to_it_alone() {
        let answers = [
            ("a", answer(&[element("room", 1, None), element("t~other", 2, Some("t"))])),
            ("b", answer(&[element("room", 3, None)])),
        ];
        // `=` marks a meeting that another balancer created.
        assert_eq!(ids(&merged("t", &answers, &[("=room", "a")])), ["roomx-1", "t~otherx-2"]);
        assert_eq!(ids(&merged("t", &answers, &[("room", "a")])), ["t~otherx-2"], "it runs scoped there");
        assert!(merged("default", &answers, &[]).contains("noMeetings"));
        assert!(merged("u", &answers, &[]).contains("noMeetings"));
    }

    fn ids(xml: &str) -> Vec<String> {
        let Ok(ServerReply::Success(listed)) = meetings(xml) else { panic!("{xml}") };
        listed.into_iter().map(|meeting| meeting.internal_id).collect()
    }

    #[test]
    fn s9_of_a_split_meeting_only_the_active_copy_is_listed() {
        let split = [
            ("a", answer(&[element("m", 9, Some("default"))])),
            ("b", answer(&[element("m", 5, Some("default")), element("n", 1, Some("default"))])),
        ];
        assert_eq!(ids(&merged("default", &split, &[("m", "b")])), ["mx-5", "nx-1"]);
        assert_eq!(ids(&merged("default", &split, &[("m", "a")])), ["mx-9", "nx-1"]);
        assert_eq!(ids(&merged("default", &split, &[("m", "c")])), ["nx-1"], "its own server did not answer");
        assert_eq!(ids(&merged("default", &split, &[])), ["mx-9", "nx-1"], "the newer one");
    }

    #[test]
    fn a_tenant_sees_its_own_meetings_without_our_metadata() {
        let answers = [(
            "a",
            answer(&[
                element("mine", 1, Some("default")),
                element("yours", 1, Some("u")),
                element("adopted", 1, None),
                element("unknown", 1, None),
            ]),
        )];
        let xml = merged("default", &answers, &[("adopted", "a")]);
        assert_eq!(ids(&xml), ["minex-1", "adoptedx-1"]);
        assert!(!xml.contains("usher") && xml.contains("<k>v</k>"), "{xml}");
        assert!(merged("nobody", &answers, &[]).contains("noMeetings"));
    }

    #[test]
    fn two_tenants_with_one_id_each_see_their_own() {
        let answers = [(
            "a",
            answer(&[
                element("room", 1, Some("default")),
                element("t~room", 2, Some("t")),
                element("u~room", 3, Some("u")),
                element("u~room", 4, Some("t")),
                element("t~t~room", 5, Some("t")),
            ]),
        )];
        for (tenant, expected) in
            [("default", vec!["roomx-1"]), ("t", vec!["t~roomx-2", "t~t~roomx-5"]), ("u", vec!["u~roomx-3"])]
        {
            let xml = merged(tenant, &answers, &[("room", "a")]);
            assert_eq!(ids(&xml), expected);
            assert!(xml.contains("<meetingID>room<"), "{xml}");
            assert!(!xml.contains("<meetingID>u~") && !xml.contains("<meetingID>t~t~"), "{xml}");
        }
    }

    proptest! {
        #[test]
        fn the_order_of_answers_changes_nothing(
            entries in prop::collection::vec((0..4_usize, 0..8_u8, 0..5_u64), 0..20),
            swap in any::<bool>(),
        ) {
            let servers = ["a", "b", "c", "d"];
            let mut answers: Vec<_> = servers.iter().enumerate().map(|(index, server)| {
                let elements: Vec<_> = entries.iter().filter(|(at, ..)| *at == index)
                    .map(|(_, id, time)| element(&format!("m{id}"), *time, Some("default"))).collect();
                (*server, answer(&elements))
            }).collect();
            let forwards = merged("default", &answers, &[("m1", "b")]);
            if swap { answers.reverse(); } else { answers.rotate_left(1); }
            prop_assert_eq!(&forwards, &merged("default", &answers, &[("m1", "b")]));
            let listed = ids(&forwards);
            let unique: std::collections::BTreeSet<_> = listed.iter().map(|id| id.split('x').next()).collect();
            prop_assert_eq!(unique.len(), listed.len());
        }
    }
}
