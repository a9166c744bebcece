//! Rolling restarts under load: nobody notices.

use anyhow::{Result, ensure};
use usher_harness::{client::BbbClient, cluster::Cluster, load::Load};

/// S16: control planes are ended and started one by one under load; no request fails.
#[tokio::test]
async fn s16_a_rolling_restart_of_control_planes_fails_no_request() -> Result<()> {
    let mut cluster = Cluster::builder().start().await?;
    let clients: Vec<BbbClient> = (0..2).map(|edge| cluster.client(edge)).collect();
    let load = Load::new("rolling", clients.clone());
    let restarts = async {
        load.goes_on(20).await?;
        for number in 0..2 {
            cluster.restart_control_plane(number).await?;
            load.goes_on(20).await?;
        }
        anyhow::Ok(())
    };
    let (history, restarted) = tokio::join!(load.run(4), async {
        let restarted = restarts.await;
        load.stop();
        restarted
    });
    restarted?;
    ensure!(history.retryable.is_empty(), "{} creates: {:?}", history.retryable.len(), history.retryable);
    assert_eq!(history.refused, 0, "the edges went nowhere");
    history.check(&clients, &cluster.sims).await
}
