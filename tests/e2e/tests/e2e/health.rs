//! Failing servers: the changes of their health, and the effect on their meetings.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures::future::{join_all, try_join_all};
use usher_bbb::call::ApiCall;
use usher_bbb_sim::{BbbSim, FaultKind, SimFault};
use usher_harness::{admin::TestAdmin, standalone::RunningStandalone, wait};
use usher_proto::v1::{Health, Server};

async fn becomes(admin: &TestAdmin, id: &str, health: Health) -> Result<Server> {
    wait::until(&format!("{id} to be {health:?}"), || async {
        let server = admin.server(id).await?;
        ensure!(server.health() == health, "{:?}: {}", server.health(), server.health_reason);
        Ok(server)
    })
    .await
}

/// Creates meetings until one is on this server, and returns its id.
async fn a_meeting_on(usher: &RunningStandalone, server: usize) -> Result<String> {
    for number in 0..60 {
        let id = format!("on-{server}-{number}");
        usher.client().created(&id).await?;
        if has(&usher.sims[server], &id) {
            return Ok(id);
        }
    }
    anyhow::bail!("of 60 meetings none came to server {server}")
}

fn has(sim: &BbbSim, id: &str) -> bool {
    sim.meetings().iter().any(|meeting| meeting.meeting_id == id)
}

/// H1: one poll of a server fails → it is unhealthy, gets no new meeting, and its meetings can be
/// joined.
#[tokio::test]
async fn h1_one_failed_poll_takes_a_server_out_of_placement_but_not_its_meetings() -> Result<()> {
    let usher = RunningStandalone::start(3, &[("health.unhealthy_after", "60s")]).await?;
    let running = a_meeting_on(&usher, 0).await?;
    usher.sims[0].faults().set(FaultKind::Refuse).await;
    let server = becomes(&usher.admin(), "bbb-0", Health::Unhealthy).await?;
    assert!(server.error_count >= 1 && server.recover_count == 0, "{server:?}");
    assert!(!server.health_reason.is_empty(), "it has a reason");
    let before = usher.sims[0].meetings().len();
    for number in 0..12 {
        usher.client().created(&format!("elsewhere-{number}")).await?;
    }
    assert_eq!(usher.sims[0].meetings().len(), before, "no new meeting there");
    usher.client().joined(&running).await?;
    Ok(())
}

/// H2, H3, H5: a server refuses connections → it is offline at the sixth failed poll and its ids
/// are free; it answers again → it is online after enough good polls in a row.
#[tokio::test]
async fn h2_h3_h5_offline_frees_ids_and_online_needs_good_polls() -> Result<()> {
    let usher = RunningStandalone::start(3, &[]).await?;
    let id = a_meeting_on(&usher, 0).await?;
    usher.sims[0].faults().set(FaultKind::Refuse).await;
    let offline = becomes(&usher.admin(), "bbb-0", Health::Offline).await?;
    assert_eq!((offline.error_count, offline.recover_count), (6, 0), "offline exactly at the sixth failure");
    // The edge gets the change a moment after the control plane has answered.
    wait::until("the meetings of the offline server not to be joined", || async {
        let join = usher.client().join(&id).await?;
        ensure!(join.text("returncode") == Some("FAILED"), "{}", join.body);
        Ok(())
    })
    .await?;
    usher.client().created(&id).await?;
    let hosts: Vec<usize> = (0..3).filter(|&number| has(&usher.sims[number], &id)).collect();
    assert!(hosts.contains(&1) || hosts.contains(&2), "the id lives on another server: {hosts:?}");
    usher.client().joined(&id).await?;
    usher.sims[0].faults().clear().await;
    let online = becomes(&usher.admin(), "bbb-0", Health::Online).await?;
    assert_eq!(online.error_count, 0, "recover = HT implies error = 0");
    Ok(())
}

/// H4: twenty concurrent creates of an id whose server is unhealthy → each fails with a retryable
/// error, and no second instance is created.
#[tokio::test]
async fn h4_while_unhealthy_an_id_is_never_placed_on_a_second_server() -> Result<()> {
    let usher =
        RunningStandalone::start(3, &[("health.unhealthy_after", "60s"), ("meetings.create_timeout", "1s")])
            .await?;
    let id = a_meeting_on(&usher, 0).await?;
    usher.sims[0].faults().set(FaultKind::Hang).await;
    becomes(&usher.admin(), "bbb-0", Health::Unhealthy).await?;
    let client = usher.client();
    let answers = join_all((0..20).map(|_| client.create(&id))).await;
    for answer in answers {
        let answer = answer?;
        assert_eq!((answer.status, answer.text("returncode")), (200, Some("FAILED")), "{}", answer.body);
    }
    assert!(!has(&usher.sims[1], &id) && !has(&usher.sims[2], &id), "it was not created a second time");
    Ok(())
}

/// H9: a hundred creates fail on a server whose polls succeed → the server does not become offline,
/// and its meeting can be joined.
#[tokio::test]
async fn h9_failed_calls_alone_take_no_server_offline() -> Result<()> {
    let usher = RunningStandalone::start(1, &[("placement.max_inflight_creates", "200")]).await?;
    usher.client().created("before").await?;
    usher.sims[0].faults().set(SimFault::new(FaultKind::Status500).on(ApiCall::Create)).await;
    let client = usher.client();
    let creates = (0..100).map(|number| {
        let client = &client;
        async move { client.create(&format!("failing-{number}")).await }
    });
    for answer in try_join_all(creates).await? {
        assert_eq!((answer.status, answer.text("returncode")), (200, Some("FAILED")), "{}", answer.body);
    }
    let server = usher.admin().server("bbb-0").await?;
    assert_ne!(server.health(), Health::Offline);
    assert!(server.error_count <= 1, "{server:?}");
    usher.client().joined("before").await?;
    Ok(())
}

/// X6: the polls of a server succeed and every create there fails, so that it looks idle and would
/// get all meetings → the failure is noticed.
#[tokio::test]
async fn x6_a_server_that_fails_every_create_is_noticed_although_its_polls_are_good() -> Result<()> {
    let usher = RunningStandalone::start(3, &[("health.interval", "4s")]).await?;
    let running = a_meeting_on(&usher, 0).await?;
    usher.sims[0].faults().set(SimFault::new(FaultKind::Status500).on(ApiCall::Create)).await;
    let (admin, client) = (usher.admin(), usher.client());
    let tried = std::sync::atomic::AtomicUsize::new(0);
    wait::until("the server to be unhealthy", || async {
        let number = tried.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        client.create(&format!("tried-{number}")).await?;
        let server = admin.server("bbb-0").await?;
        ensure!(server.health() == Health::Unhealthy, "{:?}", server.health());
        Ok(())
    })
    .await?;
    client.joined(&running).await?;
    Ok(())
}

/// H11: a poll was sent before a meeting was confirmed (the watermark) → the poll does not remove
/// the record.
#[tokio::test]
async fn h11_a_poll_does_not_remove_a_meeting_newer_than_itself() -> Result<()> {
    let usher =
        RunningStandalone::start(1, &[("health.interval", "2s"), ("health.deadline", "1900ms")]).await?;
    usher.sims[0].faults().set(FaultKind::FrozenList).await;
    usher.sims[0]
        .faults()
        .set(SimFault::new(FaultKind::Slow(Duration::from_millis(1200))).on(ApiCall::GetMeetings))
        .await;
    let polls = |sim: &BbbSim| sim.calls().iter().filter(|call| call.name == "getMeetings").count();
    let before = polls(&usher.sims[0]);
    wait::until("a poll to be under way", || async {
        ensure!(polls(&usher.sims[0]) > before);
        Ok(())
    })
    .await?;
    usher.client().created("fresh").await?;
    usher.sims[0].faults().clear().await;
    let age = usher.admin().server("bbb-0").await?.sample_age.context("it was polled")?;
    wait::until("that poll to be applied", || async {
        let now = usher.admin().server("bbb-0").await?.sample_age.context("it was polled")?;
        ensure!((now.seconds, now.nanos) < (age.seconds, age.nanos), "{now:?}");
        Ok(())
    })
    .await?;
    assert_eq!(usher.admin().meetings().await?.len(), 1);
    usher.client().joined("fresh").await?;
    Ok(())
}

/// H12: polls get malformed or failed answers of six kinds → the server is unhealthy, and no record
/// is removed.
#[tokio::test]
async fn h12_a_malformed_or_failed_answer_removes_no_record() -> Result<()> {
    let usher = RunningStandalone::start(1, &[("health.unhealthy_after", "60s")]).await?;
    usher.client().created("kept").await?;
    let kinds = [
        FaultKind::EmptyBody,
        FaultKind::Html,
        FaultKind::CutXml,
        FaultKind::ChecksumError,
        FaultKind::Status500,
        FaultKind::LostAnswer,
    ];
    for kind in kinds {
        usher.sims[0].faults().set(SimFault::new(kind).on(ApiCall::GetMeetings)).await;
        let failed = becomes(&usher.admin(), "bbb-0", Health::Unhealthy).await?;
        assert!(!failed.health_reason.is_empty(), "{kind:?}");
        assert_eq!(usher.admin().meetings().await?.len(), 1, "{kind:?}");
        usher.client().joined("kept").await?;
        usher.sims[0].faults().clear().await;
        becomes(&usher.admin(), "bbb-0", Health::Online).await?;
        assert_eq!(usher.admin().meetings().await?.len(), 1, "{kind:?}");
    }
    Ok(())
}

/// H12, the reverse: a well-formed list does not contain a meeting → its record is removed.
#[tokio::test]
async fn a_meeting_that_ended_at_its_server_is_forgotten() -> Result<()> {
    let usher = RunningStandalone::start(1, &[]).await?;
    usher.client().created("short").await?;
    usher.sims[0].end_meeting("short");
    wait::until("the record to go", || async {
        ensure!(usher.admin().meetings().await?.is_empty());
        Ok(())
    })
    .await?;
    usher.client().created("short").await?;
    Ok(())
}

/// C1, C3: some servers accept connections and never answer → polls of the other servers and joins
/// are not delayed.
#[tokio::test]
async fn c1_c3_hung_servers_delay_neither_polls_nor_joins() -> Result<()> {
    let usher = RunningStandalone::start(9, &[("health.unhealthy_after", "60s")]).await?;
    let running = a_meeting_on(&usher, 8).await?;
    for sim in &usher.sims[..3] {
        sim.faults().set(FaultKind::HangOnAccept).await;
    }
    for number in 0..3 {
        becomes(&usher.admin(), &format!("bbb-{number}"), Health::Unhealthy).await?;
    }
    let client = usher.client();
    let mut times = Vec::new();
    for _ in 0..200 {
        let begun = tokio::time::Instant::now();
        client.joined(&running).await?;
        times.push(begun.elapsed());
    }
    times.sort();
    assert!(times[100] < Duration::from_millis(50), "joins take {:?}", times[100]);
    for server in usher.admin().servers().await?.iter().filter(|server| server.health() == Health::Online) {
        let age = server.sample_age.context("an online server was polled")?;
        assert!(age.seconds < 2, "{} was polled {age:?} ago", server.name);
    }
    Ok(())
}

/// S8: one of three servers does not answer → `getMeetings` returns the meetings of the other two
/// before the deadline.
#[tokio::test]
async fn s8_a_hung_server_does_not_fail_get_meetings() -> Result<()> {
    let usher = RunningStandalone::start(3, &[("health.unhealthy_after", "60s")]).await?;
    for number in 0..9 {
        usher.client().created(&format!("listed-{number}")).await?;
    }
    let elsewhere = 9 - usher.sims[0].meetings().len();
    usher.sims[0].faults().set(SimFault::new(FaultKind::Hang).on(ApiCall::GetMeetings)).await;
    let begun = tokio::time::Instant::now();
    let listed = usher.client().get("getMeetings", "").await?;
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    assert!(listed.is_success(), "{}", listed.body);
    assert_eq!(listed.texts("meetingID").len(), elsewhere, "{}", listed.body);
    Ok(())
}

/// A server refuses a connection for a create → the edge places the id on another server, and the
/// caller sees no failure.
#[tokio::test]
async fn a_refused_connection_is_retried_on_another_server() -> Result<()> {
    let usher =
        RunningStandalone::start(3, &[("health.interval", "10s"), ("health.unhealthy_after", "60s")]).await?;
    usher.sims[0].faults().set(FaultKind::Refuse).await;
    for number in 0..12 {
        usher.client().created(&format!("anyway-{number}")).await?;
    }
    assert!(usher.sims[0].meetings().is_empty());
    Ok(())
}
