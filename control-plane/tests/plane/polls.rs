//! Polls on demand, of many servers, and after a lost sample.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::time::Instant;
use usher_bbb::call::ApiCall;
use usher_bbb_sim::{BbbSim, FaultKind, SimFault, SimOptions};
use usher_control_plane::{
    ports::{Store, StoreTxn, TxnWrite},
    store::embedded::EmbeddedStore,
};
use usher_proto::v1::*;

use crate::bench::{Bench, INTERVAL, settings, until};

fn poll(id: &str) -> PollServerRequest {
    PollServerRequest { name: format!("servers/{id}") }
}

fn lists(sim: &BbbSim) -> usize {
    sim.calls().iter().filter(|call| call.name == "getMeetings").count()
}

#[tokio::test(flavor = "multi_thread")]
async fn s11_a_replica_that_does_not_lead_has_the_leader_poll() {
    let mut rare = settings();
    rare.health.interval = Duration::from_mins(1); // whatever is polled was asked for
    let store: Arc<dyn Store> = Arc::new(EmbeddedStore::open(None).expect("opens in memory"));
    let leader = Bench::on(rare.clone(), store.clone()).await;
    until("a leader", async || (leader.metric("usher_leader") > 0.0).then_some(())).await;
    let mut other = Bench::on(rare, store.clone()).await;
    other.sims.push(BbbSim::start(SimOptions::new("server-secret")).await.expect("listens"));
    other.add("bbb1", &other.sims[0], AdminState::Enabled).await;
    // The poll follows right after the server was added, before any scheduled poll.
    let polled = other.servers().poll_server(poll("bbb1")).await.expect("is polled").into_inner();
    assert_eq!(polled.servers[0].health(), Health::Online);
    other.create_at(&other.sims[0], "runs").await;
    let polled = other.servers().poll_server(poll("bbb1")).await.expect("is polled").into_inner();
    assert_eq!(polled.servers[0].listed_meetings, 1, "{polled:?}");
    assert!(store.read_prefix("polls/").await.expect("reads").entries.is_empty(), "asks are taken out");
    // A failed poll is an answer too.
    other.sims[0].faults().set(FaultKind::Refuse).await;
    other.servers().poll_server(poll("bbb1")).await.expect("was asked");
    other.stop().await;
    leader.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s11_a_server_that_was_just_added_is_polled_when_asked() {
    let mut bench = Bench::with_servers(0).await;
    until("it to lead", async || (bench.metric("usher_leader") > 0.0).then_some(())).await;
    for number in 1..=5 {
        bench.sims.push(BbbSim::start(SimOptions::new("server-secret")).await.expect("listens"));
        let id = format!("bbb{number}");
        bench.add(&id, bench.sim(&id), AdminState::Enabled).await;
        let polled = bench.servers().poll_server(poll(&id)).await.expect("is polled").into_inner();
        assert_eq!(polled.servers[0].health(), Health::Online);
    }
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn c4_a_server_that_answers_after_several_intervals_is_asked_once_at_a_time() {
    let mut late = settings();
    late.health.deadline = INTERVAL * 6; // longer than the interval, which loading would refuse
    let bench = Bench::with(late, 1).await;
    let takes = INTERVAL * 3;
    bench.sims[0].faults().set(SimFault::new(FaultKind::Slow(takes)).on(ApiCall::GetMeetings)).await;
    bench.sims[0].forget_calls();
    let begun = Instant::now();
    until("skipped polls", async || {
        (bench.metric("usher_polls_skipped_total{server=\"bbb1\"}") >= 5.0).then_some(())
    })
    .await;
    // If the polls ran one after the other, each would take its time; only the first and the last
    // may overlap.
    let (asked, passed) = (u32::try_from(lists(&bench.sims[0])).expect("is small"), begun.elapsed());
    assert!(asked >= 1 && takes * asked.saturating_sub(2) <= passed, "{asked} polls in {passed:?}");
    assert_eq!(bench.server("bbb1").await.health(), Health::Online, "slow is not failed");
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f6_a_server_whose_stored_load_is_lost_or_damaged_is_not_preferred_and_an_alarm_rises() {
    let mut slow = settings();
    slow.health.interval = Duration::from_secs(4);
    slow.health.deadline = Duration::from_secs(3);
    let store: Arc<dyn Store> = Arc::new(EmbeddedStore::open(None).expect("opens in memory"));
    let mut bench = Bench::on(slow.clone(), store.clone()).await;
    for number in 1..=3 {
        let sim = BbbSim::start(SimOptions::new("server-secret")).await.expect("listens");
        let id = format!("bbb{number}");
        bench.add(&id, &sim, AdminState::Enabled).await;
        bench.sims.push(sim);
        bench.until_health(&id, Health::Online).await;
    }
    bench.place("before").await.expect("every server has been asked: nothing is being rebuilt");
    // A replica that has led for less than an interval waits before the alarm. The next poll brings
    // the load back; it hangs, so that the state in between can be observed.
    for number in 1..=3 {
        let id = format!("bbb{number}");
        until("the second poll to be written", async || {
            let age = bench.server(&id).await.sample_age.is_some_and(|age| age.seconds < 1);
            (age && lists(bench.sim(&id)) >= 2).then_some(())
        })
        .await;
        bench.sim(&id).faults().set(SimFault::new(FaultKind::Hang).on(ApiCall::GetMeetings)).await;
    }
    let writes = vec![
        TxnWrite::Delete("load/bbb1".into()),
        TxnWrite::Put("load/bbb2".into(), Bytes::from_static(b"\xff\xff damaged")),
    ];
    let lost = Instant::now();
    store.commit(vec![StoreTxn { guards: Vec::new(), writes }]).await.expect("writes");
    until("the alarm", async || (bench.metric("usher_alarm{name=\"load_unknown\"}") > 0.0).then_some(()))
        .await;
    assert!(lost.elapsed() < slow.health.interval, "within one interval");
    for number in 0..6 {
        let placed = bench.place(&format!("room-{number}")).await.expect("bbb3 is known");
        assert_eq!(placed.server.expect("is named").id, "bbb3");
    }
    for sim in &bench.sims {
        sim.faults().clear().await;
    }
    until("the load to be known again", async || {
        (bench.metric("usher_alarm{name=\"load_unknown\"}") < 1.0).then_some(())
    })
    .await;
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn x6_a_failure_that_an_edge_reports_makes_the_server_unhealthy_within_an_interval() {
    let mut rare = settings();
    rare.health.interval = Duration::from_secs(30); // no poll makes the server online again meanwhile
    let bench = Bench::with(rare, 2).await;
    let mut report =
        ReportFailureRequest { server_id: "bbb1".into(), call: "create".into(), ..Default::default() };
    report.set_kind(FailureKind::Connect);
    bench.placement().report_failure(report).await.expect("is taken");
    let reported = Instant::now();
    bench.until_health("bbb1", Health::Unhealthy).await;
    assert!(reported.elapsed() < Duration::from_secs(10));
    assert!(bench.server("bbb1").await.health_reason.contains("create"));
    assert_eq!(bench.place("room").await.expect("is placed").server.expect("is named").id, "bbb2");
    bench.stop().await;
}
