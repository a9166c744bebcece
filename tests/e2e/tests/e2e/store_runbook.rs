//! A store that is full, and its repair by the steps of docs/operate/store.md (F8).

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use usher_harness::{cluster::TestCluster, wait};

use crate::store_faults::metric;

const QUOTA: u64 = 4 << 20;

async fn every_plane_reports(cluster: &TestCluster, name: &str, wanted: f64) -> Result<()> {
    wait::until_within(Duration::from_secs(30), name, || async {
        for plane in &cluster.control_planes {
            let value = metric(plane, name).await?;
            ensure!((value - wanted).abs() < 0.5, "{name}: {value}");
        }
        Ok(())
    })
    .await
}

/// F8: another program fills etcd up to its quota → creates are refused, joins go on, every replica
/// reports it; then data is removed, history compacted, the database defragmented, the alarm disarmed
/// → creates work, every replica is well, and no meeting was lost.
#[tokio::test]
async fn f8_a_full_store_is_repaired_by_the_steps_of_the_runbook() -> Result<()> {
    let cluster = TestCluster::builder()
        .etcd_flag(&format!("--quota-backend-bytes={QUOTA}"))
        .set("store.quota", "4MiB")
        .set("store.compact_every", "4s")
        .expecting_errors()
        .start()
        .await?;
    cluster.client(0).created("before").await?;
    let mut client = cluster.etcd().client(0).await?;
    let mut written = 0_u32;
    while client.put(format!("other/{written}"), vec![7_u8; 100_000], None).await.is_ok() {
        written += 1;
        ensure!(written < 1_000, "etcd takes more than its quota");
    }
    every_plane_reports(&cluster, "usher_store_alarm{alarm=\"nospace\"}", 1.0).await?;
    every_plane_reports(&cluster, "usher_alarm{name=\"store_space\"}", 1.0).await?;
    let status = cluster.admin(0).status().await?;
    let alarm = status.alarms.iter().find(|alarm| alarm.kind == "store_space").context("is shown")?;
    ensure!(alarm.detail.contains("store.md"), "{alarm:?}");
    let refused = cluster.client(0).create("during").await?;
    ensure!(refused.key() == "serverUnavailable", "{}", refused.body);
    cluster.client(1).joined("before").await.context("a join fails")?;

    // Step 1: the data of another program is removed.
    client.delete("other/", Some(etcd_client::DeleteOptions::new().with_prefix())).await?;
    // Step 2: compaction. Step 3: defragmentation.
    let large = client.status().await?.db_size();
    cluster.etcd().compact().await?;
    // Compaction goes on for a moment after its answer.
    wait::until("the file to be small", || async {
        let mut client = cluster.etcd().client(0).await?;
        client.defragment().await?;
        let small = client.status().await?.db_size();
        ensure!(small * 4 < large, "{large} bytes became {small}");
        Ok(())
    })
    .await?;
    // Space alone is not enough.
    let refused = cluster.client(0).create("during").await?;
    ensure!(refused.key() == "serverUnavailable", "{}", refused.body);
    // Step 4: the alarm is disarmed. Step 5: all is well.
    cluster.etcd().disarm().await?;
    wait::until("creates to work again", || async { cluster.client(1).created("after").await }).await?;
    every_plane_reports(&cluster, "usher_store_alarm{alarm=\"nospace\"}", 0.0).await?;
    every_plane_reports(&cluster, "usher_alarm{name=\"store_space\"}", 0.0).await?;
    for plane in &cluster.control_planes {
        let seen = metric(plane, "usher_store_defragmentation_age_seconds").await?;
        ensure!(seen.is_finite() && metric(plane, "usher_store_bytes").await? < QUOTA as f64 / 2.0);
    }
    for id in ["before", "after"] {
        cluster.client(0).joined(id).await?;
    }
    Ok(())
}
