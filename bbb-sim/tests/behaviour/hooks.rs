//! Webhooks over real sockets: which hook receives which event, the order, and the removal of a
//! hook that accepts no event.

use std::time::Duration;

use usher_bbb::{
    checksum::{ChecksumAlgorithm, sign},
    query::{RawQuery, encode},
};
use usher_bbb_sim::{
    BbbSim, FaultKind, HookOptions, HooksVersion, SimHookPost, SimOptions, SimRecording, SimRecordingState,
};

use crate::{
    receiver::{ReceivedRequest, RequestReceiver},
    support::{SECRET, call, client, end, fetch, start, start_with, until},
};

fn options(hooks: HookOptions) -> SimOptions {
    let hooks = HookOptions {
        pauses: vec![Duration::from_millis(1); 3],
        domain: Some("bbb1.example.org".into()),
        ..hooks
    };
    SimOptions { hooks, ..SimOptions::new(SECRET) }
}

/// Registers a hook, signed with SHA-1 only, as the PHP library of BBB does.
async fn hook(sim: &BbbSim, query: &str) -> String {
    let checksum = sign(ChecksumAlgorithm::Sha1, "hooks/create", query, sim.secret());
    let url = format!("{}hooks/create?{query}&checksum={checksum}", sim.url());
    let answer = fetch(client().get(url)).await.unwrap();
    assert!(answer.succeeded(), "{}", answer.body);
    answer.text("hookID").to_owned()
}

/// Returns the events that one hook accepted, in order.
fn accepted(sim: &BbbSim, id: &str) -> Vec<String> {
    let posts = sim.hook_posts().into_iter();
    let accepted = posts.filter(|post| post.hook_id == id && post.status == Some(200));
    accepted.map(|post| post.event).collect()
}

fn value<'a>(received: &'a ReceivedRequest, name: &str) -> std::borrow::Cow<'a, str> {
    RawQuery::new(&received.body).first(name).unwrap()
}

/// Runs a meeting through its life: created, joined, left, ended, recorded.
async fn run_life(sim: &BbbSim, id: &str) {
    call(sim, "create", &format!("name=Room&meetingID={id}&record=true&meta_course=1%2B1")).await;
    call(sim, "join", &format!("meetingID={id}&fullName=Ada+L.&role=moderator&userID=7")).await;
    assert!(sim.connect_all(id));
    assert!(sim.leave(id, "Ada L.") && !sim.leave(id, "Ada L."));
    end(sim, &format!("meetingID={id}")).await;
}

const LIFE: [&str; 5] = ["meeting-created", "user-joined", "user-left", "meeting-ended", "rap-publish-ended"];

#[tokio::test]
async fn global_hooks_receive_all_events_and_others_their_own() {
    let receiver = RequestReceiver::start().await;
    let sim = start_with(options(HookOptions::default())).await;
    let at = |path: &str| encode(&receiver.url(path));
    let all = hook(&sim, &format!("callbackURL={}", at("/all?x=1"))).await;
    let room = hook(&sim, &format!("callbackURL={}&meetingID=room", at("/room"))).await;
    let some = hook(&sim, &format!("callbackURL={}&eventID=User-Joined,meeting-ended", at("/some"))).await;
    let raw = hook(&sim, &format!("callbackURL={}&meetingID=room&getRaw=true", at("/raw"))).await;
    run_life(&sim, "room").await;
    run_life(&sim, "other").await;
    until(|| accepted(&sim, &all).len() == 10 && accepted(&sim, &some).len() == 4).await;
    until(|| accepted(&sim, &room).len() == 5 && accepted(&sim, &raw).len() == 5).await;
    assert_eq!(accepted(&sim, &all), [LIFE, LIFE].concat());
    assert_eq!(accepted(&sim, &room), LIFE);
    assert_eq!(accepted(&sim, &some), ["user-joined", "meeting-ended", "user-joined", "meeting-ended"]);
    let received = receiver.received();
    for received in &received {
        assert_eq!(received.headers["content-type"], "application/x-www-form-urlencoded;charset=UTF-8");
        let (path, checksum) = received.path.rsplit_once(['?', '&']).unwrap();
        let expected = sign(ChecksumAlgorithm::Sha1, &receiver.url(path), &received.body, sim.secret());
        assert_eq!(checksum, format!("checksum={expected}"));
        let names: Vec<_> = RawQuery::new(&received.body).pairs().map(|pair| pair.name).collect();
        assert_eq!(names, ["domain", "event", "timestamp"]);
        assert_eq!(value(received, "domain"), "bbb1.example.org");
        assert!(value(received, "timestamp").parse::<u64>().is_ok());
    }
    let on_bus: Vec<_> = received.iter().filter(|received| received.path.starts_with("/raw?")).collect();
    let event: serde_json::Value = serde_json::from_str(&value(on_bus[0], "event")).unwrap();
    assert_eq!(event[0]["envelope"]["name"], "MeetingCreatedEvtMsg");
    assert_eq!(event[0]["core"]["body"]["props"]["meetingProp"]["extId"], "room");
    let mapped: Vec<_> = received.iter().filter(|received| received.path.starts_with("/room?")).collect();
    let event: serde_json::Value = serde_json::from_str(&value(mapped[0], "event")).unwrap();
    let attributes = &event[0]["data"]["attributes"];
    assert_eq!(attributes["meeting"]["metadata"]["course"], "1+1");
    let event: serde_json::Value = serde_json::from_str(&value(mapped[1], "event")).unwrap();
    assert_eq!(event[0]["data"]["attributes"]["user"]["external-user-id"], "7");
    let start =
        r#"[{"data":{"type":"event","id":"meeting-ended","attributes":{"meeting":{"internal-meeting-id":""#;
    assert!(value(mapped[3], "event").starts_with(start), "{}", value(mapped[3], "event"));
}

#[tokio::test]
async fn old_webhooks_sign_json() {
    let receiver = RequestReceiver::start().await;
    let hooks = HookOptions { version: Some(HooksVersion::V2), ..HookOptions::default() };
    let sim = start_with(options(hooks)).await;
    let id = hook(&sim, &format!("callbackURL={}", encode(&receiver.url("/cb")))).await;
    assert_eq!(id, "1");
    call(&sim, "create", "name=A+%26+B&meetingID=room").await;
    until(|| accepted(&sim, &id).len() == 1).await;
    let received = &receiver.received()[0];
    let text = |name: &str| serde_json::Value::from(value(received, name)).to_string();
    let json = format!(
        r#"{{"event":{},"timestamp":{},"domain":{}}}"#,
        text("event"),
        value(received, "timestamp"),
        text("domain")
    );
    let checksum = sign(ChecksumAlgorithm::Sha1, &receiver.url("/cb"), &json, sim.secret());
    assert_eq!(received.path, format!("/cb?checksum={checksum}"));
}

#[tokio::test]
async fn refused_events_are_repeated_in_order() {
    let receiver = RequestReceiver::start().await;
    let sim = start_with(options(HookOptions::default())).await;
    let id = hook(&sim, &format!("callbackURL={}", encode(&receiver.url("/cb")))).await;
    receiver.answer_next([503, 404, 307, 302, 401]);
    run_life(&sim, "room").await;
    until(|| accepted(&sim, &id).len() == 4).await;
    // The receiver refuses the first request twice, then sends a redirect of each kind, then 401,
    // which counts as accepted.
    let posts: Vec<SimHookPost> = sim.hook_posts();
    let attempts: Vec<_> = posts.iter().map(|post| (post.event.as_str(), post.status)).collect();
    assert_eq!(
        attempts[..3],
        [("meeting-created", Some(503)), ("meeting-created", Some(404)), (LIFE[0], Some(401))]
    );
    assert!(posts[..3].iter().all(|post| post.body == posts[0].body), "the same every time");
    assert_eq!(accepted(&sim, &id), LIFE[1..]);
    let methods: Vec<_> = receiver.received().into_iter().map(|received| received.method).take(6).collect();
    assert_eq!(methods, ["POST", "POST", "POST", "POST", "GET", "POST"]);
    assert_eq!(sim.hooks().len(), 1);
}

#[tokio::test]
async fn a_hook_that_accepts_no_event_is_removed_unless_it_is_permanent() {
    let receiver = RequestReceiver::start().await;
    let permanent = vec![receiver.url("/always")];
    let sim = start_with(options(HookOptions { permanent, ..HookOptions::default() })).await;
    receiver.answer_all(500);
    let id = hook(&sim, &format!("callbackURL={}", encode(&receiver.url("/cb")))).await;
    call(&sim, "create", "name=Room&meetingID=room").await;
    until(|| sim.hooks().len() == 1).await;
    assert_eq!(sim.hook_posts().iter().filter(|post| post.hook_id == id).count(), 4);
    assert!(sim.hooks()[0].permanent);
    receiver.answer_all(200);
    until(|| accepted(&sim, &sim.hooks()[0].id) == ["meeting-created"]).await;
}

#[tokio::test]
async fn hooks_outlive_a_restart_and_can_be_forgotten() {
    let sim = start().await;
    hook(&sim, "callbackURL=http%3A%2F%2F127.0.0.1%3A1%2Fcb").await;
    sim.restart();
    assert_eq!(sim.hooks().len(), 1);
    let listed = fetch(client().get(format!("{}/sim/hooks", sim.base()))).await.unwrap();
    assert!(listed.body.contains("127.0.0.1:1"), "{}", listed.body);
    assert_eq!(fetch(client().delete(format!("{}/sim/hooks", sim.base()))).await.unwrap().status, 200);
    assert_eq!(sim.hooks(), []);
}

#[tokio::test]
async fn a_server_may_have_no_webhooks() {
    let sim = start().await;
    assert_eq!(
        call(&sim, "hooks/list", "").await.body,
        "<response><returncode>SUCCESS</returncode><hooks></hooks></response>"
    );
    assert_eq!(
        fetch(client().get(format!("{}hooks/ping", sim.url()))).await.unwrap().body,
        "bbb-webhooks API up!"
    );
    assert_eq!(fetch(client().post(sim.signed_url("hooks/list", ""))).await.unwrap().status, 404);
    sim.faults().set(FaultKind::NoHooks).await;
    for path in [sim.signed_url("hooks/list", ""), format!("{}hooks/ping", sim.url())] {
        assert_eq!(fetch(client().get(path)).await.unwrap().status, 404);
    }
    assert!(call(&sim, "getMeetings", "").await.succeeded());
    sim.faults().clear_kind(FaultKind::NoHooks).await;
    assert!(call(&sim, "hooks/list", "").await.succeeded());
}

#[tokio::test]
async fn events_report_recordings_published_unpublished_and_deleted() {
    let receiver = RequestReceiver::start().await;
    let sim = start_with(options(HookOptions::default())).await;
    let id = hook(
        &sim,
        &format!(
            "callbackURL={}&eventID=rap-publish-ended,rap-published,rap-unpublished,rap-deleted",
            encode(&receiver.url("/cb"))
        ),
    )
    .await;
    for name in ["bbb-recording-ready-url", "bn-recording-ready-url", "canvas-recording-ready-url"] {
        let url = encode(&receiver.url(&format!("/{name}")));
        call(&sim, "create", &format!("name=Room&meetingID={name}&record=true&meta_{name}={url}")).await;
        end(&sim, &format!("meetingID={name}")).await;
    }
    let record = sim.recordings()[0].record_id.clone();
    assert_eq!(sim.recordings()[0].state, SimRecordingState::Published);
    for (name, query) in [
        ("publishRecordings", "&publish=false"),
        ("publishRecordings", "&publish=false"),
        ("publishRecordings", "&publish=true"),
        ("deleteRecordings", ""),
    ] {
        assert!(call(&sim, name, &format!("recordID={record}{query}")).await.succeeded());
    }
    until(|| accepted(&sim, &id).len() == 6 && sim.callbacks().len() == 3).await;
    assert_eq!(
        accepted(&sim, &id),
        [
            "rap-publish-ended",
            "rap-publish-ended",
            "rap-publish-ended",
            "rap-unpublished",
            "rap-published",
            "rap-deleted"
        ]
    );
    for received in receiver.received().iter().filter(|received| received.path.ends_with("-ready-url")) {
        let token = received.body.strip_prefix("signed_parameters=").unwrap();
        let claims = usher_model::callback::jwt::verify(token, [sim.secret()], 0).unwrap();
        assert_eq!(format!("/{}", claims["meeting_id"].as_str().unwrap()), received.path);
        assert!(sim.recordings().iter().any(|recording| recording.record_id == claims["record_id"]));
    }
    assert!(sim.callbacks().iter().all(|made| made.status == Some(200)));
}

#[tokio::test]
async fn a_recording_can_be_published_before_it_would_be() {
    let receiver = RequestReceiver::start().await;
    let sim = start_with(SimOptions { processing: Duration::from_hours(1), ..SimOptions::new(SECRET) }).await;
    let url = encode(&receiver.url("/ready"));
    call(&sim, "create", &format!("name=Room&meetingID=room&record=true&meta_bn-recording-ready-url={url}"))
        .await;
    assert!(!sim.publish_recording("room"), "it is not over");
    end(&sim, "meetingID=room").await;
    assert_eq!(sim.recordings()[0].state, SimRecordingState::Processing);
    assert!(sim.publish_recording("room"));
    assert_eq!(
        sim.recordings().iter().map(|recording: &SimRecording| recording.state).collect::<Vec<_>>(),
        [SimRecordingState::Published]
    );
    until(|| sim.callbacks().len() == 1).await;
}
