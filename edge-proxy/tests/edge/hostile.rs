//! Requests that try to get in what was not signed, or to keep the edge busy.

use std::time::Duration;

use usher_common::bbb::query::encode;

use crate::support::{Cluster, raw, signed};

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
}

#[tokio::test]
async fn separators_and_repetitions_smuggle_nothing() {
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
    // The refusal may be lost: the edge closes while the head is still on its way.
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
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

#[tokio::test]
async fn slow_clients_are_let_go() {
    let cluster =
        Cluster::start_with(0, |settings| settings.edge.client_timeout = Duration::from_millis(200)).await;
    for begun in ["", "GET /bigb", "PRI * HTTP/2", "GET / HTTP/1.1\r\nHost: x\r\nX-"] {
        let answer = raw(cluster.edge.api_addr(), begun.as_bytes()).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{begun}: {answer}");
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
