use proptest::prelude::*;
use usher_bbb::{
    parse::{ServerReply, recordings},
    query::ParameterList,
};
use usher_model::{id::TenantId, scope::TenantScope};

use super::*;

/// One recording: id, meeting on the server, start, state, tenant.
type Row<'a> = (&'a str, &'a str, u64, &'a str, Option<&'a str>);

fn answer(rows: &[Row<'_>]) -> String {
    let elements: Vec<String> = rows
        .iter()
        .map(|(id, meeting, start, state, tenant)| {
            let mark = tenant.map_or(String::new(), |t| format!("<usher-tenant>{t}</usher-tenant>"));
            format!(
                "<recording><recordID>{id}</recordID><meetingID>{meeting}</meetingID><state>{state}</state>\
                 <startTime>{start}</startTime><metadata>{mark}<meetingId>{meeting}</meetingId></metadata></recording>"
            )
        })
        .collect();
    reply::recordings(elements.iter().map(String::as_str), None)
}

fn merged(tenant: &str, parameters: &str, answers: &[(&str, String)]) -> String {
    let ids: Vec<ServerId> = answers.iter().map(|(id, _)| ServerId::parse(id).expect("is an id")).collect();
    let lists: Vec<_> = answers
        .iter()
        .zip(&ids)
        .map(|((_, answer), server)| match recordings(answer) {
            Ok(ServerReply::Success(list)) => {
                ServerRecordings { server, recordings: list.recordings.unwrap_or_default() }
            }
            other => panic!("{other:?}"),
        })
        .collect();
    let tenant = TenantId::parse(tenant).expect("is an id");
    let scope = TenantScope::of(&tenant);
    merge(
        RecordingOwner { tenant: &tenant, scope: &scope },
        &RecordingFilter::read(&ParameterList::parse(parameters, 100).expect("is short")),
        &lists,
    )
}

fn ids(xml: &str) -> Vec<String> {
    let Ok(ServerReply::Success(list)) = recordings(xml) else { panic!("{xml}") };
    list.recordings.unwrap_or_default().into_iter().map(|recording| recording.record_id).collect()
}

#[test]
fn each_tenant_sees_its_own_by_its_own_ids() {
    let answers = [(
        "a",
        answer(&[
            ("r1", "room", 1, "published", None),
            ("r2", "room", 2, "published", Some("default")),
            ("r3", "school~room", 3, "published", Some("school")),
            ("r4", "6fea", 4, "published", Some("school")),
        ]),
    )];
    assert_eq!(ids(&merged("default", "", &answers)), ["r2", "r1"]);
    let school = merged("school", "", &answers);
    assert_eq!(ids(&school), ["r4", "r3"]);
    assert!(school.contains("<meetingID>room<") && school.contains("<meetingId>room<"), "{school}");
    assert!(!school.contains("usher") && !school.contains("school"), "{school}");
    assert_eq!(ids(&merged("school", "meetingID=room", &answers)), ["r3"]);
    assert_eq!(ids(&merged("school", "meetingID=6fea", &answers)), ["r4"], "a breakout room");
    assert_eq!(ids(&merged("other", "", &answers)), [""; 0]);
}

#[test]
fn a_recording_is_shown_and_found_by_the_id_that_its_server_squeezed() {
    let record = |id: &str| format!("{}-5", crate::control::meetings::sha1_hex(&format!("school~{id}")));
    let (two, one) = (record("a  <b"), record("a <b"));
    let marked = |rows: &[Row<'_>]| {
        answer(rows).replace("<usher-tenant>", "<usher-id>a%20%20%3Cb</usher-id><usher-tenant>")
    };
    let answers = [
        ("a", marked(&[(&two, "school~a &lt;b", 1, "published", Some("school"))])),
        ("b", answer(&[(&one, "school~a &lt;b", 2, "published", Some("school"))])),
    ];
    let all = merged("school", "", &answers);
    assert!(
        all.contains("<meetingID>a  &lt;b</meetingID>") && all.contains("<meetingID>a &lt;b</meetingID>"),
        "{all}"
    );
    assert!(all.contains("<meetingId>a  &lt;b</meetingId>") && !all.contains("usher"), "{all}");
    assert_eq!(ids(&merged("school", "meetingID=a%20%20%3Cb", &answers)), [two]);
    assert_eq!(ids(&merged("school", "meetingID=a%20%3Cb", &answers)), [one]);
}

#[test]
fn of_several_copies_the_furthest_published_is_shown() {
    let answers = [
        ("b", answer(&[("r", "room", 1, "published", None)])),
        ("a", answer(&[("r", "room", 1, "deleted", None), ("s", "room", 2, "unpublished", None)])),
    ];
    let all = merged("default", "state=any", &answers);
    assert_eq!(ids(&all), ["s", "r"]);
    assert!(!all.contains("deleted"), "{all}");
    assert_eq!(ids(&merged("default", "state=deleted", &answers)), ["r"]);
}

#[test]
fn pages_are_cut_from_the_whole() {
    let answers = [
        ("a", answer(&[("r1", "x", 1, "published", None), ("r3", "x", 3, "published", None)])),
        ("b", answer(&[("r2", "x", 2, "published", None), ("r3", "x", 3, "published", None)])),
    ];
    let page = merged("default", "offset=1&limit=1", &answers);
    assert_eq!(ids(&page), ["r2"]);
    assert!(page.contains("<totalElements>3</totalElements>"), "{page}");
    let beyond = merged("default", "offset=9&limit=1", &answers);
    assert!(ids(&beyond).is_empty() && beyond.contains("<totalElements>3<"), "{beyond}");
    assert!(beyond.contains("<messageKey>noRecordings<"), "{beyond}");
}

proptest! {
    #[test]
    fn pages_hold_every_recording_once_in_every_order_of_answers(
        rows in prop::collection::vec((0..3_usize, 0..12_u8, 0..4_u64), 0..24),
        limit in 1_usize..6,
        turn in 0_usize..3,
    ) {
        let names: Vec<String> = (0..12).map(|id| format!("r{id}")).collect();
        let of = |at: usize| {
            let rows: Vec<_> = rows.iter().filter(|(server, ..)| *server == at)
                .map(|(_, id, _)| (names[usize::from(*id)].as_str(), "m", u64::from(id % 4), "published", None))
                .collect();
            (["a", "b", "c"][at], answer(&rows))
        };
        let mut answers: Vec<_> = (0..3).map(of).collect();
        let whole = merged("default", "", &answers);
        answers.rotate_left(turn);
        prop_assert_eq!(&whole, &merged("default", "", &answers));
        let mut paged = Vec::new();
        for offset in (0..12).step_by(limit) {
            paged.extend(ids(&merged("default", &format!("offset={offset}&limit={limit}"), &answers)));
        }
        prop_assert_eq!(ids(&whole), paged);
    }
}
