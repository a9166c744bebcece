//! Webhooks at the edge: the calls of applications with the answers of bbb-webhooks, and the events
//! of servers.

use std::time::Duration;

use usher_bbb::{
    checksum::{ChecksumAlgorithm, sign},
    secret::Secret,
};
use usher_model::{
    callback::{CallbackKey, HookState, webhook::signed_url},
    id::ServerId,
};
use usher_proto::v1::AcceptEventsRequest;

use crate::support::{Answer, Cluster, FakePlane, Heard, signed, tenant};

const PUBLIC: &str = "https://usher.test";
const URL: &str = "callbackURL=https%3A%2F%2Fapp.example.org%2Fcb%3Fa%3D1%26b%3D2";

async fn cluster() -> Cluster {
    Cluster::start_with(1, |settings| {
        settings.public_url = Some(PUBLIC.into());
        settings.callbacks.accept_timeout = Duration::from_millis(800);
        settings.meetings.call_timeout = Duration::from_millis(800);
    })
    .await
}

/// Makes a call as a tenant other than `default`.
async fn as_school(cluster: &Cluster, call: &str, query: &str) -> Answer {
    let checksum = sign(ChecksumAlgorithm::Sha1, call, query, &Secret::new("school-secret"));
    let and = if query.is_empty() { "" } else { "&" };
    cluster.client.get(&format!("/school/bigbluebutton/api/{call}?{query}{and}checksum={checksum}")).await
}

fn failed(key: &str, message: &str) -> String {
    format!(
        "<response>\n<returncode>FAILED</returncode>\n<messageKey>{key}</messageKey>\n\
         <message>{message}</message>\n</response>\n"
    )
}

#[tokio::test]
async fn hooks_are_created_listed_and_destroyed_in_the_words_of_bbb_webhooks() {
    let cluster = cluster().await;
    let call = async |call: &str, query: &str| cluster.client.call(call, query).await.body;
    let created = call("hooks/create", &format!("{URL}&meetingID=room-42&eventID=meeting-ended")).await;
    assert_eq!(
        created,
        "<response><returncode>SUCCESS</returncode><hookID>id-0</hookID><permanentHook>false</permanentHook>\
         <rawData>false</rawData></response>"
    );
    assert_eq!(
        call("hooks/create", URL).await,
        "<response><returncode>SUCCESS</returncode><hookID>id-0</hookID>\
         <messageKey>duplicateWarning</messageKey>\
         <message>There is already a hook for this callback URL.</message></response>"
    );
    call("hooks/create", "callbackURL=https%3A%2F%2Fapp.example.org%2Fraw&getRaw=true").await;
    let one = "<hook><hookID>id-0</hookID><callbackURL><![CDATA[https://app.example.org/cb?a=1&b=2]]>\
        </callbackURL><meetingID><![CDATA[room-42]]></meetingID><eventID>meeting-ended</eventID>\
        <permanentHook>false</permanentHook><rawData>false</rawData></hook>";
    let all = "<hook><hookID>id-1</hookID><callbackURL><![CDATA[https://app.example.org/raw]]></callbackURL>\
        <permanentHook>false</permanentHook><rawData>true</rawData></hook>";
    let listed =
        |hooks: &str| format!("<response><returncode>SUCCESS</returncode><hooks>{hooks}</hooks></response>");
    assert_eq!(call("hooks/list", "").await, listed(&format!("{one}{all}")));
    assert_eq!(call("hooks/list", "meetingID=room-42").await, listed(&format!("{one}{all}")));
    assert_eq!(call("hooks/list", "meetingID=other").await, listed(all));
    assert_eq!(
        call("hooks/destroy", "hookID=id-0").await,
        "<response><returncode>SUCCESS</returncode><removed>true</removed></response>"
    );
    assert_eq!(
        call("hooks/destroy", "hookID=id-0").await,
        failed("destroyMissingHook", "The hook informed was not found.")
    );
    assert_eq!(call("hooks/list", "").await, listed(all));
}

#[tokio::test]
async fn a_hook_beyond_the_limit_is_refused_for_good_and_counted() {
    let cluster = cluster().await;
    cluster.plane.set_hooks_max(1);
    assert!(cluster.client.call("hooks/create", URL).await.is_success());
    let answer = cluster.client.call("hooks/create", "callbackURL=https%3A%2F%2Fapp.example.org%2F2").await;
    assert_eq!(answer.key(), "createHookError");
    assert!(!answer.headers.contains_key("retry-after"), "another try is of no use: {answer:?}");
    assert_eq!(cluster.metric("usher_edge_shed_total{reason=\"hooks\"}"), 1.0);
}

#[tokio::test]
async fn every_failure_is_one_of_the_catalogue() {
    let cluster = cluster().await;
    let long = format!("{URL}&meetingID={}", "x".repeat(257));
    for (call, query, key, message) in [
        ("hooks/create", "", "missingParamCallbackURL", "You must specify a callbackURL in the parameters."),
        ("hooks/destroy", "", "missingParamHookID", "You must specify a hookID in the parameters."),
        ("hooks/destroy", "hookID=17", "destroyMissingHook", "The hook informed was not found."),
        ("hooks/destroy", "hookID=..%2Fx", "destroyMissingHook", "The hook informed was not found."),
        (
            "hooks/create",
            "callbackURL=https%3A%2F%2Fx%2F&getRaw=perhaps",
            "createHookError",
            "An error happened while creating your hook. Check the logs.",
        ),
        (
            "hooks/create",
            "callbackURL=x",
            "validationError",
            "Param &#39;callbackURL&#39; is not a valid URL",
        ),
        ("hooks/create", &long, "validationError", "Meeting ID must be between 2 and 256 characters"),
    ] {
        let answer = cluster.client.call(call, query).await;
        assert_eq!((answer.status.as_u16(), answer.body), (200, failed(key, message)), "{call} {query}");
    }
    let words = "You did not pass the checksum security check.";
    for path in ["hooks/list", "hooks/list?checksum=abc", "hooks/create?callbackURL=x&checksum=00"] {
        let answer = cluster.client.get(&format!("/bigbluebutton/api/{path}")).await;
        assert_eq!(answer.body, failed("checksumError", words), "{path}");
    }
    let path = format!("/bigbluebutton/api/hooks/list?{}", signed("hooks/list", ""));
    for method in ["POST", "DELETE"] {
        assert_eq!(cluster.client.send(method, &path, &[], "").await.key(), "unsupportedRequest");
    }
    let ping = cluster.client.get("/bigbluebutton/api/hooks/ping").await;
    assert_eq!((ping.status.as_u16(), ping.body.as_str()), (200, "bbb-webhooks API up!"));
    cluster.plane.kill().await;
    for (call, query, key) in [
        ("hooks/create", URL, "createHookError"),
        ("hooks/list", "", "listHookError"),
        ("hooks/destroy", "hookID=id-0", "destroyHookError"),
    ] {
        let answer = cluster.client.call(call, query).await;
        assert_eq!(answer.key(), key);
        assert!(answer.headers.contains_key("retry-after"), "it may be tried again: {answer:?}");
    }
}

#[tokio::test]
async fn a_tenant_never_sees_or_destroys_anothers_hooks() {
    let cluster = cluster().await;
    cluster.plane.set_tenant(tenant("school", &["school-secret"], &[]));
    cluster.settled().await;
    assert!(cluster.client.call("hooks/create", URL).await.is_success());
    let own = as_school(&cluster, "hooks/create", URL).await;
    assert_eq!((own.key().as_str(), own.text("hookID")), ("", "id-1"), "one of its own for the same address");
    assert!(!as_school(&cluster, "hooks/list", "").await.body.contains("id-0"));
    assert_eq!(as_school(&cluster, "hooks/destroy", "hookID=id-0").await.key(), "destroyMissingHook");
    let smuggled = as_school(&cluster, "hooks/destroy", "hookID=..%2F..%2Fdefault%2Fhooks%2Fid-0").await;
    assert_eq!(smuggled.key(), "destroyMissingHook");
    assert!(cluster.client.call("hooks/list", "").await.body.contains("id-0"));
}

#[tokio::test]
async fn without_a_public_url_there_are_no_webhooks() {
    let cluster = Cluster::start(1).await;
    for (call, query) in [("hooks/create", URL), ("hooks/list", ""), ("hooks/ping", "")] {
        assert_eq!(cluster.client.call(call, query).await.key(), "unsupportedRequest", "{call}");
    }
}

fn state(server: &str) -> HookState {
    HookState { server: ServerId::parse(server).expect("is an id"), raw: true, base: PUBLIC.into() }
}

fn url(state: &HookState) -> String {
    state.url(&CallbackKey::parse(&CallbackKey::encode([5; 32])).expect("is a key"))
}

fn accepted(plane: &FakePlane) -> Vec<AcceptEventsRequest> {
    let events = |heard| if let Heard::Events(request) = heard { Some(request) } else { None };
    plane.heard().into_iter().filter_map(events).collect()
}

const FORM: &str = "domain=bbb1&event=%5B%7B%22data%22%3A%7B%7D%7D%5D&timestamp=17";

#[tokio::test]
async fn events_are_accepted_only_from_the_server_that_has_the_address() {
    let cluster = cluster().await;
    let ours = url(&state("s0"));
    let path = |url: &str| url.strip_prefix(PUBLIC).expect("is below the public URL").to_owned();
    let post = async |url: &str, headers: &[(&str, &str)], form: &str| {
        cluster.client.send("POST", &path(url), headers, form.to_owned()).await.status.as_u16()
    };
    let by = |secret: &str| signed_url(ChecksumAlgorithm::Sha1, &ours, FORM, &Secret::new(secret));
    assert_eq!(post(&by("another"), &[], FORM).await, 401);
    assert_eq!(post(&ours, &[], FORM).await, 401);
    assert_eq!(post(&by("server-secret-0"), &[], &FORM.replace("17", "18")).await, 401);
    assert_eq!(post(&ours, &[("authorization", "Bearer another")], FORM).await, 401);
    assert_eq!(post(&format!("{ours}x"), &[], FORM).await, 404);
    assert_eq!(post(&url(&state("gone")), &[], FORM).await, 404, "no server of the fleet");
    assert_eq!(cluster.client.get(&path(&ours)).await.status, 405);
    assert!(accepted(&cluster.plane).is_empty());
    for algorithm in ChecksumAlgorithm::ALL {
        let signed = signed_url(algorithm, &ours, FORM, &Secret::new("server-secret-0"));
        assert_eq!(post(&signed, &[], FORM).await, 200);
    }
    assert_eq!(post(&ours, &[("authorization", "Bearer server-secret-0")], FORM).await, 200);
    let heard = accepted(&cluster.plane);
    assert_eq!(heard.len(), 5);
    let expected = AcceptEventsRequest {
        server_id: "s0".into(),
        raw: true,
        events: r#"[{"data":{}}]"#.into(),
        timestamp: "17".into(),
        domain: "bbb1".into(),
    };
    assert!(heard.iter().all(|request| *request == expected), "{heard:?}");
    let large = format!("domain=x&event={}&timestamp=1", "x".repeat(2 << 20));
    let signed = signed_url(ChecksumAlgorithm::Sha1, &ours, &large, &Secret::new("server-secret-0"));
    assert_eq!(post(&signed, &[], &large).await, 200, "it would stand in the way of all that follow");
    assert_eq!(accepted(&cluster.plane).len(), 5, "and is lost");
    cluster.plane.kill().await;
    assert_eq!(post(&by("server-secret-0"), &[], FORM).await, 503);
}
