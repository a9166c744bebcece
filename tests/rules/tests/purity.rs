//! `core/`, `notifications/rules/`, `common/bbb` and `common/model` only decide: time, chance and
//! input are arguments, and reasons are results.

use usher_rules::{SourceFile, sources};

/// The words that pure code may not name, each with the alternative.
const FORBIDDEN: &[(&str, &str)] = &[
    ("async fn", "return a plan; the caller performs it"),
    (".await", "return a plan; the caller performs it"),
    ("tokio", "return a plan; the caller performs it"),
    ("SystemTime", "take the time as an argument"),
    ("Instant::now", "take the time as an argument"),
    (".elapsed()", "take the time as an argument"),
    ("rand::", "take the seed or the choice as an argument"),
    ("tracing::", "return the reason; the caller logs it"),
    ("println!", "return the reason; the caller prints it"),
    ("tonic", "convert at the edge of the crate"),
    ("prost", "convert at the edge of the crate"),
    ("usher_proto", "convert at the edge of the crate"),
    ("std::fs", "take the bytes as an argument"),
    ("std::env", "take the value as an argument"),
    ("std::process", "return a plan; the caller performs it"),
    ("std::thread", "return a plan; the caller performs it"),
    ("TcpStream", "return a plan; the caller performs it"),
    ("TcpListener", "return a plan; the caller performs it"),
    ("UdpSocket", "return a plan; the caller performs it"),
];

fn is_pure(source: &SourceFile) -> bool {
    let path = &source.path;
    let in_core = path.contains("/src/core/") || path.ends_with("/src/core.rs");
    let is_policy = path.ends_with("edge-proxy/src/server/transport/connection_policy.rs");
    let in_rules = path.starts_with("control-plane/src/notifications/rules");
    let in_common = path.starts_with("common/bbb/src/") || path.starts_with("common/model/src/");
    in_core || is_policy || in_rules || in_common
}

#[test]
fn core_is_pure() {
    let pure: Vec<SourceFile> =
        sources(&["common", "control-plane/src", "edge-proxy/src"]).into_iter().filter(is_pure).collect();
    assert!(pure.len() > 10, "only {} pure files: has core/ moved?", pure.len());
    let mut broken = Vec::new();
    for source in &pure {
        for (number, line) in source.product_lines() {
            for (word, instead) in FORBIDDEN.iter().filter(|(word, _)| line.contains(word)) {
                broken.push(format!("{}:{number}: `{word}`; {instead}", source.path));
            }
        }
    }
    assert!(broken.is_empty(), "pure code that is not:\n{}", broken.join("\n"));
}
