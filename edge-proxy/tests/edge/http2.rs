//! HTTP/2 connections whose clients are silent, or hostile: spoken frame by frame.

use std::time::{Duration, Instant};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use usher_bbb::call::ApiCall;
use usher_bbb_sim::{FaultKind, SimFault};

use crate::support::{Cluster, eventually, raw, signed};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Types of frames (RFC 9113, 6).
const HEADERS: u8 = 1;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

/// Flags of `HEADERS`.
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// The longest wait for the end of a connection. The limits of the tests are shorter.
const PATIENCE: Duration = Duration::from_secs(10);

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("is short").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Returns the beginning of a connection: preface and empty settings.
fn begun() -> Vec<u8> {
    [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()
}

/// Returns the head of a `GET` of `path`, with names and values of HPACK that need no table.
fn head(path: &str) -> Vec<u8> {
    // A length from 127 on goes on in a second byte.
    let length = match u8::try_from(path.len()).expect("is short") {
        short @ ..127 => vec![short],
        long => vec![127, long - 127],
    };
    // `:method: GET` and `:scheme: http` by their index, `:path` and `:authority` with their value.
    [&[0x82, 0x86, 0x04], &length[..], path.as_bytes(), &[0x01, 1, b'x']].concat()
}

/// A client that sends `bytes` and then at most pings.
async fn silent(cluster: &Cluster, bytes: Vec<u8>, pings: bool) -> Duration {
    let mut stream = TcpStream::connect(cluster.edge.api_addr()).await.expect("is accepted");
    stream.write_all(&bytes).await.expect("is open");
    let begin = Instant::now();
    let mut buffer = [0; 4096];
    loop {
        if pings && stream.write_all(&frame(PING, 0, 0, &[7; 8])).await.is_err() {
            return begin.elapsed();
        }
        let pause = if pings { Duration::from_millis(50) } else { PATIENCE };
        match tokio::time::timeout(pause, stream.read(&mut buffer)).await {
            Ok(Ok(1..)) => {}
            Ok(_) => return begin.elapsed(),
            Err(_) if pings && begin.elapsed() < PATIENCE => {}
            Err(late) => panic!("{late}: still open after {:?}", begin.elapsed()),
        }
    }
}

/// Returns the kinds and payloads of the whole frames at the beginning of `bytes`.
fn frames(mut bytes: &[u8]) -> Vec<(u8, &[u8])> {
    let mut frames = Vec::new();
    while let [a, b, c, kind, _, _, _, _, _, after @ ..] = bytes {
        let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
        let Some((payload, next)) = after.split_at_checked(length) else { break };
        frames.push((*kind, payload));
        bytes = next;
    }
    frames
}

fn number(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |number, byte| number << 8 | u32::from(*byte))
}

/// Returns the error codes of the `GOAWAY` frames among frames.
fn codes(bytes: &[u8]) -> Vec<u32> {
    let ends = frames(bytes).into_iter().filter(|(kind, _)| *kind == GOAWAY);
    ends.map(|(_, payload)| number(&payload[4..8])).collect()
}

/// The limits that an edge announces bound the memory that one client can occupy by its bytes.
#[tokio::test]
async fn an_http2_client_may_send_little_that_is_not_read_yet() {
    /// The window of a connection in which no other one was announced (RFC 9113, 6.9.2).
    const FIRST_WINDOW: u32 = 65_535;
    let cluster = Cluster::start_with(0, |settings| settings.edge.max_head = 16 << 10).await;
    let mut stream = TcpStream::connect(cluster.edge.api_addr()).await.expect("is accepted");
    stream.write_all(&begun()).await.expect("is open");
    let mut heard = Vec::new();
    let reading = async {
        while !frames(&heard).iter().any(|(kind, _)| *kind == WINDOW_UPDATE) {
            assert!(stream.read_buf(&mut heard).await.expect("is no reset") > 0, "ended early");
        }
    };
    tokio::time::timeout(PATIENCE, reading).await.expect("it announces its limits");
    let heard = frames(&heard);
    let of = |kind: u8| heard.iter().filter(move |(of, _)| *of == kind).map(|(_, payload)| *payload);
    let announced: Vec<(u32, u32)> = of(SETTINGS)
        .flat_map(|all| all.chunks(6))
        .map(|one| (number(&one[..2]), number(&one[2..])))
        .collect();
    // Requests at a time, the window of a request, the largest frame, the largest head (RFC 9113, 6.5.2).
    for (name, limit) in [(3, 256), (4, 128 << 10), (5, 16 << 10), (6, 4 * (16 << 10))] {
        assert!(announced.contains(&(name, limit)), "{name}: {announced:?}");
    }
    let more: u32 = of(WINDOW_UPDATE).map(number).sum();
    assert_eq!(FIRST_WINDOW + more, 256 << 10, "of the whole connection");
}

/// F13: a silent HTTP/2 client holds its connection no longer than a silent HTTP/1 client.
#[tokio::test]
async fn f13_silent_http2_connections_end_as_http1_connections_do() {
    const IDLE: Duration = Duration::from_millis(400);
    const HEAD: Duration = Duration::from_secs(4);
    let cluster = Cluster::start_with(0, |settings| {
        settings.edge.idle_timeout = IDLE;
        settings.edge.client_timeout = HEAD;
        settings.edge.max_connections = 20;
    })
    .await;
    let request =
        [begun(), frame(HEADERS, END_STREAM | END_HEADERS, 1, &head("/bigbluebutton/api"))].concat();
    let unfinished = [begun(), frame(HEADERS, END_STREAM, 1, &head("/bigbluebutton/api"))].concat();
    let half = [begun(), frame(PING, 0, 0, &[7; 8])[..5].to_vec()].concat();
    let kinds = [
        (Vec::new(), false),
        (PREFACE.to_vec(), false),
        (begun(), false),
        (begun(), true),
        (half, false),
        (unfinished, false),
        (request.clone(), false),
        (request, true),
        // A part of the preface may also be a part of an HTTP/1 head.
        (PREFACE[..10].to_vec(), false),
    ];
    let crowd = (0..18).map(|index| {
        let (bytes, pings) = kinds[index % kinds.len()].clone();
        silent(&cluster, bytes, pings)
    });
    for (index, lasted) in futures::future::join_all(crowd).await.into_iter().enumerate() {
        let kind = index % kinds.len();
        assert!(lasted >= IDLE.mul_f32(0.8), "client {kind} had {lasted:?}");
        assert!(lasted < HEAD || kind + 1 == kinds.len(), "client {kind} had {lasted:?}");
    }
    eventually("no permit is held", async || cluster.metric("usher_edge_connections") == 0.0).await;
    let request = b"GET /bigbluebutton/api HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    assert!(raw(cluster.edge.api_addr(), request).await.contains("SUCCESS"));
}

#[tokio::test]
async fn a_request_over_http2_may_take_longer_than_silence_may_last() {
    let cluster =
        Cluster::start_with(1, |settings| settings.edge.idle_timeout = Duration::from_millis(200)).await;
    let slow = SimFault::new(FaultKind::Slow(Duration::from_millis(900))).on(ApiCall::Create);
    cluster.sims[0].faults().set(slow).await;
    let path = format!("/bigbluebutton/api/create?{}", signed("create", "meetingID=room&name=Room"));
    let mut stream = TcpStream::connect(cluster.edge.api_addr()).await.expect("is accepted");
    let request = [begun(), frame(HEADERS, END_STREAM | END_HEADERS, 1, &head(&path))].concat();
    stream.write_all(&request).await.expect("is open");
    let mut answer = Vec::new();
    let found = async {
        while !answer.windows(11).any(|text| text == b"</response>") {
            assert!(stream.read_buf(&mut answer).await.expect("is no reset") > 0, "ended early");
        }
    };
    tokio::time::timeout(PATIENCE, found).await.expect("it answers");
    assert!(String::from_utf8_lossy(&answer).contains("SUCCESS"));
}

/// A client that withdraws its requests as fast as it sends them is told to calm down
/// (CVE-2023-44487), and so is one whose head never ends (CVE-2024-27316).
#[tokio::test]
async fn floods_of_resets_and_of_continuations_end_their_connection() {
    const CALM_DOWN: u32 = 11;
    let cluster = Cluster::start(0).await;
    let mut resets = begun();
    for stream in (1..4_000).step_by(2) {
        resets.extend(frame(HEADERS, END_STREAM | END_HEADERS, stream, &head("/bigbluebutton/api")));
        resets.extend(frame(RESET, 0, stream, &8_u32.to_be_bytes()));
    }
    let mut continuations = [begun(), frame(HEADERS, 0, 1, &head("/bigbluebutton/api"))].concat();
    for _ in 0..4_000 {
        continuations.extend(frame(CONTINUATION, 0, 1, &[&[0, 1, b'a', 100][..], &[b'b'; 100]].concat()));
    }
    for flood in [resets, continuations] {
        let mut stream = TcpStream::connect(cluster.edge.api_addr()).await.expect("is accepted");
        let (mut reader, mut writer) = stream.split();
        let mut heard = Vec::new();
        let flooding = async {
            // The edge may have closed the connection before all of it is written.
            let _ = writer.write_all(&flood).await;
        };
        let reading = async {
            let _ = reader.read_to_end(&mut heard).await;
        };
        let both = async { tokio::join!(flooding, reading) };
        tokio::time::timeout(PATIENCE, both).await.expect("it ends");
        assert!(codes(&heard).contains(&CALM_DOWN), "{:?}", codes(&heard));
    }
    let counted = "usher_edge_shed_total{reason=\"http2_flood\"}";
    eventually("both are counted", async || cluster.metric(counted) >= 2.0).await;
}
