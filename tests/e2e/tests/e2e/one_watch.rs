//! The watches that the control planes have open at etcd.

use anyhow::{Result, ensure};
use usher_harness::{client::BbbTestClient, cluster::TestCluster, load::MeetingLoad, wait};

/// Returns the watches that are open at the only node, as etcd counts them.
async fn open_watches(cluster: &TestCluster) -> Result<f64> {
    let endpoint = cluster.etcd().endpoints().swap_remove(0);
    let client = BbbTestClient::new(endpoint.trim_start_matches("http://"), "");
    let page = client.fetch(&format!("{endpoint}/metrics")).await?.body;
    let count = |name: &str| -> f64 {
        let of_watches =
            page.lines().filter(|line| line.starts_with(name) && line.contains(r#"grpc_method="Watch""#));
        // A handled call has a line for each code.
        let of_watches = of_watches.filter(|line| line.contains("etcdserverpb.Watch"));
        of_watches.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    };
    Ok(count("grpc_server_started_total") - count("grpc_server_handled_total"))
}

/// One control plane under load has one watch; a second one has one more, and a candidate that waits
/// also watches the election.
#[tokio::test]
async fn a_control_plane_has_one_watch_at_etcd() -> Result<()> {
    let mut cluster = TestCluster::builder().etcd(1).control_planes(1).edges(1).start().await?;
    let load = MeetingLoad::new("watches", vec![cluster.client(0)]);
    let (history, done) = tokio::join!(load.run(2), async {
        let done = async {
            load.goes_on(40).await?;
            let open = open_watches(&cluster).await?;
            ensure!((open - 1.0).abs() < 0.5, "{open} watches are open");
            Ok(())
        };
        let done: Result<()> = done.await;
        load.stop();
        done
    });
    done?;
    ensure!(history.retryable.is_empty(), "{:?}", history.retryable);
    cluster.add_control_plane().await?;
    wait::until("the watches of a second control plane", || async {
        let open = open_watches(&cluster).await?;
        ensure!((open - 3.0).abs() < 0.5, "{open} watches are open");
        Ok(())
    })
    .await
}
