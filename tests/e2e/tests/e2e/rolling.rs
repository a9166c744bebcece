//! Rolling restarts under load: no request fails.

use anyhow::{Result, ensure};
use usher_harness::{
    balancer::TestBalancer,
    client::BbbTestClient,
    cluster::{SECRET, TestCluster},
    load::MeetingLoad,
};

/// S16: control planes are stopped and started one by one under load → no request fails.
#[tokio::test]
async fn s16_a_rolling_restart_of_control_planes_fails_no_request() -> Result<()> {
    let mut cluster = TestCluster::builder().start().await?;
    let clients: Vec<BbbTestClient> = (0..2).map(|edge| cluster.client(edge)).collect();
    let load = MeetingLoad::new("rolling", clients.clone());
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

/// S16: edges behind a balancer are stopped and started one by one under load → no request fails.
/// The balancer sends new connections only to ready edges, and retries none.
#[tokio::test]
async fn s16_a_rolling_restart_of_edges_fails_no_request() -> Result<()> {
    // Ten times the interval in which the balancer notices the change.
    let mut cluster = TestCluster::builder().set("edge.shutdown_wait", "1s").start().await?;
    let balancer = TestBalancer::start(&cluster.edges).await?;
    let client = BbbTestClient::new(balancer.address(), SECRET);
    let load = MeetingLoad::new("rolling", vec![client.clone()]);
    let restarts = async {
        load.goes_on(20).await?;
        for _ in 0..2 {
            for number in 0..2 {
                cluster.restart_edge(number).await?;
                balancer.replace(number, &cluster.edges[number]).await?;
                load.goes_on(20).await?;
            }
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
    assert_eq!(history.refused, 0, "the balancer is always there");
    history.check(&[client], &cluster.sims).await
}
