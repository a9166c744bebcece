//! The lists of all servers made one: a tenant's own meetings, each once, in a stable order.
//!
//! Of copies on several servers (a zombie and the active one, S9) the one that the table routes to
//! is shown. Meetings that carry nobody's mark are shown only to the tenant whose record they are.

use std::collections::HashMap;

use usher_common::{
    bbb::{
        parse::{ListedMeeting, strip_usher_metadata},
        reply,
    },
    id::ServerId,
};

/// The list that one server gave.
#[derive(Debug)]
pub struct ServerList<'a> {
    /// Who gave it.
    pub server: &'a ServerId,
    /// What it lists.
    pub meetings: Vec<ListedMeeting<'a>>,
}

/// Merges the lists of several servers for `tenant`; `home` tells the server that a `meetingID` of
/// the tenant is routed to.
pub fn merge(
    tenant: &str,
    mut lists: Vec<ServerList<'_>>,
    home: impl Fn(&str) -> Option<ServerId>,
) -> String {
    lists.sort_by(|a, b| a.server.cmp(b.server));
    let mut shown: Vec<&ListedMeeting<'_>> = Vec::new();
    let mut places: HashMap<&str, usize> = HashMap::new();
    for list in &lists {
        for meeting in &list.meetings {
            if !is_shown(tenant, meeting, list.server, &home) {
                continue;
            }
            match places.get(meeting.meeting_id.as_str()) {
                // Neither copy is in the table: the newer one has replaced the other.
                Some(&at) if meeting.create_time_ms > shown[at].create_time_ms => shown[at] = meeting,
                Some(_) => {}
                None => {
                    places.insert(&meeting.meeting_id, shown.len());
                    shown.push(meeting);
                }
            }
        }
    }
    let elements: Vec<_> = shown.iter().map(|meeting| strip_usher_metadata(meeting.raw)).collect();
    reply::meetings(elements.iter().map(AsRef::as_ref))
}

fn is_shown(
    tenant: &str,
    meeting: &ListedMeeting<'_>,
    server: &ServerId,
    home: impl Fn(&str) -> Option<ServerId>,
) -> bool {
    let home = home(&meeting.meeting_id);
    match meeting.tenant() {
        Some(owner) if owner != tenant => false,
        // Breakout rooms are nobody's records; they are where their parent is.
        Some(_) => meeting.is_breakout || home.is_none_or(|home| home == *server),
        None => home.is_some_and(|home| home == *server),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use usher_common::bbb::parse::{Answer, meetings};

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
                Ok(Answer::Success(meetings)) => ServerList { server, meetings },
                other => panic!("{other:?}"),
            })
            .collect();
        merge(tenant, lists, |id| {
            home.iter().find(|(known, _)| *known == id).map(|(_, server)| ServerId::parse(server).unwrap())
        })
    }

    fn ids(xml: &str) -> Vec<String> {
        let Ok(Answer::Success(listed)) = meetings(xml) else { panic!("{xml}") };
        listed.into_iter().map(|meeting| meeting.internal_id).collect()
    }

    #[test]
    fn s9_of_a_split_meeting_only_the_active_copy_is_listed() {
        let split = [
            ("a", answer(&[element("m", 9, Some("t"))])),
            ("b", answer(&[element("m", 5, Some("t")), element("n", 1, Some("t"))])),
        ];
        assert_eq!(ids(&merged("t", &split, &[("m", "b")])), ["mx-5", "nx-1"]);
        assert_eq!(ids(&merged("t", &split, &[("m", "a")])), ["mx-9", "nx-1"]);
        assert_eq!(ids(&merged("t", &split, &[("m", "c")])), ["nx-1"], "its own server did not answer");
        assert_eq!(ids(&merged("t", &split, &[])), ["mx-9", "nx-1"], "the newer one");
    }

    #[test]
    fn a_tenant_sees_its_own_meetings_without_our_metadata() {
        let answers = [(
            "a",
            answer(&[
                element("mine", 1, Some("t")),
                element("yours", 1, Some("u")),
                element("adopted", 1, None),
                element("unknown", 1, None),
            ]),
        )];
        let xml = merged("t", &answers, &[("adopted", "a")]);
        assert_eq!(ids(&xml), ["minex-1", "adoptedx-1"]);
        assert!(!xml.contains("usher") && xml.contains("<k>v</k>"), "{xml}");
        assert!(merged("nobody", &answers, &[]).contains("noMeetings"));
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
                    .map(|(_, id, time)| element(&format!("m{id}"), *time, Some("t"))).collect();
                (*server, answer(&elements))
            }).collect();
            let forwards = merged("t", &answers, &[("m1", "b")]);
            if swap { answers.reverse(); } else { answers.rotate_left(1); }
            prop_assert_eq!(&forwards, &merged("t", &answers, &[("m1", "b")]));
            let listed = ids(&forwards);
            let unique: std::collections::BTreeSet<_> = listed.iter().map(|id| id.split('x').next()).collect();
            prop_assert_eq!(unique.len(), listed.len());
        }
    }
}
