//! Merges the lists of meetings of all servers: the tenant's own meetings, each once, in a stable
//! order.
//!
//! If several servers have a copy of a meeting (a zombie and the active one, S9), the copy that the
//! table routes to is shown. A meeting without a tenant's mark is shown only to the tenant whose
//! record it is. Each tenant sees its own ids.

mod meeting_index;
mod session_index;

use std::{borrow::Cow, collections::HashMap};

use usher_bbb::{
    parse::{element_with_id, strip_usher_metadata, unscoped_element},
    reply,
};
use usher_model::{id::ServerId, scope::TenantScope};

use self::meeting_index::MeetingListEntry;
pub use self::{meeting_index::MeetingIndex, session_index::SessionIndex};

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
/// where a `meetingID` of the tenant is routed to. The cost is linear in the number of the tenant's
/// meetings in the lists and of those without a mark.
pub fn merge<'l>(
    tenant: &str,
    scope: &TenantScope,
    lists: impl IntoIterator<Item = (&'l ServerId, &'l MeetingIndex)>,
    home: impl Fn(&str) -> Option<MeetingHome>,
) -> String {
    let mut lists: Vec<_> = lists.into_iter().collect();
    lists.sort_by_key(|(server, _)| *server);
    let mut shown: Vec<OwnMeeting<'_>> = Vec::new();
    let mut places: HashMap<&str, usize> = HashMap::new();
    for (server, list) in lists {
        for (listed, is_marked) in list.of(tenant) {
            let meeting = OwnMeeting { list, listed, exact: exact_id(scope, listed) };
            if !is_shown(scope, (&meeting, is_marked), server, &home) {
                continue;
            }
            let id = meeting.exact.unwrap_or(&listed.meeting_id);
            match places.get(id) {
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
struct OwnMeeting<'l> {
    list: &'l MeetingIndex,
    listed: &'l MeetingListEntry,
    exact: Option<&'l str>,
}

/// Returns the tenant's exact id of a meeting whose white space the server squeezed (wire-contract 3):
/// the id of the mark, if the internal id confirms it.
fn exact_id<'l>(scope: &TenantScope, listed: &'l MeetingListEntry) -> Option<&'l str> {
    let (id, instance) = listed.altered.as_deref()?;
    (scope.is_instance(id, instance) || scope.is_unscoped(id, instance)).then_some(id)
}

/// Returns the element of a meeting as its tenant may see it.
fn element<'l>(scope: &TenantScope, meeting: &OwnMeeting<'l>) -> Cow<'l, str> {
    let (raw, id_at) = (meeting.list.element(meeting.listed), meeting.listed.id_at);
    if let Some(exact) = meeting.exact {
        return Cow::Owned(strip_usher_metadata(&element_with_id(raw, id_at, exact)).into_owned());
    }
    let meeting = meeting.listed;
    let own = scope.original(&meeting.meeting_id);
    let scoped = own.is_some_and(|own| own.len() < meeting.meeting_id.len());
    let prefix = if scoped { scope.prefix() } else { "" };
    match unscoped_element(raw, id_at, prefix) {
        Cow::Borrowed(raw) => strip_usher_metadata(raw),
        Cow::Owned(raw) => Cow::Owned(strip_usher_metadata(&raw).into_owned()),
    }
}

/// Returns whether a tenant sees a meeting that has its mark, or none.
fn is_shown(
    scope: &TenantScope,
    (meeting, is_marked): (&OwnMeeting<'_>, bool),
    server: &ServerId,
    home: impl Fn(&str) -> Option<MeetingHome>,
) -> bool {
    let OwnMeeting { listed: meeting, exact, .. } = meeting;
    let here = |home: &MeetingHome| home.server == *server;
    // A breakout room is on the server of its parent and carries the parent's mark. A breakout room
    // that its application named has a record too.
    if meeting.is_breakout {
        return is_marked && meeting.room.as_deref().and_then(home).is_none_or(|home| here(&home));
    }
    let own = exact.or_else(|| scope.original(&meeting.meeting_id));
    match (is_marked, own.map(&home)) {
        (true, Some(home)) => home.as_ref().is_none_or(here),
        (false, Some(home)) => home.as_ref().is_some_and(here),
        // The id is not in the scope of this tenant. Only a meeting that another balancer created
        // may have such an id, with the tenant's mark or none.
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
        let lists: Vec<(ServerId, MeetingIndex)> = answers
            .iter()
            .map(|(id, answer)| (ServerId::parse(id).unwrap(), MeetingIndex::read(answer.clone()).unwrap()))
            .collect();
        let scope = TenantScope::of(&TenantId::parse(tenant).unwrap());
        merge(tenant, &scope, lists.iter().map(|(server, list)| (server, list)), |id| {
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
