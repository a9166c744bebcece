//! The limit of file descriptors, with the program itself: the limit belongs to a whole process.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    process::Stdio,
    sync::Mutex,
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines},
    net::{TcpSocket, TcpStream},
    process::{Child, ChildStderr, Command},
};
use usher_runtime::descriptors;

use crate::support::{FakePlane, eventually, raw};

const REQUEST: &[u8] = b"GET /bigbluebutton/api HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
const KEPT_OPEN: &[u8] = b"GET /bigbluebutton/api HTTP/1.1\r\nHost: x\r\n\r\n";
const METRICS: &[u8] = b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

/// An edge in a process of its own, which ends with this value.
struct EdgeProcess {
    _child: Child,
    log: Lines<BufReader<ChildStderr>>,
    listen: SocketAddr,
    ops: SocketAddr,
}

impl EdgeProcess {
    /// Starts the program after the shell command `limit`, with some settings.
    async fn start(plane: &FakePlane, limit: &str, settings: &[(&str, &str)]) -> Self {
        let control_plane = plane.url();
        let fixed = [
            ("USHER_LISTEN", "127.0.0.1:0"),
            ("USHER_OPS", "127.0.0.1:0"),
            ("USHER_EDGE__SHUTDOWN_WAIT", "0s"),
            ("USHER_EDGE__CONTROL_PLANE", control_plane.as_str()),
        ];
        let mut child = Command::new("sh")
            .args(["-c", &format!("{limit} && exec \"$0\""), env!("CARGO_BIN_EXE_usher-edge-proxy")])
            .env_clear()
            .envs(fixed.iter().chain(settings).copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("starts");
        let log = BufReader::new(child.stderr.take().expect("is piped")).lines();
        let mut output = BufReader::new(child.stdout.take().expect("is piped")).lines();
        let ready = tokio::time::timeout(Duration::from_secs(20), output.next_line()).await;
        let ready = ready.expect("is ready in time").expect("is read").expect("has not ended");
        let words: BTreeMap<&str, &str> = ready.split(' ').filter_map(|word| word.split_once('=')).collect();
        let address = |name| words[name].parse().expect("is an address");
        Self { _child: child, log, listen: address("listen"), ops: address("ops") }
    }

    /// Returns the first line of the log that has all of `words`.
    async fn logged(&mut self, words: &[&str]) -> String {
        let found = async {
            loop {
                let line = self.log.next_line().await.expect("is read").expect("has not ended");
                if words.iter().all(|word| line.contains(word)) {
                    return line;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(10), found).await.expect("is logged")
    }

    /// Opens silent connections from an address of their own.
    async fn crowd(&self, count: usize) -> Vec<TcpStream> {
        let mut crowd = Vec::new();
        for _ in 0..count {
            let socket = TcpSocket::new_v4().expect("has a descriptor");
            let source = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2)), 0);
            socket.bind(source).expect("is loopback");
            crowd.push(socket.connect(self.listen).await.expect("is accepted"));
        }
        crowd
    }

    /// Returns a metric of the ops port.
    async fn metric(&self, name: &str) -> Option<f64> {
        let text = raw(self.ops, METRICS).await;
        text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
    }
}

/// Sends a request over a connection that stays open.
async fn ask(connection: &mut TcpStream) {
    connection.write_all(KEPT_OPEN).await.expect("is open");
    let mut answer = Vec::new();
    while !answer.trim_ascii_end().ends_with(b"</response>") {
        assert!(connection.read_buf(&mut answer).await.expect("is no reset") > 0, "it ended");
    }
    assert!(String::from_utf8_lossy(&answer).contains("SUCCESS"));
}

/// F13: a crowd of idle clients beyond the usual limit of descriptors stops neither new clients nor
/// the ops port.
#[tokio::test]
async fn f13_idle_clients_beyond_the_usual_limit_stop_no_new_client() {
    descriptors::raise_limit();
    let plane = FakePlane::start().await;
    let mut edge = EdgeProcess::start(&plane, "ulimit -Sn 1024", &[]).await;
    edge.logged(&["the limit of file descriptors was raised", "before=1024"]).await;
    let crowd = edge.crowd(1_100).await;
    eventually("all are open", async || edge.metric("usher_edge_connections ").await >= Some(1_100.0)).await;
    assert!(raw(edge.listen, REQUEST).await.contains("SUCCESS"));
    assert_eq!(edge.metric("usher_edge_connections_shed_total").await, Some(0.0));
    drop(crowd);
}

/// F13: where the system allows no more descriptors, clients over the limit are refused, and calls out
/// and the ops port have the reserve.
#[tokio::test]
async fn f13_a_full_client_port_leaves_descriptors_for_everything_else() {
    descriptors::raise_limit();
    let plane = FakePlane::start().await;
    let settings = [("USHER_EDGE__MAX_CONNECTIONS", "5000"), ("USHER_EDGE__CLIENT_TIMEOUT", "60s")];
    let mut edge = EdgeProcess::start(&plane, "ulimit -n 300", &settings).await;
    let warning = edge.logged(&["edge.max_connections is more than"]).await;
    for part in ["most=172", "configured=5000", "descriptors=300", "needed=6667", "LimitNOFILE"] {
        assert!(warning.contains(part), "{part}: {warning}");
    }
    let mut talker = edge.crowd(1).await.remove(0);
    ask(&mut talker).await;
    let _crowd = edge.crowd(600).await;
    eventually("the rest is refused", async || {
        edge.metric("usher_edge_connections_shed_total").await >= Some(429.0)
    })
    .await;
    // The routing stream is another connection, and it lives.
    assert_eq!(edge.metric("usher_edge_stream_ends_total").await, Some(0.0));
    // The one that has been silent longest gives way to a new client; one that has sent a request does
    // not.
    let others = Mutex::new(Vec::new());
    for _ in 0..10 {
        eventually("a silent one gives way", async || {
            let mut other = edge.crowd(1).await.remove(0);
            other.write_all(KEPT_OPEN).await.expect("is accepted");
            let mut answer = vec![0; 4096];
            let length = other.read(&mut answer).await.unwrap_or_default();
            let is_served = String::from_utf8_lossy(&answer[..length]).contains("SUCCESS");
            others.lock().expect("no test panics here").extend(is_served.then_some(other));
            is_served
        })
        .await;
    }
    for served in others.into_inner().expect("no test panics here").iter_mut().chain([&mut talker]) {
        ask(served).await;
    }
}
