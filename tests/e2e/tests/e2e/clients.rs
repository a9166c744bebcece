//! Real client libraries, unmodified, against two edges, two control planes and a real etcd.

use std::{env, path::Path, process::Command};

use anyhow::{Context, Result, ensure};
use usher_harness::cluster::{SECRET, TestCluster};

/// Returns the path of a library that `cargo xtask` has downloaded, for a plain cargo command.
fn brought(variable: &str, below_tools: &str) -> Result<String> {
    if let Ok(named) = env::var(variable) {
        return Ok(named);
    }
    let tool = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools").join(below_tools);
    ensure!(tool.exists(), "{} is missing: `cargo xtask tools` brings it", tool.display());
    Ok(tool.display().to_string())
}

async fn drive(cluster: &TestCluster, mut client: Command) -> Result<()> {
    for edge in &cluster.edges {
        client.arg(format!("http://{}", edge.address("listen")));
    }
    client.arg(SECRET);
    let output = tokio::task::spawn_blocking(move || client.output()).await?.context("start the client")?;
    let said = [output.stdout, output.stderr].concat();
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&said));
    Ok(())
}

fn script(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clients").join(name)
}

/// The Python library `bigbluebutton_api_python` creates, joins, queries and ends meetings → every
/// call succeeds.
#[tokio::test]
async fn bigbluebutton_api_python_does_the_main_job() -> Result<()> {
    let cluster = TestCluster::builder().start().await?;
    let mut python = Command::new(brought("TEST_PYTHON", "python/bin/python")?);
    python.arg(script("client.py"));
    drive(&cluster, python).await
}

/// The JavaScript library `bigbluebutton-js` creates, joins, queries and ends meetings → every call
/// succeeds.
#[tokio::test]
async fn bigbluebutton_js_does_the_main_job() -> Result<()> {
    let cluster = TestCluster::builder().start().await?;
    let mut node = Command::new("node");
    node.arg(script("client.js"));
    node.env("NODE_PATH", brought("TEST_NODE_MODULES", "javascript/node_modules")?);
    drive(&cluster, node).await
}
