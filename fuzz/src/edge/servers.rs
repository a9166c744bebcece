//! Stub servers: one answer for each call, without memory. Lists hold meetings and recordings of
//! both tenants. The parameter `fault` of a call selects an answer that no server should give.

use std::{convert::Infallible, net::SocketAddr};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use usher_bbb::{query::RawQuery, reply::xml::push_escaped};
use usher_runtime::tasks::TaskGroup;

use super::fleet::{CANARY, INTERNAL, MEETINGS, other_internal};

/// Starts a server and returns its address.
pub(super) async fn start(tasks: &TaskGroup) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("is bound");
    let connections = tasks.clone();
    tasks.spawn("stub server", |stop| async move {
        loop {
            let (stream, _) = tokio::select! {
                accepted = listener.accept() => accepted?,
                () = stop.cancelled() => return Ok(()),
            };
            connections.spawn_connection(async move {
                let served = http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer));
                let _ = served.await; // the edge may close its connection at any time
            });
        }
    });
    address
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let _ = body.collect().await;
    let call = parts.uri.path().rsplit_once("/api/").map_or("", |(_, call)| call);
    let query = parts.uri.query().unwrap_or_default();
    let (status, kind, body) = answer_to(call, RawQuery::new(query));
    let response = Response::builder().status(status).header("content-type", kind);
    Ok(response.body(Full::new(Bytes::from(body))).expect("is a response"))
}

fn answer_to(call: &str, query: RawQuery<'_>) -> (u16, &'static str, String) {
    let xml = "text/xml;charset=utf-8";
    match query.first("fault").as_deref() {
        Some("500") => return (500, "text/html", format!("<html>{CANARY}</html>")),
        Some("404") => return (404, "text/html", "<html></html>".into()),
        Some("413") => return (413, "text/html", "<html></html>".into()),
        Some("html") => return (200, "text/html", format!("<html>{CANARY}</html>")),
        Some("cut") => return (200, xml, "<response><returncode>SUCCESS</returncode><meet".into()),
        Some("empty") => return (200, xml, String::new()),
        Some("failed") => return (200, xml, failed()),
        _ => {}
    }
    let body = match call {
        "create" => created(query),
        "getMeetings" => format!("<meetings>{}</meetings>", all(meeting, &other_meeting())),
        "getMeetingInfo" => meeting(index(query)),
        "isMeetingRunning" => "<running>true</running>".into(),
        "getRecordings" => format!(
            "<recordings>{}</recordings><pagination><totalElements>4</totalElements></pagination>",
            all(recording, &other_recording())
        ),
        "getSessions" => format!("<sessions>{}</sessions>", all(session, &other_session())),
        "getRecordingTextTracks" => {
            let json = r#"{"response":{"returncode":"SUCCESS","tracks":[{"href":"https://a/t.vtt","kind":"captions","lang":"en"}]}}"#;
            return (200, "application/json;charset=utf-8", json.into());
        }
        "publishRecordings" => "<published>true</published>".into(),
        "deleteRecordings" => "<deleted>true</deleted>".into(),
        "updateRecordings" => "<updated>true</updated>".into(),
        _ => "<messageKey>done</messageKey><message>Done.</message>".into(),
    };
    (200, xml, format!("<response>\n<returncode>SUCCESS</returncode>\n{body}\n</response>\n"))
}

fn failed() -> String {
    "<response><returncode>FAILED</returncode><messageKey>notFound</messageKey><message>None.</message></response>"
        .into()
}

/// Returns the entries of the tenant that signs, and then the other tenant's.
fn all(own: impl Fn(usize) -> String, other: &str) -> String {
    let own: String = (0..MEETINGS.len()).map(own).collect();
    format!("{own}{other}")
}

/// Returns the number of the meeting that a call names; the first one if it is unknown.
fn index(query: RawQuery<'_>) -> usize {
    let id = query.first("meetingID").unwrap_or_default();
    MEETINGS.iter().position(|known| *known == id).unwrap_or(0)
}

fn created(query: RawQuery<'_>) -> String {
    let mut id = String::new();
    push_escaped(&mut id, &query.first("meetingID").unwrap_or_default());
    let internal = INTERNAL[index(query)];
    format!(
        "<meetingID>{id}</meetingID><internalMeetingID>{internal}</internalMeetingID>\
         <parentMeetingID>bbb-none</parentMeetingID><attendeePW>ap</attendeePW><moderatorPW>mp</moderatorPW>\
         <createTime>1700000000001</createTime><voiceBridge>70000</voiceBridge><messageKey/><message/>"
    )
}

fn meeting(number: usize) -> String {
    meeting_of(MEETINGS[number], INTERNAL[number], "default", "Ada")
}

fn other_meeting() -> String {
    let scoped = format!("{CANARY}~{CANARY}-room");
    let marked = meeting_of(&scoped, &other_internal(), CANARY, CANARY);
    // A meeting that another balancer created, and a room of the other tenant's meeting.
    let unmarked = marked.replace(&format!("<usher-tenant>{CANARY}</usher-tenant>"), "");
    let room =
        marked.replace("<isBreakout>false", "<isBreakout>true").replace("1700000000009", "1700000000010");
    format!("{marked}{room}{}", unmarked.replace("1700000000009", "1700000000011"))
}

fn meeting_of(id: &str, internal: &str, tenant: &str, name: &str) -> String {
    format!(
        "<meeting><meetingName>{name}</meetingName><meetingID>{id}</meetingID>\
         <internalMeetingID>{internal}</internalMeetingID><createTime>1700000000001</createTime>\
         <attendeePW>{name}</attendeePW><moderatorPW>{name}</moderatorPW><running>true</running>\
         <participantCount>1</participantCount><attendees><attendee><userID>{name}</userID>\
         <fullName>{name}</fullName><role>VIEWER</role></attendee></attendees>\
         <metadata><usher-tenant>{tenant}</usher-tenant><course>{name}</course></metadata>\
         <isBreakout>false</isBreakout></meeting>"
    )
}

fn recording(number: usize) -> String {
    recording_of(INTERNAL[number], MEETINGS[number], "default", "Ada")
}

fn other_recording() -> String {
    recording_of(&other_internal(), &format!("{CANARY}~{CANARY}-room"), CANARY, CANARY)
}

fn recording_of(record: &str, meeting: &str, tenant: &str, name: &str) -> String {
    format!(
        "<recording><recordID>{record}</recordID><meetingID>{meeting}</meetingID>\
         <internalMeetingID>{record}</internalMeetingID><name>{name}</name><state>published</state>\
         <published>true</published><startTime>1700000000001</startTime><endTime>1700000000002</endTime>\
         <metadata><usher-tenant>{tenant}</usher-tenant><meetingId>{meeting}</meetingId>\
         <meetingName>{name}</meetingName></metadata><playback><format><type>presentation</type>\
         <url>https://a.example.org/{name}</url></format></playback></recording>"
    )
}

fn session(number: usize) -> String {
    format!("<meeting><meetingID>{}</meetingID><userName>Ada</userName></meeting>", INTERNAL[number])
}

fn other_session() -> String {
    format!("<meeting><meetingID>{}</meetingID><userName>{CANARY}</userName></meeting>", other_internal())
}
