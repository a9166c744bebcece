//! The simulated servers of a test, and how they enter a fleet.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use usher_bbb_sim::{BbbSim, SimOptions};
use usher_proto::v1::Health;

use crate::{admin::TestAdmin, wait};

/// The secret of every simulated server.
pub const SERVER_SECRET: &str = "a server's secret";

/// Starts one simulated server.
///
/// # Errors
/// When it cannot listen.
pub async fn start() -> Result<BbbSim> {
    // No test waits for the expiry of meetings without a join, and a long test must not meet it.
    let options = SimOptions { unjoined_expiry: Duration::from_hours(24), ..SimOptions::new(SERVER_SECRET) };
    Ok(BbbSim::start(options).await?)
}

/// Adds servers to a fleet as `bbb-0`, `bbb-1`, … and waits until all are online. The function
/// requests polls of every control plane, because only the leader makes them.
///
/// # Errors
/// When a control plane refuses a server, or a server does not become online.
pub async fn enable(admins: &[TestAdmin], sims: &[BbbSim]) -> Result<()> {
    let bases: Vec<String> = sims.iter().map(|sim| sim.base().to_owned()).collect();
    enable_at(admins, &bases).await
}

/// Adds servers like [`enable`], by these base addresses, as in `http://host:port`.
///
/// # Errors
/// When a control plane refuses a server, or a server does not become online.
pub async fn enable_at(admins: &[TestAdmin], bases: &[String]) -> Result<()> {
    let admin = admins.first().context("a fleet has a control plane")?;
    for (number, base) in bases.iter().enumerate() {
        let url = format!("{base}/bigbluebutton/api/");
        admin.add_server(&format!("bbb-{number}"), &url, SERVER_SECRET).await?;
    }
    wait::until("every server to be online", || async {
        for admin in admins {
            // Replicas that do not lead refuse the poll; the states below show whether the leader
            // made one.
            let _ = admin.poll("-").await;
        }
        let servers = admin.servers().await?;
        let waiting: Vec<_> = servers
            .iter()
            .filter(|server| server.health() != Health::Online)
            .map(|server| (&server.name, &server.health_reason))
            .collect();
        ensure!(servers.len() == bases.len() && waiting.is_empty(), "not yet: {waiting:?}");
        Ok(())
    })
    .await
}
