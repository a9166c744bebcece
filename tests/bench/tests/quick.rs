//! The benchmark itself: a short run has no useful results, but includes every part.

use std::{path::Path, process::Command};

use usher_harness::programs::ProgramKind;

/// The beginnings of the rows, in order.
const ROWS: [&str; 68] = [
    "bare hyper",
    "join, 100 meetings",
    "bare hyper",
    "join, 1000 meetings in the table",
    "edge's memory",
    "bare hyper",
    "join, 1000 meetings in the table, 2000 changes/s",
    "raw etcd, guarded puts, 128 at a time",
    "raw etcd, guarded puts, 64 to a transaction",
    "create, one control plane on one etcd",
    "raw redb",
    "create, one control plane on its embedded store",
    "change, committed to applied on the last of 5 edges",
    "join, alone",
    "create, alone",
    "join beside 256 connections of lists",
    "create beside 256 connections of lists",
    "these 256 connections of lists",
    "edge's peak memory",
    "join beside 256 connections of lists without a pause",
    "create beside 256 connections of lists without a pause",
    "these 256 connections of lists without a pause",
    "edge's peak memory",
    "join beside 256 connections of unknown ids",
    "create beside 256 connections of unknown ids",
    "these 256 connections of unknown ids",
    "edge's peak memory",
    "join beside 32 connections of 1 MiB bodies",
    "create beside 32 connections of 1 MiB bodies",
    "these 32 connections of 1 MiB bodies",
    "edge's peak memory",
    "join beside 64 connections of the longest parameters",
    "create beside 64 connections of the longest parameters",
    "these 64 connections of the longest parameters",
    "edge's peak memory",
    "join beside 5000 idle connections",
    "create beside 5000 idle connections",
    "these 5000 idle connections",
    "edge's peak memory",
    "join beside 500 calls to a server that hangs",
    "create beside 500 calls to a server that hangs",
    "these 500 calls to a server that hangs",
    "edge's peak memory",
    "join beside 64 connections of callbacks to a dead application",
    "create beside 64 connections of callbacks to a dead application",
    "these 64 connections of callbacks to a dead application",
    "edge's peak memory",
    "idle connection, each of 300 before its first request",
    "idle connection, each of 300 after a request",
    "idle connection of HTTP/2, each of 30 after a request",
    "idle connection over TLS, each of 30 before its first request",
    "bare rustls, new connections with a full handshake",
    "edge, new connections with a full handshake",
    "bare rustls, new connections with a resumed session",
    "edge, new connections with a resumed session",
    "control plane, start to ready, 1000 records",
    "second control plane, start to ready",
    "health of 20 servers known, 2 of them hang",
    "edge, start to a table of 1000 meetings",
    "leader: 20 servers, 1000 meetings, 20 edges, at rest",
    "follower, beside it",
    "etcd, beside it",
    "leader's memory for each meeting",
    "follower's memory for each meeting",
    "etcd's memory",
    "servers whose polls all start on time",
    "change, committed to received on the last of 5 edges",
    "change, committed to received on the last of 20 edges",
];

#[test]
fn a_quick_run_measures_every_part_and_stops() {
    let program = ProgramKind::EdgeProxy.path().unwrap();
    let run = Command::new(env!("CARGO_BIN_EXE_usher-bench"))
        .args(["--quick", "--output", "json"])
        .env("TEST_PROGRAMS", program.parent().unwrap_or(Path::new("")))
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let report: serde_json::Value = serde_json::from_slice(&run.stdout).unwrap();
    let rows = report["rows"].as_array().unwrap();
    assert_eq!(rows.len(), ROWS.len(), "{report:#}");
    for (row, begins) in rows.iter().zip(ROWS) {
        assert!(row["measurement"].as_str().unwrap().starts_with(begins), "{begins}: {row:#}");
        // A crowd that is silent, or whose server hangs, gets no answer, a few idle connections or meetings may
        // find their memory in place, and on a busy machine no poll may be on time.
        let may_be_zero = ["these", "idle", "leader's memory", "follower's memory", "servers whose"];
        let is_exempt = may_be_zero.iter().any(|exempt| begins.starts_with(exempt));
        assert!(is_exempt || row["value"].as_f64().unwrap() > 0.0, "{row:#}");
    }
}
