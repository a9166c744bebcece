//! A store that was set back to a backup, or created again from one: meetings that were created
//! since still run, and none may be lost (design 8, I10).

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use usher_bbb_sim::BbbSim;
use usher_harness::{cluster::TestCluster, wait};

/// Returns every running instance, by server and id.
pub(crate) fn instances(cluster: &TestCluster) -> BTreeMap<(usize, String), String> {
    let on = |(number, sim): (usize, &BbbSim)| {
        let running = sim.meetings().into_iter().filter(|meeting| !meeting.ending);
        running.map(move |meeting| ((number, meeting.meeting_id), meeting.internal_id)).collect::<Vec<_>>()
    };
    cluster.sims.iter().enumerate().flat_map(on).collect()
}

/// Creates meetings, repeatedly for each id while the store is coming back.
pub(crate) async fn creates(cluster: &TestCluster, ids: &[String]) -> Result<()> {
    for id in ids {
        wait::until("a create", || async { cluster.client(0).created(id).await.map(drop) }).await?;
    }
    cluster.is_level().await
}

/// Checks that every meeting is joined at every edge, and that a repeated create gets the same
/// instance or the retryable error.
async fn no_meeting_is_lost(
    cluster: &TestCluster,
    running: &BTreeMap<(usize, String), String>,
) -> Result<()> {
    for (number, ((server, id), instance)) in running.iter().enumerate() {
        for edge in 0..cluster.edges.len() {
            let location = cluster.client(edge).joined(id).await?;
            let base = cluster.sims[*server].base();
            ensure!(location.starts_with(base), "{id} runs at {base}, its users are sent to {location}");
        }
        let again = cluster.client(number % cluster.edges.len()).create(id).await?;
        let same = again.text("internalMeetingID") == Some(instance);
        ensure!(same || again.key() == "serverUnavailable", "{id}: {}", again.body);
    }
    Ok(())
}

/// Returns the epoch of a control plane.
pub(crate) async fn epoch(cluster: &TestCluster, control_plane: usize) -> Result<u64> {
    let revision = cluster.admin(control_plane).status().await?.revision;
    Ok(revision.context("it holds a revision")?.epoch)
}

/// Waits until every control plane has a later epoch than `before` and the records are those of the
/// running meetings; checks meanwhile and afterwards that no meeting was lost.
pub(crate) async fn comes_back(
    cluster: &TestCluster,
    running: &BTreeMap<(usize, String), String>,
    before: u64,
) -> Result<()> {
    let since = Instant::now();
    wait::until("every control plane to notice, and the records to be right", || async {
        if let Err(lost) = no_meeting_is_lost(cluster, running).await {
            return Ok(Err(lost.context("meanwhile"))); // a single loss is a failure
        }
        // A control plane that was started later has known no other epoch, and counts no rebuild.
        for number in 0..cluster.control_planes.len() {
            ensure!(epoch(cluster, number).await? != before, "not noticed");
        }
        let records = cluster.admin(1).meetings().await?.len();
        ensure!(records == running.len(), "{records} of {} records", running.len());
        Ok(Ok(()))
    })
    .await??;
    println!("records were right {:?} after the store was back", since.elapsed());
    cluster.is_level().await?;
    no_meeting_is_lost(cluster, running).await?;
    cluster.client(1).created("fresh").await?;
    let mut now = instances(cluster);
    now.retain(|(_, id), _| id != "fresh");
    assert_eq!(now, *running, "no meeting was ended, and none runs twice");
    Ok(())
}

pub(crate) fn names(name: &str) -> Vec<String> {
    (0..6).map(|number| format!("{name}-{number}")).collect()
}

/// I10: the data of etcd are restored from a backup while all programs run (the same cluster, at
/// earlier revisions) → no meeting is lost.
#[tokio::test]
async fn i10_a_store_set_back_to_a_backup_loses_no_meeting() -> Result<()> {
    let mut cluster = TestCluster::builder().start().await?;
    let before = epoch(&cluster, 0).await?;
    creates(&cluster, &names("kept")).await?;
    creates(&cluster, &["ended".to_owned()]).await?;
    let backup = cluster.etcd_mut().back_up().await?;
    creates(&cluster, &names("later")).await?;
    let ended = cluster.client(0).get("end", "meetingID=ended&password=mp").await?;
    ensure!(ended.is_success(), "{}", ended.body);
    wait::until("the record of the ended meeting to go", || async {
        let records = cluster.admin(0).meetings().await?.len();
        ensure!(records == 12, "{records} records");
        Ok(())
    })
    .await?;
    let running = instances(&cluster);
    cluster.etcd_mut().set_back(&backup).await?;
    comes_back(&cluster, &running, before).await
}

/// I10: etcd is created again from its keys (another cluster, with revisions from 1) → no meeting
/// is lost.
#[tokio::test]
async fn i10_a_store_created_from_a_copy_loses_no_meeting() -> Result<()> {
    let mut cluster = TestCluster::builder().start().await?;
    let before = epoch(&cluster, 0).await?;
    creates(&cluster, &names("kept")).await?;
    let running = instances(&cluster);
    let dump = cluster.etcd().dump("/usher/").await?;
    cluster.etcd_mut().make_anew().await?;
    cluster.etcd().put_back(&dump).await?;
    comes_back(&cluster, &running, before).await
}

/// I10: etcd is created again from its keys, with a pause between the records and their servers →
/// the records are kept.
#[tokio::test]
async fn i10_a_store_that_is_filled_again_key_by_key_keeps_its_records() -> Result<()> {
    let mut cluster = TestCluster::builder().start().await?;
    let before = epoch(&cluster, 0).await?;
    creates(&cluster, &names("kept")).await?;
    let running = instances(&cluster);
    let (records, servers) = cluster.etcd().dump("/usher/").await?.cut_before("/usher/servers/");
    cluster.etcd_mut().make_anew().await?;
    cluster.etcd().put_back(&records).await?;
    let all_there = || async {
        for number in 0..cluster.control_planes.len() {
            let records = cluster.admin(number).meetings().await?.len();
            ensure!(records == running.len(), "{records} of {} records", running.len());
        }
        Ok(())
    };
    wait::until("every control plane to have read the records", all_there).await?;
    cluster.leader().await?;
    wait::holds(Duration::from_secs(2), "records wait for their servers, past several sweeps", || async {
        no_meeting_is_lost(&cluster, &running).await?;
        all_there().await
    })
    .await?;
    cluster.etcd().put_back(&servers).await?;
    comes_back(&cluster, &running, before).await
}

/// I10: etcd is created again from an old copy → meetings without a record there are not lost,
/// although the samples of the copy have revisions that the new cluster does not reach for long.
#[tokio::test]
async fn i10_a_store_created_from_an_old_copy_loses_no_meeting() -> Result<()> {
    let mut cluster = TestCluster::builder().start().await?;
    let before = epoch(&cluster, 0).await?;
    creates(&cluster, &names("kept")).await?;
    let mut other = cluster.etcd().client(0).await?;
    for number in 0..500 {
        other.put("other", number.to_string(), None).await?;
    }
    let polls = |sim: &BbbSim| sim.calls().iter().filter(|call| call.name == "getMeetings").count();
    let before_copy: Vec<usize> = cluster.sims.iter().map(polls).collect();
    wait::until("each server to be polled twice", || async {
        let more = |(sim, before): (&BbbSim, &usize)| polls(sim) > before + 1;
        ensure!(cluster.sims.iter().zip(&before_copy).all(more));
        Ok(())
    })
    .await?;
    let dump = cluster.etcd().dump("/usher/").await?;
    creates(&cluster, &names("later")).await?;
    let running = instances(&cluster);
    cluster.etcd_mut().make_anew().await?;
    cluster.etcd().put_back(&dump).await?;
    comes_back(&cluster, &running, before).await
}

/// I10: the backup is restored while no control plane runs → the edges, which alone know the later
/// meetings, report them, and no meeting is lost.
#[tokio::test]
async fn i10_edges_report_a_backup_that_was_restored_unobserved() -> Result<()> {
    let mut cluster = TestCluster::builder().start().await?;
    let before = epoch(&cluster, 0).await?;
    creates(&cluster, &names("kept")).await?;
    let backup = cluster.etcd_mut().back_up().await?;
    // The edges see the backup only while the revisions of the store are below theirs, so other
    // writes must follow soon.
    let mut other = cluster.etcd().client(0).await?;
    for number in 0..500 {
        other.put("other", number.to_string(), None).await?;
    }
    creates(&cluster, &names("later")).await?;
    let running = instances(&cluster);
    for process in &mut cluster.control_planes {
        process.kill()?;
    }
    cluster.etcd_mut().set_back(&backup).await?;
    for number in 0..2 {
        cluster.revive_control_plane(number).await?;
    }
    comes_back(&cluster, &running, before).await
}
