//! Requests that try to pass unsigned parameters, or to keep the edge busy.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper_util::{client::legacy, rt::TokioExecutor};
use usher_bbb::query::encode;

use crate::support::{Cluster, eventually, raw, signed};

#[tokio::test]
async fn body_fields_beside_a_signed_query_change_nothing() {
    let cluster = Cluster::start(1).await;
    let path = format!("/bigbluebutton/api/create?{}", signed("create", "meetingID=room&name=Room"));
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let body = "meetingID=evil&name=Evil&record=true&meta_x=y&checksum=0";
    assert!(cluster.client.send("POST", &path, &form, body).await.is_success());
    let call = cluster.sims[0].calls().into_iter().find(|call| call.name == "create").unwrap();
    assert_eq!(call.query, "meetingID=room&name=Room&meta_usher-tenant=default");
    assert!(call.body.is_empty());
    let path = format!("/bigbluebutton/api/end?{}", signed("end", "meetingID=nobody"));
    assert_eq!(cluster.client.send("POST", &path, &form, "meetingID=room").await.key(), "notFound");
    let parts = [("content-type", "multipart/form-data; boundary=b")];
    let body = "--b\r\nContent-Disposition: form-data; name=\"meetingID\"\r\n\r\nroom\r\n--b--\r\n";
    assert_eq!(cluster.client.send("POST", &path, &parts, body).await.key(), "notFound");
}

#[tokio::test]
async fn separators_and_repetitions_smuggle_no_parameter() {
    let cluster = Cluster::start(1).await;
    cluster.client.create("room").await;
    cluster.confirmed("room").await;
    let odd = encode("room&meetingID=other#?%26");
    let query = format!("meetingID={odd}&name=Room");
    assert!(cluster.client.call("create", &query).await.is_success());
    let ids: Vec<_> = cluster.sims[0].meetings().into_iter().map(|meeting| meeting.meeting_id).collect();
    assert!(ids.contains(&"room&meetingID=other#?%26".to_owned()), "{ids:?}");
    for query in ["meetingID=room&meetingID=other", "meetingID=room&meeting%49D=other"] {
        assert_eq!(cluster.client.call("getMeetingInfo", query).await.key(), "validationError", "{query}");
    }
    let twice = format!("{}&checksum=00", signed("getMeetingInfo", "meetingID=room"));
    let answer = cluster.client.get(&format!("/bigbluebutton/api/getMeetingInfo?{twice}")).await;
    assert_eq!(answer.key(), "checksumError");
    let encoded = format!("{}&check%73um=00", signed("getMeetingInfo", "meetingID=room"));
    let answer = cluster.client.get(&format!("/bigbluebutton/api/getMeetingInfo?{encoded}")).await;
    assert_eq!(answer.key(), "checksumError");
}

#[tokio::test]
async fn a_head_over_the_limit_is_refused_and_a_large_one_below_it_served() {
    let cluster = Cluster::start_with(1, |settings| settings.edge.max_head = 16 << 10).await;
    let welcome = "x".repeat(10 << 10);
    let query = format!("meetingID=room&name=Room&welcome={welcome}");
    assert!(cluster.client.call("create", &query).await.is_success());
    let call = cluster.sims[0].calls().into_iter().find(|call| call.name == "create").unwrap();
    assert_eq!((call.method.as_str(), call.query.as_str()), ("POST", ""), "too long for a URL");
    let head = format!("GET /bigbluebutton/api/join?x={} HTTP/1.1\r\nHost: x\r\n\r\n", "x".repeat(40 << 10));
    let answer = raw(cluster.edge.api_addr(), head.as_bytes()).await;
    // The whole answer arrives, although the edge closes the connection while the head is still
    // arriving.
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\ncontent-type: text/xml;charset=utf-8\r\n"), "{answer}");
    let refusal = "<messageKey>validationError</messageKey><message>Request head is too large</message>";
    assert!(
        answer.replace('\n', "").contains(refusal) && answer.trim_end().ends_with("</response>"),
        "{answer}"
    );
    let counted = "usher_edge_requests_total{call=\"unknown\",outcome=\"refused\"}";
    eventually("it is counted", async || cluster.metric(counted) >= 1.0).await;
}

#[tokio::test]
async fn unreadable_requests_are_refused_in_bbbs_words() {
    let cluster = Cluster::start_with(0, |settings| settings.edge.max_head = 256 << 10).await;
    let fine = "GET /bigbluebutton/api HTTP/1.1\r\nHost: x\r\n\r\n";
    let fields = "x: y\r\n".repeat(200);
    for (hostile, message) in [
        (format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "x".repeat(70_000)), "Request address is too long"),
        (format!("GET / HTTP/1.1\r\n{fields}\r\n"), "Request head is too large"),
        (format!("GET /{} HTTP/1.1\r\n", "x".repeat(300 << 10)), "Request head is too large"),
        ("GET / HTTP/1.1\r\nno colon\r\n\r\n".into(), "Request not recognized"),
        ("GET / HTTP/9.9\r\n\r\n".into(), "Request not recognized"),
        ("\x16\x03\x01\x02\0\r\n\r\n".into(), "Request not recognized"),
    ] {
        for before in ["", fine] {
            let answer = raw(cluster.edge.api_addr(), format!("{before}{hostile}").as_bytes()).await;
            let (head, body) = answer.rsplit_once("\r\n\r\n").expect("is an answer");
            assert!(body.contains("validationError") && body.contains(message), "{answer}");
            let last = head.rsplit_once("HTTP/1.1 ").expect("has a status").1;
            assert!(last.starts_with("200 OK\r\n") && last.contains("connection: close"), "{answer}");
            assert!(last.contains(&format!("content-length: {}", body.len())), "{answer}");
            assert_eq!(answer.matches("<response>").count(), 1 + usize::from(!before.is_empty()));
        }
    }
}

#[tokio::test]
async fn a_servers_answer_is_not_a_refusal_of_the_edge() {
    let cluster = Cluster::start(1).await;
    let name = encode("HTTP/1.1 400 Bad Request");
    let query = format!("meetingID=room&name={name}&meta_x={name}");
    assert!(cluster.client.call("create", &query).await.is_success());
    let info = cluster.client.call("getMeetingInfo", "meetingID=room").await;
    assert!(info.body.contains("<meetingName>HTTP/1.1 400 Bad Request</meetingName>"), "{info:?}");
}

#[tokio::test]
async fn a_large_head_by_http2_is_refused_in_bbbs_words() {
    let cluster = Cluster::start_with(0, |settings| settings.edge.max_head = 16 << 10).await;
    let client: legacy::Client<_, Empty<Bytes>> =
        legacy::Client::builder(TokioExecutor::new()).http2_only(true).build_http();
    let url = format!("http://{}/bigbluebutton/api/join?x={}", cluster.edge.api_addr(), "x".repeat(40 << 10));
    let answer = client.get(url.parse().expect("is one")).await.expect("is answered");
    assert_eq!(answer.status(), 200);
    let body = answer.into_body().collect().await.expect("is whole").to_bytes();
    assert!(String::from_utf8_lossy(&body).contains("Request head is too large"), "{body:?}");
}

#[tokio::test]
async fn oversized_and_endless_forms_are_refused() {
    let cluster = Cluster::start_with(0, |settings| {
        settings.edge.max_body = 64 << 10;
        settings.edge.client_timeout = Duration::from_millis(300);
    })
    .await;
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let body = format!("meetingID={}", "x".repeat(100 << 10));
    let answer = cluster.client.send("POST", "/bigbluebutton/api/create", &form, body).await;
    assert_eq!(answer.key(), "validationError");
    let head = "POST /bigbluebutton/api/create HTTP/1.1\r\nHost: x\r\ncontent-type: \
                application/x-www-form-urlencoded\r\ncontent-length: 100\r\n\r\nmeetingID=";
    let answer = raw(cluster.edge.api_addr(), head.as_bytes()).await;
    assert!(answer.contains("validationError"), "{answer}");
}

/// Sends the requests over the wire, for every call that accepts a form or a query.
#[tokio::test]
async fn more_than_a_request_may_name_is_refused_in_bbbs_words_and_reaches_no_server() {
    let cluster = Cluster::start(1).await;
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let many =
        |count: usize| -> String { (0..count).map(|number| format!("&meta_usher-{number}=x")).collect() };
    let list = |name: &str, count: usize| format!("{name}={}", vec!["id"; count].join(","));
    let too_many = "Request has too many parameters";
    for (call, body, message) in [
        ("create", format!("meetingID=room&name=Room{}", many(30_000)), too_many),
        ("end", format!("meetingID=room{}", many(1001)), too_many),
        ("getMeetingInfo", format!("meetingID=room{}", many(1001)), too_many),
        ("isMeetingRunning", format!("meetingID=room{}", many(1001)), too_many),
        ("getMeetings", many(1001), too_many),
        ("getSessions", many(1001), too_many),
        ("updateRecordings", format!("recordID=r{}", many(1001)), too_many),
        ("getRecordings", many(1001), too_many),
        ("getRecordings", "&meta_course=x".repeat(9), too_many),
        ("getRecordings", list("meetingID", 30_000), "Param &#39;meetingID&#39; lists too many values"),
        ("getRecordings", list("recordID", 2001), "Param &#39;recordID&#39; lists too many values"),
        ("getRecordings", list("state", 2001), "Param &#39;state&#39; lists too many values"),
        ("updateRecordings", list("recordID", 2001), "Param &#39;recordID&#39; lists too many values"),
    ] {
        let path = format!("/bigbluebutton/api/{call}?{}", signed(call, ""));
        let answer = cluster.client.send("POST", &path, &form, body).await;
        assert_eq!((answer.key().as_str(), answer.text("message")), ("validationError", message), "{call}");
    }
    for (call, query) in [
        ("join", format!("meetingID=room&fullName=Ada&role=MODERATOR{}", many(1001))),
        ("publishRecordings", format!("publish=true&{}", list("recordID", 2001))),
        ("deleteRecordings", list("recordID", 2001)),
    ] {
        assert_eq!(cluster.client.call(call, &query).await.key(), "validationError", "{call}");
    }
    assert!(cluster.sims[0].calls().is_empty(), "{:?}", cluster.sims[0].calls());
    // Requests of real applications are far below the limit.
    let some = format!("meetingID=room&name=Room&record=true{}", many(900));
    let path = format!("/bigbluebutton/api/create?{}", signed("create", ""));
    assert!(cluster.client.send("POST", &path, &form, some).await.is_success());
    let path = format!("/bigbluebutton/api/getRecordings?{}", signed("getRecordings", ""));
    let ids: Vec<String> = (0..2000).map(|number| format!("room-{number}")).collect();
    let all = cluster.client.send("POST", &path, &form, format!("meetingID={}", ids.join(","))).await;
    assert_eq!(all.key(), "noRecordings");
}

#[tokio::test]
async fn slow_clients_are_let_go() {
    let cluster =
        Cluster::start_with(0, |settings| settings.edge.client_timeout = Duration::from_millis(200)).await;
    for begun in ["", "GET /bigb", "PRI * HTTP/2", "GET / HTTP/1.1\r\nHost: x\r\nX-"] {
        let answer = raw(cluster.edge.api_addr(), begun.as_bytes()).await;
        assert!(answer.is_empty(), "{begun}: {answer}");
    }
}

#[tokio::test]
async fn nonsense_gets_no_page() {
    let cluster = Cluster::start(0).await;
    for nonsense in
        ["\0\0\0\0\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "\x16\x03\x01\x02\0\r\n\r\n"]
    {
        let answer = raw(cluster.edge.api_addr(), nonsense.as_bytes()).await;
        assert!(!answer.contains("<html"), "{answer}");
    }
}
