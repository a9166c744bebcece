//! The memory of idle connections.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::sleep,
};
use usher_harness::process::RunningProgram;
use usher_runtime::descriptors;

use crate::{
    args::BenchPlan,
    machine,
    report::{BenchReport, GoalBound, ReportRow},
};

use super::tls_client::{BenchCertificate, HandshakeMode, REQUEST};

/// Connections from one address: fewer than it has ports.
const FROM_ONE_ADDRESS: usize = 5_000;
/// Descriptors of the bench that are no connections.
const OTHER_DESCRIPTORS: u64 = 500;
/// Part of the connections that are made over TLS: each costs the bench a handshake too.
const SECURED_PART: usize = 10;
/// Part of the connections that speak HTTP/2.
const HTTP2_PART: usize = 10;
/// The largest memory of an idle connection, bytes.
const MEMORY_GOAL: f64 = 12.0 * 1024.0;
/// The largest memory of an idle connection of HTTP/2, bytes: its library keeps the buffers of a connection.
const HTTP2_MEMORY_GOAL: f64 = 32.0 * 1024.0;
/// The beginning of an HTTP/2 connection, empty settings, and a `GET` of `/bigbluebutton/api` (RFC 9113).
const HTTP2_REQUEST: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00\
    \x00\x00\x19\x01\x05\x00\x00\x00\x01\x82\x86\x04\x12/bigbluebutton/api\x01\x01x";
/// The time in which the memory of an edge must not change to count, and the longest wait for it.
const SETTLED: Duration = Duration::from_secs(3);
const PATIENCE: Duration = Duration::from_mins(1);
/// A difference in memory that counts as none, bytes.
const TOLERANCE: u64 = 256 << 10;

/// Measures connections without TLS: before their first request, and after one.
pub(super) async fn plain(plan: &BenchPlan, edge: &RunningProgram, report: &mut BenchReport) -> Result<()> {
    let count = affordable(plan.idle_connections);
    warm_up(edge).await?;
    let before = settled(edge).await?;
    let mut connections = Vec::with_capacity(count);
    for number in 0..count {
        connections.push(open(number, edge.address("listen")).await?);
    }
    all_open(edge, count).await?;
    report.rows.push(row("", count, before, settled(edge).await?, "before its first request"));
    for connection in &mut connections {
        ask(connection, REQUEST).await?;
    }
    report.rows.push(row("", count, before, settled(edge).await?, "after a request"));
    Ok(())
}

/// Measures connections of HTTP/2 without TLS, after a request.
pub(super) async fn http2(plan: &BenchPlan, edge: &RunningProgram, report: &mut BenchReport) -> Result<()> {
    let count = (affordable(plan.idle_connections) / HTTP2_PART).max(1);
    ask(&mut open(0, edge.address("listen")).await?, HTTP2_REQUEST).await?;
    let before = settled(edge).await?;
    let mut connections = Vec::with_capacity(count);
    for number in 0..count {
        let mut connection = open(number, edge.address("listen")).await?;
        ask(&mut connection, HTTP2_REQUEST).await?;
        connections.push(connection);
    }
    all_open(edge, count).await?;
    let each = settled(edge).await?.saturating_sub(before) as f64 / count as f64;
    let text = format!("idle connection of HTTP/2, each of {count} after a request");
    let bound = GoalBound::AtMost(HTTP2_MEMORY_GOAL);
    report.rows.push(ReportRow::figure(text, each, " B").with_goal("resident bytes", each, bound));
    Ok(())
}

/// Measures connections over TLS, before their first request.
pub(super) async fn secured(
    plan: &BenchPlan,
    edge: &RunningProgram,
    certificate: &BenchCertificate,
    report: &mut BenchReport,
) -> Result<()> {
    let count = (affordable(plan.idle_connections) / SECURED_PART).max(1);
    let client = certificate.client(HandshakeMode::Full)?;
    client.connect(edge.address("listen")).await?;
    let before = settled(edge).await?;
    let mut connections = Vec::with_capacity(count);
    for _ in 0..count {
        connections.push(client.connect(edge.address("listen")).await?);
    }
    all_open(edge, count).await?;
    report.rows.push(row(" over TLS", count, before, settled(edge).await?, "before its first request"));
    Ok(())
}

fn row(tls: &str, count: usize, before: u64, after: u64, state: &str) -> ReportRow {
    let each = after.saturating_sub(before) as f64 / count as f64;
    ReportRow::figure(format!("idle connection{tls}, each of {count} {state}"), each, " B").with_goal(
        "resident bytes",
        each,
        GoalBound::AtMost(MEMORY_GOAL),
    )
}

/// Returns the number of connections, at most `wanted`, for which the bench and an edge with the same
/// limit have descriptors; the edge keeps a quarter of them.
fn affordable(wanted: usize) -> usize {
    let most = descriptors::limit().saturating_sub(OTHER_DESCRIPTORS) / 4 * 3;
    wanted.min(usize::try_from(most).unwrap_or(usize::MAX))
}

async fn open(number: usize, to: SocketAddr) -> Result<TcpStream> {
    let address = u8::try_from(1 + number / FROM_ONE_ADDRESS).context("too many connections")?;
    let socket = TcpSocket::new_v4()?;
    socket.bind((IpAddr::V4(Ipv4Addr::new(127, 0, 1, address)), 0).into())?;
    socket.connect(to).await.context("open an idle connection")
}

async fn ask(connection: &mut TcpStream, request: &[u8]) -> Result<()> {
    connection.write_all(request).await?;
    let mut answer = Vec::new();
    while !answer.trim_ascii_end().ends_with(b"</response>") {
        ensure!(connection.read_buf(&mut answer).await? > 0, "the edge closed an idle connection");
    }
    Ok(())
}

/// Sends some requests, so that the memory that the first ones take is not counted.
async fn warm_up(edge: &RunningProgram) -> Result<()> {
    for number in 0..32 {
        ask(&mut open(number, edge.address("listen")).await?, REQUEST).await?;
    }
    Ok(())
}

/// Waits until the edge has accepted all connections.
async fn all_open(edge: &RunningProgram, count: usize) -> Result<()> {
    let begin = Instant::now();
    loop {
        let open = metric(edge, "usher_edge_connections ").await?;
        if open >= count as f64 {
            return Ok(());
        }
        ensure!(begin.elapsed() < PATIENCE, "the edge has {open} of {count} connections");
        sleep(Duration::from_millis(50)).await;
    }
}

async fn metric(edge: &RunningProgram, name: &str) -> Result<f64> {
    let mut stream = TcpStream::connect(edge.address("ops")).await?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await?;
    let value = text.lines().find_map(|line| line.strip_prefix(name)).context("the edge has the metric")?;
    Ok(value.trim().parse()?)
}

/// Returns the memory of the edge, once it does not change any more.
async fn settled(edge: &RunningProgram) -> Result<u64> {
    let begin = Instant::now();
    let (mut seen, mut since) = (machine::resident(edge.pid())?, begin);
    while since.elapsed() < SETTLED && begin.elapsed() < PATIENCE {
        sleep(Duration::from_millis(100)).await;
        let now = machine::resident(edge.pid())?;
        if now.abs_diff(seen) > TOLERANCE {
            (seen, since) = (now, Instant::now());
        }
    }
    machine::resident(edge.pid())
}
