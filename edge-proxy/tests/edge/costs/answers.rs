//! Answers of servers, of which applications choose large parts and the number of requests.

use std::hint::black_box;

use usher_bbb::{
    parse::{ServerReply, outcome, recordings, sessions, strip_usher_metadata, unscoped},
    query::ParameterList,
};
use usher_edge_proxy::core::{
    callbacks::CallbackAddresses,
    merge::{self, MeetingHome, MeetingIndex},
    recordings::{
        RecordingOwner,
        filter::RecordingFilter,
        list::{self, ServerRecordings},
    },
};
use usher_model::{
    callback::{CallbackKey, CallbackKind, CallbackState},
    id::{MeetingId, ServerId, TenantId},
    meeting::MeetingKey,
    scope::TenantScope,
};

use super::{Shape, grows_linearly, none_grows_too_fast};

/// The parameters of a request and the server's answer to it, for a length.
type Asked<'a> = Box<dyn Fn(usize) -> (String, String) + 'a>;

fn tenant() -> TenantId {
    TenantId::parse("school").expect("is an id")
}

fn key() -> CallbackKey {
    CallbackKey::parse(&CallbackKey::encode([5; 32])).expect("is a key")
}

fn address(number: usize) -> String {
    let state = CallbackState {
        meeting: MeetingKey::new(tenant(), MeetingId::parse("room").expect("is an id")),
        server: ServerId::parse("a").expect("is an id"),
        kind: CallbackKind::Other,
        parameter: Some(format!("meta_c{number}-callback-url")),
        url: Some(format!("https://app.test/{number}")),
        expires_ms: 7,
    };
    format!("https://usher.test/usher/callback/{}", key().seal(&state, [3; 12]))
}

fn each(count: usize, one: impl Fn(usize) -> String) -> String {
    (0..count).map(one).collect()
}

fn info(metadata: &str) -> String {
    format!(
        "<response><returncode>SUCCESS</returncode><meetingID>school~room</meetingID><metadata>{metadata}</metadata></response>"
    )
}

/// Does the work of the edge for an answer about one meeting.
fn pass_on(xml: &str) {
    let _ = black_box(outcome(xml));
    let stripped = strip_usher_metadata(xml);
    let own = unscoped(&stripped, "school~");
    let key = key();
    let addresses = CallbackAddresses::new("https://usher.test");
    black_box(addresses.restore(&tenant(), |sealed| key.open(sealed).ok(), &own));
}

#[test]
fn the_cost_of_an_answer_about_a_meeting_grows_as_its_length() {
    let shapes: &[Shape] = &[
        ("metadata", |count| info(&each(count, |number| format!("<k{number}>school~x</k{number}>\n")))),
        ("addresses of ours", |count| {
            info(&each(count, |number| {
                format!("<c{number}-callback-url>{}</c{number}-callback-url>", address(number))
            }))
        }),
        ("metadata of ours", |count| info(&each(count, |_| "<usher-tenant>school</usher-tenant>\n".into()))),
        ("elements of ours that do not end", |count| {
            info(&each(count, |number| format!("<usher-{number}>")))
        }),
        ("beginnings of elements of ours", |count| info(&"<usher-".repeat(count))),
        ("elements of ours within each other's names", |count| {
            info(&format!("{}{}", "<ush".repeat(count), "er-x></usher-x>".repeat(count)))
        }),
        ("ends that fit nothing", |count| info(&each(count, |number| format!("</usher-{number}>")))),
        ("brackets", |count| info(&"<".repeat(count * 8))),
        ("words with ids", |count| {
            let words = "school~".repeat(count);
            format!("<response><returncode>FAILED</returncode><message>{words}</message></response>")
        }),
        ("fields", |count| {
            let fields = each(count, |number| format!("<f{number}>school~&amp;</f{number}>"));
            format!("<response>{fields}<returncode>SUCCESS</returncode></response>")
        }),
    ];
    let faults = shapes.iter().filter_map(|(name, shape)| {
        Some(format!("{name}: {}", grows_linearly(shape, |xml: &String| pass_on(xml)).err()?))
    });
    none_grows_too_fast(faults.collect());
}

#[test]
fn the_cost_of_lists_grows_as_their_length() {
    let meeting = |number: usize| {
        format!(
            "<meeting><meetingID>school~room-{number}</meetingID><internalMeetingID>i-{number}</internalMeetingID>\
             <createTime>7</createTime><metadata><usher-tenant>school</usher-tenant></metadata></meeting>"
        )
    };
    let list_of = move |count: usize| {
        format!(
            "<response><returncode>SUCCESS</returncode><meetings>{}</meetings></response>",
            each(count, meeting)
        )
    };
    let server = ServerId::parse("a").expect("is an id");
    let merged = grows_linearly(list_of, |xml| {
        let list = MeetingIndex::read(xml.clone()).expect("is a list");
        let home = |_: &str| Some(MeetingHome { server: server.clone(), unscoped: false });
        black_box(merge::merge("school", &TenantScope::of(&tenant()), [(&server, &list)], home));
    });
    let session =
        |number: usize| format!("<meeting><meetingID>i-{number}</meetingID><userName>A</userName></meeting>");
    let sessions_of = move |count: usize| {
        format!(
            "<response><returncode>SUCCESS</returncode><sessions>{}</sessions></response>",
            each(count, session)
        )
    };
    let listed = grows_linearly(sessions_of, |xml| {
        let _ = black_box(sessions(xml));
    });
    none_grows_too_fast([merged, listed].into_iter().filter_map(Result::err).collect());
}

/// Returns a recording as a server lists it.
fn recording(number: usize, metadata: &str) -> String {
    format!(
        "<recording><recordID>6fea-{number}</recordID><meetingID>school~room-{number}</meetingID>\
         <state>published</state><metadata><usher-tenant>school</usher-tenant>{metadata}</metadata></recording>"
    )
}

fn recordings_of(list: &str) -> String {
    format!("<response><returncode>SUCCESS</returncode><recordings>{list}</recordings></response>")
}

/// A list of recordings together with the filters of its request: the application chooses the
/// length of both.
#[test]
fn the_cost_of_recordings_grows_as_their_number_and_the_filters() {
    // The list is longer than other shapes, because a comparison costs little beside the reading of
    // a recording.
    let named = |name: &str, begin: &str, count: usize| {
        let ids: Vec<String> = (0..20 * count).map(|number| format!("{begin}{number}")).collect();
        format!("{name}={}", ids.join(","))
    };
    let many = |count| recordings_of(&each(count, |number| recording(number, "<course>x</course>")));
    let shapes: [(&str, Asked<'_>); 5] = [
        ("many of many meetings", Box::new(move |count| (named("meetingID", "room-", count), many(count)))),
        ("many by their ids", Box::new(move |count| (named("recordID", "6fea-", count), many(count)))),
        ("many, and none of them", Box::new(move |count| (named("recordID", "none-", count), many(count)))),
        ("many by their states", Box::new(move |count| (named("state", "published", count), many(count)))),
        (
            "many filters of much metadata",
            Box::new(|count| {
                let filters: Vec<String> = (0..count).map(|number| format!("meta_k{number}=v")).collect();
                let held = each(count, |number| format!("<k{number}>v</k{number}>"));
                (filters.join("&"), recordings_of(&recording(1, &held)))
            }),
        ),
    ];
    let (tenant, server) = (tenant(), ServerId::parse("a").expect("is an id"));
    let scope = TenantScope::of(&tenant);
    let whose = RecordingOwner { tenant: &tenant, scope: &scope };
    let work = |(asked, xml): &(String, String)| {
        let Ok(ServerReply::Success(listed)) = recordings(xml) else { panic!("is a list") };
        let lists = [ServerRecordings { server: &server, recordings: listed.recordings.unwrap_or_default() }];
        let asked = ParameterList::parse(asked, usize::MAX).expect("has no limit");
        black_box(list::merge(whose, &RecordingFilter::read(&asked), &lists));
    };
    let results =
        shapes.map(|(name, shape)| grows_linearly(shape, work).map_err(|fault| format!("{name}: {fault}")));
    none_grows_too_fast(results.into_iter().filter_map(Result::err).collect());
}
