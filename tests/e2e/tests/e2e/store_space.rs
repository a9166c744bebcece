//! The store does not fill during normal operation: the size of the writes of polls, and their
//! history (F8).

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use usher_bbb_sim::BbbSim;
use usher_harness::{
    client::BbbTestClient, cluster::TestCluster, process::RunningProgram, standalone::RunningStandalone, wait,
};

use crate::store_faults::metric;

fn polls(sim: &BbbSim) -> usize {
    sim.calls().iter().filter(|call| call.name == "getMeetings").count()
}

async fn polled(sims: &[BbbSim], times: usize, mut meanwhile: impl FnMut(usize)) -> Result<()> {
    let before: Vec<usize> = sims.iter().map(polls).collect();
    let goal = |turn: usize| before.iter().map(move |before| before + turn);
    for turn in 1..=times {
        meanwhile(turn);
        wait::until_within(Duration::from_secs(20), "one more poll", || async {
            ensure!(sims.iter().zip(goal(turn)).all(|(sim, goal)| polls(sim) >= goal));
            Ok(())
        })
        .await?;
    }
    Ok(())
}

/// Creates meetings of another balancer, which a sample lists as Usher's; each has users.
pub(crate) async fn fill(sim: &BbbSim, meetings: usize) -> Result<()> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    for number in 0..meetings {
        let query =
            format!("meetingID=a-lecture-with-a-name-of-some-length-{number}&name=Lecture&record=false");
        let answer = client.get(sim.signed_url("create", &query)).send().await?.text().await?;
        ensure!(answer.contains("SUCCESS"), "{answer}");
        sim.set_crowd(&crowd(number), 20 + number % 7);
    }
    Ok(())
}

fn crowd(number: usize) -> String {
    format!("a-lecture-with-a-name-of-some-length-{number}")
}

/// Lets a user join one meeting and another leave one.
fn wander(sims: &[BbbSim], meetings: usize, turn: usize) {
    for (at, sim) in sims.iter().enumerate() {
        let number = (turn * 7 + at) % meetings;
        sim.set_crowd(&crowd(number), 20 + number % 7 + turn % 2);
    }
}

async fn database(cluster: &TestCluster) -> Result<i64> {
    Ok(cluster.etcd().client(0).await?.status().await?.db_size())
}

/// F8: with a quota of 8 MiB, servers with three hundred meetings each are polled a hundred times
/// (whole samples without compaction would be 12 MB of history) → no create is refused, and the
/// size of the database stabilizes.
#[tokio::test]
async fn f8_polls_do_not_fill_a_store_and_creates_are_never_refused() -> Result<()> {
    let meetings = 300;
    let cluster = TestCluster::builder()
        .etcd_flag("--quota-backend-bytes=8388608")
        .set("store.quota", "8MiB")
        .set("store.compact_every", "2s")
        .set("health.interval", "300ms")
        .set("health.deadline", "290ms")
        .set("health.connect_timeout", "250ms")
        .start()
        .await?;
    for sim in &cluster.sims {
        fill(sim, meetings).await?;
    }
    let mut sizes = Vec::new();
    for round in 0..5 {
        polled(&cluster.sims, 20, |turn| wander(&cluster.sims, meetings, turn)).await?;
        let id = format!("room-{round}");
        cluster.client(round % 2).created(&id).await.context("a create is refused")?;
        sizes.push(database(&cluster).await?);
    }
    println!("the database: {sizes:?} bytes after each 20 polls of 3 servers with {meetings} meetings");
    ensure!(sizes[4] < 4 << 20, "{sizes:?}");
    ensure!(sizes[4] - sizes[2] < 512 << 10, "it goes on growing: {sizes:?}");
    for round in 0..5 {
        cluster.client(0).joined(&format!("room-{round}")).await?;
    }
    // Every control plane reports the size; only the leader compacts.
    for plane in &cluster.control_planes {
        wait::until("the figures", || async {
            ensure!(metric(plane, "usher_store_bytes").await? > 0.0, "not looked at");
            Ok(())
        })
        .await?;
        assert_eq!(metric(plane, "usher_store_quota_bytes").await?, f64::from(8 << 20));
        assert_eq!(metric(plane, "usher_alarm{name=\"store_space\"").await?, 0.0);
    }
    let leader = cluster.leader().await?;
    let status = cluster.admin(leader).status().await?;
    ensure!(status.store_bytes() > 0 && status.store_quota_bytes() == 8 << 20, "{status:?}");
    ensure!(status.store_compaction_age.is_some(), "the leader has compacted: {status:?}");
    Ok(())
}

/// Returns the oldest sample that a control plane reports, in seconds.
async fn oldest_sample(plane: &RunningProgram, servers: usize) -> Result<f64> {
    let mut oldest = 0.0_f64;
    for number in 0..servers {
        let name = format!("usher_load_sample_age_seconds{{server=\"bbb-{number}\"");
        oldest = oldest.max(metric(plane, &name).await?);
    }
    Ok(oldest)
}

/// F8: fifty meetings a server are polled without changes or compaction → a poll takes at most 64
/// bytes of the database, and the samples are fresh on every replica. The figures are for the docs.
#[tokio::test]
async fn f8_a_poll_that_saw_the_same_takes_no_space() -> Result<()> {
    let (meetings, servers, times) = (50, 3, 100);
    let cluster = TestCluster::builder()
        .servers(servers)
        .set("store.compact_every", "0s")
        .set("health.interval", "300ms")
        .set("health.deadline", "290ms")
        .set("health.connect_timeout", "250ms")
        .start()
        .await?;
    for sim in &cluster.sims {
        fill(sim, meetings).await?;
    }
    polled(&cluster.sims, 15, |_| {}).await?;
    let revision = cluster.etcd().revision().await?;
    let (before, mut ages) = (database(&cluster).await?, Vec::new());
    for _ in 0..10 {
        polled(&cluster.sims, times / 10, |_| {}).await?;
        for plane in &cluster.control_planes {
            ages.push(oldest_sample(plane, servers).await?);
        }
    }
    let (same, writes) = (database(&cluster).await?, cluster.etcd().revision().await? - revision);
    let polls = i64::try_from(times * servers)?;
    polled(&cluster.sims, 60, |turn| wander(&cluster.sims, meetings, turn)).await?;
    let moving = (database(&cluster).await? - same) / i64::try_from(60 * servers)?;
    let each = (same - before) / polls;
    let oldest = ages.iter().copied().fold(0.0, f64::max);
    println!(
        "{each} bytes of the database and {writes} writes for {polls} polls of {meetings} meetings, \
         {moving} bytes where users come and go; samples are {oldest} s old at most"
    );
    ensure!(each <= 64 && moving < 2_000, "{each} and {moving} bytes");
    ensure!(i64::try_from(writes)? * 20 < polls, "{writes} writes");
    ensure!(oldest < 5.0, "a sample is {oldest} s old");
    Ok(())
}

/// F8: the database reaches 70 % of its quota → an alarm reports it before a write is refused.
#[tokio::test]
async fn f8_an_alarm_says_that_the_store_is_filling_before_it_is_full() -> Result<()> {
    let cluster =
        TestCluster::builder().set("store.quota", "1MiB").set("store.compact_every", "4s").start().await?;
    let raised = |wanted: f64| {
        let cluster = &cluster;
        async move {
            for plane in &cluster.control_planes {
                let raised = metric(plane, "usher_alarm{name=\"store_space\"").await?;
                ensure!((raised - wanted).abs() < 0.5, "{raised}");
            }
            anyhow::Ok(())
        }
    };
    raised(0.0).await?;
    let mut client = cluster.etcd().client(0).await?;
    for number in 0..10 {
        client.put(format!("other/{number}"), vec![0_u8; 100_000], None).await?;
    }
    wait::until("the alarm on every replica", || raised(1.0)).await?;
    let status = cluster.admin(0).status().await?;
    let detail = status.alarms.iter().find(|alarm| alarm.kind == "store_space").context("is shown")?;
    ensure!(detail.detail.contains("1048576 bytes"), "{detail:?}");
    cluster.client(0).created("room").await.context("no create is refused yet")?;
    Ok(())
}

/// F8: the same load on the embedded store → the size of its file stabilizes, and no create is
/// refused.
#[tokio::test]
async fn f8_polls_do_not_fill_the_file_of_a_standalone() -> Result<()> {
    let (folder, meetings) = (tempfile::tempdir()?, 300);
    let usher = RunningStandalone::start_on(Some(folder.path()), 2, &[]).await?;
    for sim in &usher.sims {
        fill(sim, meetings).await?;
    }
    let size = || std::fs::metadata(folder.path().join("usher.redb")).map(|file| file.len());
    let mut sizes = Vec::new();
    let client: BbbTestClient = usher.client();
    for round in 0..3 {
        polled(&usher.sims, 15, |turn| wander(&usher.sims, meetings, turn)).await?;
        client.created(&format!("room-{round}")).await.context("a create is refused")?;
        sizes.push(size()?);
    }
    println!("the file: {sizes:?} bytes after each 15 polls of 2 servers with {meetings} meetings");
    ensure!(sizes[2] <= sizes[0].max(4 << 20), "{sizes:?}");
    ensure!(usher.admin().status().await?.store_bytes() > 0);
    Ok(())
}
