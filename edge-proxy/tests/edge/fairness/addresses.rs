//! The connections and requests of one client address.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{Cluster, eventually, raw};

const REQUEST: &str = "GET /bigbluebutton/api HTTP/1.1\r\nhost: bbb.test\r\n\r\n";

/// A connection of the client at `source` through a trusted proxy.
struct Proxied(TcpStream);

impl Proxied {
    async fn open(edge: SocketAddr, source: &str) -> Self {
        let mut stream = TcpStream::connect(edge).await.expect("connects");
        let family = if source.contains(':') { 6 } else { 4 };
        let header = format!("PROXY TCP{family} {source} {source} 4242 443\r\n");
        stream.write_all(header.as_bytes()).await.expect("writes");
        Self(stream)
    }

    /// Sends a request and returns its answer, or as much of it as came before the connection ended.
    async fn ask(&mut self) -> String {
        let _ = self.0.write_all(REQUEST.as_bytes()).await;
        let mut answer = Vec::new();
        let mut chunk = [0; 4096];
        while !answer.windows(11).any(|part| part == b"</response>") {
            match self.0.read(&mut chunk).await {
                Ok(length) if length > 0 => answer.extend_from_slice(&chunk[..length]),
                _ => break,
            }
        }
        String::from_utf8_lossy(&answer).into_owned()
    }
}

fn is_retryable(answer: &str) -> bool {
    answer.contains("serverUnavailable") && answer.contains("retry-after: ")
}

async fn behind_proxies(alter: impl FnOnce(&mut usher_model::settings::EdgeSettings)) -> Cluster {
    Cluster::start_with(0, |settings| {
        settings.edge.proxy_protocol_from = vec!["127.0.0.0/8".into()];
        alter(&mut settings.edge);
    })
    .await
}

#[tokio::test]
async fn one_address_has_a_quarter_of_the_connections_and_the_others_are_served() {
    let cluster = behind_proxies(|edge| edge.max_connections = 12).await;
    let edge = cluster.edge.api_addr();
    let mut crowd = Vec::new();
    for number in 1..=3 {
        // One subscriber may use any address of its network.
        let mut connection = Proxied::open(edge, &format!("2001:db8:1:2::{number}")).await;
        assert!(connection.ask().await.contains("SUCCESS"));
        crowd.push(connection);
    }
    let mut over = Proxied::open(edge, "2001:db8:1:2:ffff::1").await;
    let answer = over.ask().await;
    assert!(is_retryable(&answer) && answer.contains("connection: close"), "{answer}");
    assert_eq!(cluster.metric("usher_edge_shed_total{reason=\"address_connections\"}"), 1.0);
    for source in ["2001:db8:1:3::1", "192.0.2.1"] {
        assert!(Proxied::open(edge, source).await.ask().await.contains("SUCCESS"), "{source}");
    }
    assert!(crowd[0].ask().await.contains("SUCCESS"), "an open connection is never touched");
    drop(crowd);
    eventually("closed connections no longer count", async || {
        Proxied::open(edge, "2001:db8:1:2::9").await.ask().await.contains("SUCCESS")
    })
    .await;
}

#[tokio::test]
async fn one_address_sends_its_rate_and_the_others_are_served() {
    let cluster = behind_proxies(|edge| edge.max_address_requests = Some(2)).await;
    let edge = cluster.edge.api_addr();
    let mut crowd = Proxied::open(edge, "192.0.2.1").await;
    assert!(crowd.ask().await.contains("SUCCESS"));
    let crowd = tokio::sync::Mutex::new(crowd);
    eventually("the address is over its rate", async || is_retryable(&crowd.lock().await.ask().await)).await;
    assert!(cluster.metric("usher_edge_shed_total{reason=\"address_requests\"}") >= 1.0);
    assert!(Proxied::open(edge, "192.0.2.2").await.ask().await.contains("SUCCESS"));
}

/// A balancer without the PROXY protocol holds every connection under one address.
#[tokio::test]
async fn without_known_addresses_one_address_may_have_all_connections() {
    let cluster = Cluster::start_with(0, |settings| settings.edge.max_connections = 4).await;
    let request = REQUEST.replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n");
    let held: Vec<TcpStream> =
        futures::future::join_all((0..3).map(|_| TcpStream::connect(cluster.edge.api_addr())))
            .await
            .into_iter()
            .map(|stream| stream.expect("connects"))
            .collect();
    assert!(raw(cluster.edge.api_addr(), request.as_bytes()).await.contains("SUCCESS"));
    drop(held);
}
