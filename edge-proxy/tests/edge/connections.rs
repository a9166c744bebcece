//! The listener: limits, PROXY protocol, HTTP/2, TLS, and the shutdown.

use std::time::Duration;

use http_body_util::{BodyExt, Empty};
use hyper_util::{client::legacy, rt::TokioExecutor};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use usher_bbb::call::ApiCall;
use usher_bbb_sim::{FaultKind, SimFault};

use crate::support::{Cluster, eventually, raw};

const REQUEST: &str = "GET /bigbluebutton/api HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

/// The same request as [`REQUEST`], on a connection that stays open.
const NEXT: &str = "GET /bigbluebutton/api HTTP/1.1\r\nHost: x\r\n\r\n";

/// A connection that its client keeps open.
struct Kept(TcpStream);

impl Kept {
    async fn open(cluster: &Cluster) -> Self {
        Self(TcpStream::connect(cluster.edge.api_addr()).await.expect("is accepted"))
    }

    /// Sends a request and returns its answer, whether the connection ends with it or not.
    async fn ask(&mut self) -> String {
        self.0.write_all(NEXT.as_bytes()).await.expect("is open");
        self.answer().await
    }

    async fn answer(&mut self) -> String {
        let mut answer = Vec::new();
        while !answer.trim_ascii_end().ends_with(b"</response>") {
            let length = self.0.read_buf(&mut answer).await.expect("is no reset");
            assert!(length > 0, "it ends early: {}", String::from_utf8_lossy(&answer));
        }
        String::from_utf8(answer).expect("is text")
    }

    /// Returns all bytes until the edge closes the connection.
    async fn rest(mut self) -> std::io::Result<Vec<u8>> {
        let mut rest = Vec::new();
        self.0.read_to_end(&mut rest).await.map(|_| rest)
    }
}

/// F13: connections beyond the limit get the retryable error or are closed. Existing connections,
/// their joins and the routing stream are not affected.
#[tokio::test]
async fn f13_over_the_limit_new_connections_are_refused_and_old_ones_served() {
    const LIMIT: u32 = 4;
    let cluster = Cluster::start_with(1, |settings| settings.edge.max_connections = LIMIT).await;
    let mut old = Vec::new();
    for _ in 0..LIMIT {
        let mut connection = Kept::open(&cluster).await;
        assert!(connection.ask().await.contains("SUCCESS"));
        old.push(connection);
    }
    let ends = cluster.metric("usher_edge_stream_ends_total");
    let crowd = futures::future::join_all((0..200).map(|_| raw(cluster.edge.api_addr(), NEXT.as_bytes())));
    let served = async {
        for _ in 0..50 {
            for connection in &mut old {
                let answer = connection.ask().await;
                assert!(answer.contains("SUCCESS") && !answer.contains("connection: close"), "{answer}");
            }
        }
    };
    let (answers, ()) = tokio::join!(crowd, served);
    let told = answers.iter().filter(|answer| !answer.is_empty()).inspect(|answer| {
        assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.contains("retry-after"), "{answer}");
        assert!(answer.contains("serverUnavailable") && answer.contains("connection: close"), "{answer}");
    });
    assert!(told.count() >= 32, "as many as can be are told so");
    assert!(cluster.metric("usher_edge_connections_shed_total") >= 200.0);
    assert_eq!(cluster.metric("usher_edge_stream_ends_total"), ends);
    cluster.plane.change(false, |_| {});
    cluster.settled().await;
    drop(old);
    eventually("there is room again", async || {
        raw(cluster.edge.api_addr(), REQUEST.as_bytes()).await.contains("SUCCESS")
    })
    .await;
}

/// S16: an edge that shuts down serves on, and each answer is the last of its connection.
#[tokio::test]
async fn s16_while_an_edge_leaves_each_answer_closes_its_connection() {
    let cluster =
        Cluster::start_with(0, |settings| settings.edge.shutdown_wait = Duration::from_mins(1)).await;
    let mut idle = Kept::open(&cluster).await;
    assert!(!idle.ask().await.contains("connection: close"));
    let checks = async {
        eventually("the edge is not ready", async || !cluster.ops.ready().passed()).await;
        for mut connection in [idle, Kept::open(&cluster).await] {
            let answer = connection.ask().await;
            assert!(answer.contains("SUCCESS") && answer.contains("connection: close"), "{answer}");
            assert_eq!(connection.rest().await.expect("is no reset"), b"");
        }
    };
    tokio::select! {
        () = cluster.edge.shutdown() => panic!("it waits for balancers"),
        () = checks => {}
    }
}

/// S16: a request that arrived before its idle connection was closed is answered. A client that
/// sent none sees the end of the connection and not a reset.
#[tokio::test]
async fn s16_no_request_is_lost_when_idle_connections_are_closed() {
    let cluster = Cluster::start(0).await;
    let mut connections = Vec::new();
    for _ in 0..20 {
        let mut connection = Kept::open(&cluster).await;
        connection.ask().await;
        connections.push(connection);
    }
    let silent = connections.split_off(10);
    for connection in &mut connections {
        // The write happens without a turn of the edge: the request is in the socket, and the edge
        // has not been woken.
        connection.0.try_write(NEXT.as_bytes()).expect("is open");
    }
    let answers = async {
        for mut connection in connections {
            let answer = connection.answer().await;
            assert!(answer.contains("SUCCESS") && answer.contains("connection: close"), "{answer}");
            assert_eq!(connection.rest().await.expect("is no reset"), b"");
        }
        for connection in silent {
            assert_eq!(connection.rest().await.expect("is no reset"), b"");
        }
    };
    tokio::join!(cluster.edge.shutdown(), answers);
}

/// A client that has begun a request may finish it. A client that never does is cut off at the end
/// of the grace period.
#[tokio::test]
async fn a_shutdown_waits_for_a_request_that_has_begun_and_not_for_ever() {
    let cluster = Cluster::start_with(0, |settings| {
        settings.edge.shutdown_grace = Duration::from_secs(2);
    })
    .await;
    let (begin, end) = NEXT.split_at(10);
    let (mut slow, mut dead) = (Kept::open(&cluster).await, Kept::open(&cluster).await);
    for connection in [&mut slow, &mut dead] {
        connection.ask().await;
        connection.0.write_all(begin.as_bytes()).await.expect("is open");
    }
    let ends = async {
        eventually("the edge accepts nothing", async || {
            TcpStream::connect(cluster.edge.api_addr()).await.is_err()
        })
        .await;
        slow.0.write_all(end.as_bytes()).await.expect("is open");
        assert!(slow.answer().await.contains("connection: close"));
    };
    tokio::join!(cluster.edge.shutdown(), ends);
    assert_eq!(cluster.metric("usher_edge_connections"), 0.0);
}

#[tokio::test]
async fn idle_connections_are_closed_after_their_time_and_not_after_a_heads() {
    let cluster = Cluster::start_with(0, |settings| {
        settings.edge.client_timeout = Duration::from_millis(50);
        settings.edge.idle_timeout = Duration::from_secs(1);
    })
    .await;
    let mut connection = Kept::open(&cluster).await;
    connection.ask().await;
    let idle = std::time::Instant::now();
    assert_eq!(connection.rest().await.expect("is no reset"), b"");
    assert!(idle.elapsed() > Duration::from_millis(900), "closed after {:?}", idle.elapsed());
}

/// A connection without a request gives its buffers back, and takes new ones for the next request.
#[tokio::test]
async fn a_connection_that_has_rested_serves_on() {
    let cluster = Cluster::start(0).await;
    let mut connection = Kept::open(&cluster).await;
    for _ in 0..3 {
        assert!(connection.ask().await.contains("SUCCESS"));
        let mut byte = [0];
        let silence = Duration::from_millis(400);
        tokio::time::timeout(silence, connection.0.read(&mut byte)).await.expect_err("it stays open");
    }
    // Two requests at once, the second one in parts.
    let (begin, end) = NEXT.split_at(10);
    connection.0.write_all([NEXT, begin].concat().as_bytes()).await.expect("is open");
    assert!(connection.answer().await.contains("SUCCESS"));
    let mut byte = [0];
    let silence = Duration::from_millis(400);
    tokio::time::timeout(silence, connection.0.read(&mut byte)).await.expect_err("it waits for the rest");
    connection.0.write_all(end.as_bytes()).await.expect("is open");
    assert!(connection.answer().await.contains("SUCCESS"));
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
async fn http2_works_without_an_upgrade() {
    let cluster = Cluster::start(0).await;
    let client: legacy::Client<_, Empty<bytes::Bytes>> =
        legacy::Client::builder(TokioExecutor::new()).http2_only(true).build_http();
    let url = format!("http://{}/bigbluebutton/api", cluster.edge.api_addr());
    let answer = client.get(url.parse().unwrap()).await.unwrap();
    assert_eq!((answer.version(), answer.status()), (http::Version::HTTP_2, 200.try_into().unwrap()));
    assert!(answer.into_body().collect().await.unwrap().to_bytes().starts_with(b"<response>"));
}

#[tokio::test]
async fn a_shutdown_finishes_requests_under_way_and_accepts_no_new_ones() {
    let cluster = Cluster::start(1).await;
    let slow = SimFault::new(FaultKind::Slow(Duration::from_millis(400))).on(ApiCall::Create);
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
