//! The benchmark itself: a short run has no useful results, but includes every part.

use std::{path::Path, process::Command};

use usher_harness::programs::ProgramKind;

/// The beginnings of the rows, in order.
const ROWS: [&str; 13] = [
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
        assert!(row["what"].as_str().unwrap().starts_with(begins), "{begins}: {row:#}");
        assert!(row["value"].as_f64().unwrap() > 0.0, "{row:#}");
    }
}
