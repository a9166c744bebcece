//! The listener: limits, PROXY protocol, HTTP/2, TLS, and the end of it all.

use std::time::Duration;

use http_body_util::{BodyExt, Empty};
use hyper_util::{client::legacy, rt::TokioExecutor};
use tokio::{io::AsyncReadExt, net::TcpStream};
use usher_bbb_sim::{Fault, FaultKind};
use usher_common::bbb::call::Call;

use crate::support::{Cluster, eventually, raw};

const REQUEST: &str = "GET /bigbluebutton/api HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

#[tokio::test]
async fn f13_over_the_limit_new_connections_are_refused_and_old_ones_served() {
    let cluster = Cluster::start_with(0, |settings| settings.edge.max_connections = 1).await;
    assert!(cluster.client.get("/bigbluebutton/api").await.is_success());
    let mut second = TcpStream::connect(cluster.edge.api_addr()).await.unwrap();
    let mut answer = Vec::new();
    assert!(second.read_to_end(&mut answer).await.unwrap_or_default() == 0, "it is closed");
    assert!(cluster.client.get("/bigbluebutton/api").await.is_success());
    assert!(cluster.metric("usher_edge_connections_shed_total") >= 1.0);
}

#[tokio::test]
async fn proxy_headers_are_taken_off_where_trusted_and_nonsense_elsewhere() {
    let trusting =
        Cluster::start_with(0, |settings| settings.edge.proxy_protocol_from = vec!["127.0.0.0/8".into()])
            .await;
    let v1 = format!("PROXY TCP4 192.0.2.1 192.0.2.2 4242 443\r\n{REQUEST}");
    assert!(raw(trusting.edge.api_addr(), v1.as_bytes()).await.contains("SUCCESS"));
    let mut v2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".to_vec();
    v2.extend([192, 0, 2, 1, 192, 0, 2, 2, 1, 1, 2, 2]);
    v2.extend(REQUEST.as_bytes());
    assert!(raw(trusting.edge.api_addr(), &v2).await.contains("SUCCESS"));
    assert_eq!(raw(trusting.edge.api_addr(), REQUEST.as_bytes()).await, "", "a trusted proxy sends one");
    let wary = Cluster::start(0).await;
    assert!(!raw(wary.edge.api_addr(), v1.as_bytes()).await.contains("SUCCESS"));
}

#[tokio::test]
async fn http2_is_spoken_without_being_asked() {
    let cluster = Cluster::start(0).await;
    let client: legacy::Client<_, Empty<bytes::Bytes>> =
        legacy::Client::builder(TokioExecutor::new()).http2_only(true).build_http();
    let url = format!("http://{}/bigbluebutton/api", cluster.edge.api_addr());
    let answer = client.get(url.parse().unwrap()).await.unwrap();
    assert_eq!((answer.version(), answer.status()), (http::Version::HTTP_2, 200.try_into().unwrap()));
    assert!(answer.into_body().collect().await.unwrap().to_bytes().starts_with(b"<response>"));
}

#[tokio::test]
async fn a_shutdown_finishes_what_is_under_way_and_takes_nothing_new() {
    let cluster = Cluster::start(1).await;
    let slow = Fault::new(FaultKind::Slow(Duration::from_millis(400))).on(Call::Create);
    cluster.sims[0].faults().set(slow).await;
    let client = cluster.client.clone();
    let under_way = async { client.call("create", "meetingID=room&name=Room").await };
    let stopping = async {
        eventually("the create has reached its server", async || cluster.calls("create") == 1).await;
        cluster.edge.shutdown().await;
        assert!(TcpStream::connect(cluster.edge.api_addr()).await.is_err());
        assert!(!cluster.ops.ready().passed());
    };
    let (answer, ()) = tokio::join!(under_way, stopping);
    assert!(answer.is_success(), "{answer:?}");
}
