//! Claims that begin no epoch: those of an edge, and those of a wall clock (ADR 19). In every test,
//! all meetings run meanwhile and are joined at the end.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use usher_harness::{
    admin::TestAdmin, client::BbbTestClient, cluster::TestCluster, process::RunningProgram,
    standalone::RunningStandalone, wait,
};
use usher_proto::v1::{
    Hello, Revision, Seal, StreamRoutesRequest, routing_service_client::RoutingServiceClient,
    stream_routes_request::Message as Say, stream_routes_response::Message as Hear,
};

use crate::{clock::faketime, store_faults::metric};

/// Offsets of clocks at the start, in seconds: an hour, a day, and more than any age that was ever
/// accepted, in both directions.
const OFFSETS: [&str; 4] = ["+3600", "-3600", "+90000", "-90000"];

async fn at(admin: &TestAdmin) -> Result<Revision> {
    admin.status().await?.revision.context("it holds a revision")
}

/// Checks that no rebuild happened, no request waited for one, and the epoch is unchanged.
async fn goes_on(admins: &[TestAdmin], planes: &[&RunningProgram], epoch: u64) -> Result<()> {
    for (admin, plane) in admins.iter().zip(planes) {
        assert_eq!(at(admin).await?.epoch, epoch);
        assert_eq!(metric(plane, "usher_rebuilds_total").await?, 0.0);
        assert_eq!(metric(plane, "usher_placements_total{outcome=\"rebuilding\"}").await?, 0.0);
    }
    Ok(())
}

async fn all_joined(client: &BbbTestClient, ids: &[String]) -> Result<()> {
    for id in ids {
        client.joined(id).await?;
    }
    Ok(())
}

/// Sends hellos with a later past, far and near, under several names; each stream stays open. A
/// seal that was issued is sent too, for its own revision and for others.
async fn claim_a_past(
    admin: &TestAdmin,
    given: Option<&Seal>,
) -> Result<Vec<mpsc::Sender<StreamRoutesRequest>>> {
    let mut open = Vec::new();
    let now = at(admin).await?;
    for (number, far) in [1_u64, 500, 1 << 40, u64::MAX].into_iter().enumerate() {
        let have = Some(Revision { seq: now.seq.saturating_add(far), ..now });
        let seals = [None, Some(vec![1; 32]), given.map(|seal| seal.mac.clone())];
        for (of, mac) in seals.into_iter().enumerate() {
            let seal = mac.map(|mac| Seal { revision: have, mac });
            let hello = Hello { edge_id: format!("hostile-{number}-{of}"), have, seal, ..Hello::default() };
            open.push(greet(admin, hello).await?.0);
        }
    }
    if let Some(seal) = given.cloned() {
        let have = seal.revision;
        let replayed = Hello { edge_id: "replayed".into(), have, seal: Some(seal), ..Hello::default() };
        open.push(greet(admin, replayed).await?.0);
    }
    Ok(open)
}

type Frames = tonic::Streaming<usher_proto::SharedFrame>;

async fn greet(admin: &TestAdmin, hello: Hello) -> Result<(mpsc::Sender<StreamRoutesRequest>, Frames)> {
    let (say, said) = mpsc::channel(4);
    say.send(StreamRoutesRequest { message: Some(Say::Hello(hello)) }).await?;
    let frames = RoutingServiceClient::new(admin.channel()).stream_routes(ReceiverStream::new(said)).await?;
    Ok((say, frames.into_inner()))
}

/// Returns the seal that a control plane gives an edge.
async fn given(admin: &TestAdmin) -> Result<Seal> {
    let (_say, mut frames) = greet(admin, Hello { edge_id: "honest".into(), ..Hello::default() }).await?;
    let seal = async {
        while let Some(frame) = frames.message().await? {
            if let Some(Hear::Seal(seal)) = frame.into_message()?.message {
                return Ok(seal);
            }
        }
        anyhow::bail!("the stream ended without one")
    };
    tokio::time::timeout(wait::DEADLINE, seal).await?
}

/// I10: false hellos, without and with a genuine seal, reach both replicas on etcd → no epoch
/// begins, and creates and joins go on.
#[tokio::test]
async fn i10_no_hello_resets_a_cluster_on_etcd() -> Result<()> {
    let cluster = TestCluster::builder().start().await?;
    let mut ids = vec!["first".to_owned()];
    cluster.client(0).created("first").await?;
    let admins = [cluster.admin(0), cluster.admin(1)];
    let epoch = at(&admins[0]).await?.epoch;
    let planes: Vec<&RunningProgram> = cluster.control_planes.iter().collect();
    let (mut open, mut seal) = (Vec::new(), None);
    for sealed in [false, true] {
        for (number, admin) in admins.iter().enumerate() {
            open.extend(claim_a_past(admin, seal.as_ref()).await?);
            for turn in 0..3 {
                ids.push(format!("room-{number}-{sealed}-{turn}"));
                cluster.client(turn % 2).created(&ids[ids.len() - 1]).await?;
            }
        }
        polled(&cluster.sims, 4).await?;
        goes_on(&admins, &planes, epoch).await?;
        seal = Some(given(&admins[0]).await?);
    }
    cluster.client(0).created("last").await?;
    all_joined(&cluster.client(1), &ids).await
}

/// I10: false hellos, without and with a genuine seal, reach a standalone → no epoch begins, and
/// creates and joins go on.
#[tokio::test]
async fn i10_no_hello_resets_a_standalone_on_its_own_store() -> Result<()> {
    let usher = RunningStandalone::start(2, &[]).await?;
    usher.client().created("first").await?;
    let admin = usher.admin();
    let epoch = at(&admin).await?.epoch;
    let ids: Vec<String> = (0..6).map(|turn| format!("room-{turn}")).collect();
    let (mut open, mut seal) = (Vec::new(), None);
    for half in ids.chunks(3) {
        open.extend(claim_a_past(&admin, seal.as_ref()).await?);
        for id in half {
            usher.client().created(id).await?;
        }
        polled(&usher.sims, 4).await?;
        goes_on(std::slice::from_ref(&admin), &[&usher.process], epoch).await?;
        seal = Some(given(&admin).await?);
    }
    all_joined(&usher.client(), &ids).await
}

/// Waits until every server was polled this number of further times.
async fn polled(sims: &[usher_bbb_sim::BbbSim], times: usize) -> Result<()> {
    let polls = |sim: &usher_bbb_sim::BbbSim| sim.calls().iter().filter(|c| c.name == "getMeetings").count();
    let before: Vec<usize> = sims.iter().map(polls).collect();
    wait::until_within(Duration::from_secs(20), "some more polls", || async {
        ensure!(sims.iter().zip(&before).all(|(sim, before)| polls(sim) >= before + times));
        Ok(())
    })
    .await
}

/// I10: one replica restarts with a wrong clock while another leads, then all of them do → no epoch
/// begins, and no meeting is lost.
#[tokio::test]
async fn i10_control_planes_with_a_wrong_clock_begin_no_epoch() -> Result<()> {
    let mut cluster = TestCluster::builder().start().await?;
    let epoch = at(&cluster.admin(0)).await?.epoch;
    let mut ids = Vec::new();
    cluster.set_environment("LD_PRELOAD", &faketime()?.display().to_string());
    cluster.set_environment("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    for (number, offset) in OFFSETS.iter().enumerate() {
        cluster.set_environment("FAKETIME", offset);
        for all in [false, true] {
            ids.push(format!("{number}-{all}"));
            cluster.client(0).created(&ids[ids.len() - 1]).await?;
            cluster.is_level().await?;
            let started = if all { 0..2 } else { 0..1 };
            for plane in started.clone() {
                cluster.control_planes[plane].kill()?;
            }
            for plane in started {
                cluster.revive_control_plane(plane).await?;
            }
            let id = format!("{number}-{all}-after");
            wait::until("a create", || async { cluster.client(1).created(&id).await.map(drop) }).await?;
            ids.push(id);
            polled(&cluster.sims, 3).await?;
            let planes: Vec<&RunningProgram> = cluster.control_planes.iter().collect();
            goes_on(&[cluster.admin(0), cluster.admin(1)], &planes, epoch).await?;
        }
    }
    cluster.is_level().await?;
    all_joined(&cluster.client(0), &ids).await?;
    let running: usize = cluster.sims.iter().map(|sim| sim.meetings().len()).sum();
    assert_eq!(running, ids.len(), "every one still runs, and once");
    Ok(())
}

/// I10: a standalone is killed and restarts with a clock that is wrong by hours or a day → no epoch
/// begins, and every meeting runs once.
#[tokio::test]
async fn i10_a_standalone_with_a_wrong_clock_begins_no_epoch() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut usher = RunningStandalone::start_on(Some(folder.path()), 2, &[]).await?;
    let epoch = at(&usher.admin()).await?.epoch;
    usher.set_environment("LD_PRELOAD", &faketime()?.display().to_string());
    usher.set_environment("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    let mut ids = Vec::new();
    for (number, offset) in OFFSETS.iter().enumerate() {
        ids.push(format!("before-{number}"));
        usher.client().created(&ids[ids.len() - 1]).await?;
        polled(&usher.sims, 2).await?;
        usher.set_environment("FAKETIME", offset);
        usher.process.kill()?;
        usher.restart().await?;
        ids.push(format!("after-{number}"));
        usher.client().created(&ids[ids.len() - 1]).await?;
        polled(&usher.sims, 3).await?;
        goes_on(&[usher.admin()], &[&usher.process], epoch).await?;
        all_joined(&usher.client(), &ids).await?;
    }
    let running: usize = usher.sims.iter().map(|sim| sim.meetings().len()).sum();
    assert_eq!(running, ids.len(), "every one still runs, and once");
    Ok(())
}
