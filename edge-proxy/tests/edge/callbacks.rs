//! Callbacks at the edge: the addresses that servers receive, and the handling of requests to them.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use usher_bbb::{
    query::{RawQuery, encode},
    secret::Secret,
};
use usher_harness::forwarder::SwitchingForwarder;
use usher_model::callback::{CallbackKey, CallbackKind, CallbackState, jwt};
use usher_proto::v1::{AcceptCallbackRequest, CallbackForm, CallbackKind as Kind};

use usher_edge_proxy::app::Edge;
use usher_runtime::ops::OpsHandle;

use crate::support::{Client, Cluster, FakePlane, Heard, eventually, key, settings, tenant};

/// Starts an edge that servers reach at an address that is known before the edge starts.
async fn reachable() -> (Cluster, SwitchingForwarder) {
    let forwarder = SwitchingForwarder::start().await.expect("a free port");
    let url = forwarder.url();
    let cluster = Cluster::start_with(1, |settings| {
        settings.public_url = Some(url);
        settings.callbacks.accept_timeout = Duration::from_millis(800);
    })
    .await;
    forwarder.lead_to([cluster.edge.api_addr()]);
    (cluster, forwarder)
}

fn handed_over(plane: &FakePlane) -> Vec<AcceptCallbackRequest> {
    let callback = |heard| if let Heard::Callback(request) = heard { Some(request) } else { None };
    plane.heard().into_iter().filter_map(callback).collect()
}

/// Returns the path of an address as the key of the fake control plane would seal it.
fn address(kind: CallbackKind, expires_ms: i64) -> String {
    let state = CallbackState {
        meeting: key("room"),
        server: usher_model::id::ServerId::parse("s0").expect("is an id"),
        kind,
        parameter: None,
        url: Some("https://app.test/cb".into()),
        expires_ms,
    };
    let sealer = CallbackKey::parse(&CallbackKey::encode([5; 32])).expect("is a key");
    format!("/usher/callback/{}", sealer.seal(&state, [3; 12]))
}

#[tokio::test]
async fn servers_get_addresses_of_ours_and_applications_see_their_own() {
    let (cluster, forwarder) = reachable().await;
    let url = "https://app.test/end?token=a&b=c";
    let query = format!("meetingID=room&name=Room&meta_endCallbackUrl={}", encode(url));
    assert!(cluster.client.call("create", &query).await.is_success());
    let call = cluster.sims[0].calls().into_iter().find(|call| call.name == "create").expect("was called");
    assert!(!call.query.contains("app.test"), "{}", call.query);
    let ours = encode(&format!("{}/usher/callback/", forwarder.url()));
    assert_eq!(call.query.matches(&ours).count(), 2, "the application's, and the fleet's: {}", call.query);
    for (call, query) in [("getMeetingInfo", "meetingID=room"), ("getMeetings", "")] {
        let shown = cluster.client.call(call, query).await;
        assert_eq!(shown.text("endcallbackurl"), "https://app.test/end?token=a&amp;b=c");
        assert!(!shown.body.contains("usher"), "{}", shown.body);
    }
    assert!(cluster.sims[0].end_meeting("room"));
    eventually("both ends are handed over", async || handed_over(&cluster.plane).len() == 2).await;
    for request in handed_over(&cluster.plane) {
        assert_eq!((request.form(), request.server_id.as_str()), (CallbackForm::Get, "s0"));
        assert_eq!(request.key, Some((&key("room")).into()));
        match request.kind() {
            Kind::EndedMeta => assert_eq!(request.url, format!("{url}&recordingmarks=false&meetingID=room")),
            Kind::Ended => assert_eq!(request.url, "", "the application gave none"),
            other => panic!("{other:?}"),
        }
    }
    assert!(cluster.sims[0].callbacks().iter().all(|made| made.status == Some(200)));
}

#[tokio::test]
async fn another_tenants_application_hears_of_its_own_id() {
    let (cluster, _forwarder) = reachable().await;
    cluster.plane.set_tenant(tenant("school", &["school-secret"], &[]));
    cluster.settled().await;
    let query = format!(
        "meetingID=room&name=Room&meta_endCallbackUrl={0}&meta_bbb-recording-ready-url={0}",
        encode("https://school.test/cb")
    );
    let signed = usher_bbb::checksum::sign_query(
        usher_bbb::checksum::ChecksumAlgorithm::Sha256,
        "create",
        query,
        &Secret::new("school-secret"),
    );
    let created = cluster.client.get(&format!("/school/bigbluebutton/api/create?{signed}")).await;
    assert!(created.is_success(), "{created:?}");
    assert!(cluster.sims[0].end_meeting("school~room"));
    assert!(cluster.sims[0].publish_recording("school~room"));
    eventually("all three are handed over", async || handed_over(&cluster.plane).len() == 3).await;
    for request in handed_over(&cluster.plane) {
        let meeting = request.key.clone().expect("is set");
        assert_eq!((meeting.tenant.as_str(), meeting.meeting_id.as_str()), ("school", "room"));
        match request.kind() {
            Kind::EndedMeta => assert!(request.url.ends_with("&meetingID=room"), "{}", request.url),
            Kind::RecordingReady => {
                let claims: serde_json::Value = serde_json::from_slice(&request.body).expect("is JSON");
                assert_eq!(claims["meeting_id"], "room");
            }
            _ => {}
        }
    }
}

/// Makes a call as the tenant `school`.
async fn as_school(cluster: &Cluster, call: &str, query: &str) -> crate::support::Answer {
    use usher_bbb::checksum::{ChecksumAlgorithm, sign_query};
    let signed = sign_query(ChecksumAlgorithm::Sha256, call, query.to_owned(), &Secret::new("school-secret"));
    cluster.client.get(&format!("/school/bigbluebutton/api/{call}?{signed}")).await
}

#[tokio::test]
async fn a_sealed_address_of_another_tenant_stays_sealed() {
    let (cluster, _forwarder) = reachable().await;
    cluster.plane.set_tenant(tenant("school", &["school-secret"], &[]));
    cluster.settled().await;
    let secret = "https://app.test/end?token=capability";
    let query = format!("meetingID=theirs&name=Room&meta_endCallbackUrl={}", encode(secret));
    assert!(cluster.client.call("create", &query).await.is_success());
    let created = cluster.sims[0].calls().into_iter().find(|call| call.name == "create").expect("was called");
    let sealed = RawQuery::new(&created.query).first("meta_endCallbackUrl").expect("is there").into_owned();
    assert!(sealed.contains("/usher/callback/"), "{sealed}");
    let (whole, bare) = (encode(&sealed), encode(&sealed.replace("http://", "")));
    let elsewhere = encode(&sealed.replacen("http://127.0.0.1", "http://alias.test", 1));
    let query = format!(
        "meetingID=mine&name=Room&record=true&meta_x={whole}&meta_y=see+{whole}&meta_endCallbackUrl={whole}\
         &meta_bn-recording-ready-url={whole}&meta_a-callback-url={elsewhere}&meta_b={bare}&logoutURL={whole}\
         &meta_analytics-callback-url={}",
        encode("https://school.test/own")
    );
    assert!(as_school(&cluster, "create", &query).await.is_success());
    assert!(as_school(&cluster, "join", "meetingID=mine&fullName=Ada&role=MODERATOR").await.status == 302);
    assert!(cluster.sims[0].end_meeting("school~mine"));
    assert!(cluster.sims[0].publish_recording("school~mine"));
    let another = query.replacen("meetingID=mine", "meetingID=mine-too", 1);
    assert!(as_school(&cluster, "create", &another).await.is_success());
    cluster.settled().await;
    for (call, query) in
        [("getMeetingInfo", "meetingID=mine-too"), ("getMeetings", ""), ("getRecordings", "")]
    {
        let shown = as_school(&cluster, call, query).await;
        assert!(shown.is_success() && shown.body.contains("school.test/own"), "{call}: {}", shown.body);
        assert!(
            !shown.body.contains("capability") && !shown.body.contains("app.test"),
            "{call}: {}",
            shown.body
        );
        assert!(!shown.body.contains("<endcallbackurl>"), "what leads here is taken out: {}", shown.body);
    }
    // Its own tenant sees the address as ordinary metadata.
    let own = cluster.client.call("getMeetingInfo", "meetingID=theirs").await;
    assert_eq!(own.text("endcallbackurl"), secret);
    let query = format!("meetingID=again&name=Room&meta_x={whole}");
    assert!(cluster.client.call("create", &query).await.is_success());
    cluster.settled().await;
    let other = cluster.client.call("getMeetingInfo", "meetingID=again").await;
    assert!(!other.body.contains("capability"), "in another element: {}", other.body);
}

#[tokio::test]
async fn the_same_callback_received_again_is_the_same_delivery_and_no_tenants_is_anothers() {
    let (cluster, _forwarder) = reachable().await;
    let future = 4_000_000_000_000;
    let end = address(CallbackKind::EndedMeta, future);
    for query in
        ["?recordingmarks=true&meetingID=room", "?recordingmarks=true&meetingID=room", "?n=1", "?n=2"]
    {
        assert_eq!(cluster.client.get(&format!("{end}{query}")).await.status, 200);
    }
    let ids: std::collections::BTreeSet<_> =
        handed_over(&cluster.plane).into_iter().map(|request| request.id).collect();
    assert_eq!(ids.len(), 1, "a meeting ends once");
    let ready = address(CallbackKind::RecordingReady, future);
    let form = [("content-type", "application/x-www-form-urlencoded")];
    for record in ["r-1", "r-1", "r-2"] {
        let claims = serde_json::json!({ "meeting_id": "room", "record_id": record });
        let token = jwt::sign_claims(claims.as_object().expect("is one"), &Secret::new("server-secret-0"));
        let body = format!("signed_parameters={}", token.expect("signs"));
        assert_eq!(cluster.client.send("POST", &ready, &form, body).await.status, 200);
    }
    let ids: std::collections::BTreeSet<_> =
        handed_over(&cluster.plane).into_iter().map(|request| request.id).collect();
    assert_eq!(ids.len(), 3, "two recordings, one of them told twice");
    assert!(ids.iter().all(|id| id.len() == 32));
}

#[tokio::test]
async fn a_delivery_of_the_fleets_own_that_comes_back_is_not_taken() {
    let (cluster, _forwarder) = reachable().await;
    let end = address(CallbackKind::Ended, 4_000_000_000_000);
    let mark =
        |seed: u8| CallbackKey::parse(&CallbackKey::encode([seed; 32])).expect("is a key").mark().to_owned();
    assert_eq!(cluster.client.get(&end).await.status, 200, "the key is known from here on");
    let marked = async |mark: &str| {
        cluster.client.send("GET", &end, &[("usher-delivery", mark)], "").await.status.as_u16()
    };
    assert_eq!(marked(&mark(5)).await, 508);
    assert_eq!(marked(&mark(9)).await, 200, "another fleet's delivery is a callback like any other");
    assert_eq!(handed_over(&cluster.plane).len(), 2);
}

#[tokio::test]
async fn only_valid_unexpired_callbacks_signed_by_a_server_are_accepted() {
    let (cluster, _forwarder) = reachable().await;
    let future = 4_000_000_000_000;
    let claims = serde_json::json!({ "meeting_id": "room", "record_id": "r" });
    let token = |secret: &str| {
        let claims = claims.as_object().expect("is an object");
        jwt::sign_claims(claims, &Secret::new(secret)).expect("signs")
    };
    let (good, bad) = (token("server-secret-0"), token("lb-Secret.0123456789ABCDEFabcdef"));
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let ready = address(CallbackKind::RecordingReady, future);
    let client = &cluster.client;
    let post = async |path: &str, body: String| client.send("POST", path, &form, body).await.status.as_u16();
    assert_eq!(post(&ready, format!("signed_parameters={bad}")).await, 401);
    assert_eq!(post(&ready, "x=1".into()).await, 401);
    assert_eq!(post(&ready, "x".repeat(2 << 20)).await, 413);
    assert!((cluster.metric("usher_edge_shed_total{reason=\"body_size\"}") - 1.0).abs() < 0.1);
    assert_eq!(post(&format!("{ready}x"), format!("signed_parameters={good}")).await, 404);
    assert_eq!(post("/usher/callback/", String::new()).await, 404);
    let late = address(CallbackKind::RecordingReady, 1);
    assert_eq!(post(&late, format!("signed_parameters={good}")).await, 410);
    assert_eq!(client.get(&ready).await.status, 405);
    assert_eq!(client.send("DELETE", &ready, &[], "").await.status, 405);
    assert!(handed_over(&cluster.plane).is_empty());
    assert_eq!(post(&ready, format!("signed_parameters={good}")).await, 200);
    let bearer = format!("Bearer {}", jwt::bearer(future, &Secret::new("server-secret-0")).expect("signs"));
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let analytics = address(CallbackKind::Analytics, future);
    let answer = client.send("POST", &analytics, &headers, r#"{"meeting_id":"room"}"#).await;
    assert_eq!(answer.status, 200);
    assert_eq!(handed_over(&cluster.plane).len(), 2);
    assert!((cluster.metric("usher_edge_callbacks_total{status=\"200\"}") - 2.0).abs() < 0.1);
}

/// Returns the path of the address that a server received for the end of a meeting.
fn given(cluster: &Cluster, id: &str) -> String {
    let calls = cluster.sims[0].calls().into_iter();
    let call =
        calls.rev().find(|call| call.name == "create" && call.query.contains(&format!("meetingID={id}&")));
    let query = call.expect("was created").query;
    let url = RawQuery::new(&query).first("meetingEndedURL").expect("is there").into_owned();
    url[url.find("/usher/").expect("is ours")..].to_owned()
}

#[tokio::test]
async fn with_another_key_addresses_given_out_before_are_good_where_the_former_one_is_known() {
    let (cluster, _forwarder) = reachable().await;
    let create = async |id: &str| {
        let query =
            format!("meetingID={id}&name=Room&meta_endCallbackUrl={}", encode("https://app.test/end"));
        assert!(cluster.client.call("create", &query).await.is_success());
    };
    create("before").await;
    let before = given(&cluster, "before");
    let [old, new] =
        [5, 6].map(|seed| CallbackKey::parse(&CallbackKey::encode([seed; 32])).expect("is a key"));
    let seals =
        |key: &CallbackKey, path: &str| key.open(path.rsplit_once('/').expect("has a state").1).is_ok();
    assert!(seals(&old, &before));
    cluster.plane.lose_callback_key();
    let rounds = AtomicU32::new(0);
    eventually("addresses are sealed with the new key", async || {
        let id = format!("after-{}", rounds.fetch_add(1, Ordering::SeqCst) + 1);
        create(&id).await;
        seals(&new, &given(&cluster, &id))
    })
    .await;
    let number = rounds.into_inner();
    for path in [&before, &given(&cluster, &format!("after-{number}")), &given(&cluster, "after-1")] {
        assert_eq!(cluster.client.get(path).await.status, 200, "{path}");
    }
    assert_eq!(handed_over(&cluster.plane).len(), 3);
    for id in ["before".to_owned(), format!("after-{number}")] {
        cluster.confirmed(&id).await;
        let shown = cluster.client.call("getMeetingInfo", &format!("meetingID={id}")).await;
        assert_eq!(shown.text("endcallbackurl"), "https://app.test/end", "{id}");
    }
    // An edge that never had the key cannot distinguish the address from other text: it refuses the
    // request and hands no callback over.
    let foreign = CallbackKey::parse(&CallbackKey::encode([9; 32])).expect("is a key");
    assert!(!seals(&foreign, &before));
    let state = old.open(before.rsplit_once('/').expect("has a state").1).expect("opens");
    let path = format!("/usher/callback/{}", foreign.seal(&state, [1; 12]));
    assert_eq!(cluster.client.get(&path).await.status, 404);
}

/// The store and its key are lost, and no edge that knew the key is left: servers still hold the
/// addresses, and applications must not take them for their own.
#[tokio::test]
async fn after_the_loss_of_the_key_no_application_is_shown_an_address_of_ours() {
    let (cluster, forwarder) = reachable().await;
    let query = format!(
        "meetingID=room&name=Room&record=true&meta_x=kept&meta_endCallbackUrl={0}&meta_bn-recording-ready-url={0}",
        encode("https://app.test/end")
    );
    assert!(cluster.client.call("create", &query).await.is_success());
    cluster.confirmed("room").await;
    cluster.plane.lose_callback_key();
    let mut settings = settings(&cluster.plane);
    settings.public_url = Some(forwarder.url());
    settings.edge.id = Some("edge-2".into());
    let edge = Edge::start(&settings, &OpsHandle::new(), &cluster.tasks).await.expect("the edge starts");
    edge.ready().await;
    let client = Client::new(edge.api_addr());
    eventually("the new edge knows the meeting", async || {
        client.call("getMeetingInfo", "meetingID=room").await.is_success()
    })
    .await;
    let shown = async |call: &str, query: &str| {
        let shown = client.call(call, query).await;
        assert!(shown.is_success() && shown.body.contains("<x>kept</x>"), "{call}: {shown:?}");
        assert!(!shown.body.contains("usher") && !shown.body.contains("endcallbackurl"), "{call}: {shown:?}");
        assert!(!shown.body.contains("recording-ready"), "{call}: {shown:?}");
    };
    shown("getMeetingInfo", "meetingID=room").await;
    shown("getMeetings", "").await;
    assert!(cluster.sims[0].end_meeting("room") && cluster.sims[0].publish_recording("room"));
    shown("getRecordings", "").await;
    // The edge that had the former key still opens the addresses.
    let listed = cluster.client.call("getRecordings", "").await;
    assert!(listed.body.contains("https://app.test/end"), "{listed:?}");
}

#[tokio::test]
async fn without_a_control_plane_the_server_gets_a_retryable_status() {
    let (cluster, _forwarder) = reachable().await;
    let end = address(CallbackKind::Ended, 4_000_000_000_000);
    assert_eq!(cluster.client.get(&end).await.status, 200);
    cluster.plane.kill().await;
    let answer = cluster.client.get(&end).await;
    assert_eq!(answer.status, 503);
    assert!(answer.headers.contains_key("retry-after"));
    assert_eq!(handed_over(&cluster.plane).len(), 1);
}

#[tokio::test]
async fn without_a_public_url_addresses_pass_through_as_they_are() {
    let cluster = Cluster::start(1).await;
    let query = format!("meetingID=room&name=Room&meta_endCallbackUrl={}", encode("https://app.test/end"));
    assert!(cluster.client.call("create", &query).await.is_success());
    let call = cluster.sims[0].calls().into_iter().find(|call| call.name == "create").expect("was called");
    assert!(call.query.contains("app.test") && !call.query.contains("meetingEndedURL"), "{}", call.query);
}

/// Each request to an invented address once cost a call to every control plane.
#[tokio::test]
async fn an_invented_address_costs_no_call_to_a_control_plane() {
    let (cluster, _forwarder) = reachable().await;
    let end = address(CallbackKind::Ended, 4_000_000_000_000);
    assert_eq!(cluster.client.get(&end).await.status, 200, "the key is known from here on");
    let keys = || cluster.plane.keys_asked();
    let before = (keys(), handed_over(&cluster.plane).len(), tokio::time::Instant::now());
    for number in 0..200 {
        for path in
            [format!("{end}{number}"), format!("/usher/callback/h{number}"), "/usher/callback/1x".into()]
        {
            let answer = cluster.client.send("POST", &path, &[], "x").await;
            assert_eq!(answer.status, 404, "{path}");
        }
    }
    assert_eq!(handed_over(&cluster.plane).len(), before.1);
    // The edge fetches the key itself every few seconds.
    let own = usize::try_from(before.2.elapsed().as_secs() / 5).expect("is small") + 1;
    assert!(keys() - before.0 <= own, "{} calls for the key", keys() - before.0);
}

/// 1,144 unsigned requests of 60 KiB each once filled the queue of all tenants.
#[tokio::test]
async fn what_a_caller_appends_to_an_address_is_bounded() {
    let (cluster, _forwarder) = reachable().await;
    for kind in [CallbackKind::EndedMeta, CallbackKind::Other] {
        let end = address(kind, 4_000_000_000_000);
        let longest = format!("recordingmarks=false&meetingID={}", encode(&"東".repeat(256)));
        assert_eq!(cluster.client.get(&format!("{end}?{longest}")).await.status, 200, "a server's own");
        let too_long = format!("{end}?n={}", "x".repeat(5000));
        assert_eq!(cluster.client.get(&too_long).await.status, 414);
    }
    assert_eq!(cluster.metric("usher_edge_shed_total{reason=\"callback_query\"}"), 2.0);
    assert_eq!(handed_over(&cluster.plane).len(), 2);
}

#[tokio::test]
async fn a_tenant_without_a_share_is_told_at_once_and_others_are_not_affected() {
    let (cluster, _forwarder) = reachable().await;
    cluster.plane.refuse_share("school");
    let school = |kind| {
        let state = CallbackState {
            meeting: usher_model::meeting::MeetingKey::new(
                usher_model::id::TenantId::parse("school").expect("is an id"),
                key("room").meeting,
            ),
            server: usher_model::id::ServerId::parse("s0").expect("is an id"),
            kind,
            parameter: None,
            url: Some("https://school.test/cb".into()),
            expires_ms: 4_000_000_000_000,
        };
        let sealer = CallbackKey::parse(&CallbackKey::encode([5; 32])).expect("is a key");
        format!("/usher/callback/{}", sealer.seal(&state, [4; 12]))
    };
    let refused = cluster.client.get(&school(CallbackKind::Other)).await;
    assert_eq!(refused.status, 429);
    assert!(refused.headers.contains_key("retry-after"));
    assert_eq!(handed_over(&cluster.plane).len(), 1, "the control plane is asked once");
    assert!((cluster.metric("usher_edge_shed_total{reason=\"callback_share\"}") - 1.0).abs() < 0.1);
    let token = {
        let claims = serde_json::json!({ "meeting_id": "room", "record_id": "r" });
        jwt::sign_claims(claims.as_object().expect("is one"), &Secret::new("server-secret-0")).expect("signs")
    };
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let ready = address(CallbackKind::RecordingReady, 4_000_000_000_000);
    let body = format!("signed_parameters={token}");
    assert_eq!(cluster.client.send("POST", &ready, &form, body.clone()).await.status, 200);
    // A server never repeats a callback that it signs: the edge tries for as long as the server waits.
    let signed = cluster.client.send("POST", &school(CallbackKind::RecordingReady), &form, body).await;
    assert_eq!(signed.status, 429);
}
