//! A store that is full, slow, or compacted beyond a stopped control plane.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use usher_harness::{cluster::TestCluster, load::MeetingLoad, wait};

use crate::{store_faults::metric, store_space::fill};

/// F8, C8: the store has no space for another write → new ids get the retryable error and joins
/// succeed; within one interval, an alarm and an ERROR line name the key and the cause; space is
/// freed → every call works again without an operator.
#[tokio::test]
async fn c8_f8_a_full_disk_stops_only_new_meetings_and_is_reported() -> Result<()> {
    let cluster =
        TestCluster::builder().etcd_flag("--quota-backend-bytes=2097152").expecting_errors().start().await?;
    let known: Vec<String> = (0..4).map(|number| format!("known-{number}")).collect();
    for id in &known {
        cluster.client(0).created(id).await?;
    }
    cluster.is_level().await?;
    let leader = cluster.leader().await?;
    cluster.etcd().fill().await?;
    let full = Instant::now();
    // A poll that sees the same writes no value.
    for sim in &cluster.sims {
        fill(sim, 1).await?;
    }
    let process = &cluster.control_planes[leader];
    wait::until("the alarm", || async {
        let raised = metric(process, "usher_alarm{name=\"store_write_failed\"").await?;
        ensure!(raised > 0.0, "not raised");
        Ok(())
    })
    .await?;
    println!("alarm {:?} after the disk was full", full.elapsed());
    wait::until("a line that names key and cause", || async {
        let reported = |line: &String| {
            line.contains("ERROR") && line.contains("/bbb-") && line.contains("space exceeded")
        };
        ensure!(process.output().iter().any(reported), "no such line");
        Ok(())
    })
    .await?;
    let refused = metric(process, "usher_store_failures_total{call=\"commit\",reason=\"rejected\"").await?;
    ensure!(refused > 0.0, "the refusals are not counted");
    let errors = process.output().iter().filter(|line| line.contains("ERROR")).count();
    ensure!(errors <= 2, "reported once, not {errors} times");
    for (number, id) in known.iter().enumerate() {
        cluster.client(number % 2).joined(id).await?;
        cluster.client(number % 2).created(id).await?;
    }
    for edge in 0..2 {
        let fresh = cluster.client(edge).create("fresh").await?;
        assert_eq!((fresh.status, fresh.key()), (200, "serverUnavailable"), "{}", fresh.body);
    }
    ensure!(cluster.admin(leader).status().await?.leading, "the leader leads on");

    Box::pin(cluster.etcd().make_room()).await?;
    let room = Instant::now();
    wait::until("creates to work again", || async { cluster.client(1).created("fresh").await }).await?;
    println!("creates {:?} after there was room", room.elapsed());
    wait::until("the alarm to end", || async {
        let raised = metric(process, "usher_alarm{name=\"store_write_failed\"").await?;
        ensure!(raised == 0.0, "still raised");
        Ok(())
    })
    .await?;
    assert_eq!(cluster.admin(leader).meetings().await?.len(), 5, "no record was removed");
    Ok(())
}

/// X5: each write takes half a second → calls are slow, none fails, and no server becomes offline.
#[tokio::test]
async fn x5_a_slow_store_slows_creates_and_fails_none() -> Result<()> {
    let cluster = TestCluster::builder()
        .set("meetings.create_timeout", "10s")
        .set("health.unhealthy_after", "20s")
        .set("leader.ttl", "5s")
        .start()
        .await?;
    let clients: Vec<_> = (0..2).map(|edge| cluster.client(edge)).collect();
    let load = MeetingLoad::new("slow", clients.clone());
    let (history, done) = tokio::join!(load.run(4), async {
        let done = tokio::select! {
            stuttered = cluster.etcd().stutter(Duration::from_millis(500)) => stuttered,
            done = load.goes_on(16) => done,
        };
        cluster.etcd().thaw(0)?;
        load.stop();
        done
    });
    done?;
    ensure!(history.retryable.is_empty(), "{:?}", history.retryable);
    history.check(&clients, &cluster.sims).await?;
    for server in cluster.admin(0).servers().await? {
        assert_eq!(server.health_reason, "", "{}", server.name);
    }
    Ok(())
}

/// I9: a control plane is frozen, and etcd compacts the history beyond its revision → after it
/// continues, it reads all keys again and has the same table as the others, and its edge goes on.
#[tokio::test]
async fn i9_a_control_plane_frozen_during_a_compaction_reads_all_again() -> Result<()> {
    let cluster = TestCluster::builder()
        .edges(1)
        // The edge first requests the frozen control plane, for up to eight seconds.
        .set("meetings.create_timeout", "20s")
        .set("health.unhealthy_after", "40s")
        .start()
        .await?;
    let follower = 1 - cluster.leader().await?;
    let frozen = &cluster.control_planes[follower];
    cluster.client(0).created("before").await?;
    cluster.is_level().await?;
    frozen.freeze()?;
    for number in 0..8 {
        cluster.client(0).created(&format!("during-{number}")).await?;
    }
    ensure!(cluster.client(0).get("end", "meetingID=before&password=mp").await?.is_success());
    cluster.etcd().compact().await?;
    frozen.thaw()?;
    let thawed = Instant::now();
    cluster.is_level().await?;
    wait::until("both control planes to hold the same", || async {
        let mut seen = Vec::new();
        for number in 0..2 {
            let meetings = cluster.admin(number).meetings().await?;
            seen.push(meetings.into_iter().map(|meeting| (meeting.name, meeting.server)).collect::<Vec<_>>());
        }
        ensure!(seen[0].len() == 8 && seen[0] == seen[1], "{seen:?}");
        Ok(())
    })
    .await?;
    println!("level {:?} after the thaw", thawed.elapsed());
    for number in 0..8 {
        cluster.client(0).joined(&format!("during-{number}")).await?;
    }
    ensure!(
        metric(&cluster.edges[0], "usher_edge_tables_rejected_total").await? == 0.0,
        "tables were refused"
    );
    cluster.client(0).created("after").await?;
    Ok(())
}
