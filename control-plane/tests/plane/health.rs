//! Health by polls and by passive reports.

use std::time::Duration;

use usher_bbb::call::ApiCall;
use usher_bbb_sim::{FaultKind, SimFault};
use usher_proto::v1::*;

use crate::{
    bench::{Bench, INTERVAL, settings, until},
    hooks::add_tenant,
};

#[tokio::test(flavor = "multi_thread")]
async fn h1_one_failed_poll_takes_a_server_out_and_its_meeting_stays() {
    let mut slow = settings();
    slow.health.unhealthy_after = INTERVAL * 200; // the server stays unhealthy for the length of the test
    let bench = Bench::with(slow, 3).await;
    let home = bench.create("runs").await;
    bench.sim(&home).faults().set(FaultKind::Refuse).await;
    bench.until_health(&home, Health::Unhealthy).await;
    let server = bench.server(&home).await;
    assert!(server.error_count >= 1 && server.health_reason.contains("connect"), "{server:?}");
    for number in 0..10 {
        let placed = bench.place(&format!("new-{number}")).await.expect("placed");
        assert_ne!(placed.server.expect("is named").id, home);
    }
    let meeting = bench.meeting("runs").await.expect("stays");
    assert!(!meeting.detached && meeting.server == format!("servers/{home}"));
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h2_h5_a_dead_server_becomes_offline_after_ut_failures_and_frees_its_ids() {
    let bench = Bench::with_servers(3).await;
    let home = bench.create("moves").await;
    bench.sim(&home).faults().set(FaultKind::Refuse).await;
    bench.until_health(&home, Health::Offline).await;
    assert_eq!(bench.server(&home).await.error_count, 5);
    assert!(bench.meeting("moves").await.expect("is detached").detached);
    let away = bench.create("moves").await;
    assert_ne!(away, home);
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h3_h6_after_ht_successes_a_server_is_online_ends_superseded_meetings_and_restores_the_others() {
    let bench = Bench::with_servers(3).await;
    let home = bench.create("moves").await;
    let mut stays = None;
    for number in 0..20 {
        let id = format!("stays-{number}");
        if bench.create(&id).await == home {
            stays = Some(id);
            break;
        }
    }
    let stays = stays.expect("three equal servers each get one of twenty");
    bench.sim(&home).faults().set(FaultKind::Refuse).await;
    bench.until_health(&home, Health::Offline).await;
    assert_ne!(bench.create("moves").await, home);
    bench.sim(&home).faults().clear().await;
    let gone = |id: &str| bench.sim(&home).meetings().iter().all(|meeting| meeting.meeting_id != id);
    until("the superseded one to end", async || gone("moves").then_some(())).await;
    bench.until_health(&home, Health::Online).await;
    assert_eq!(bench.server(&home).await.error_count, 0);
    assert!(!gone(&stays), "never superseded, never ended");
    let restored = bench.meeting(&stays).await.expect("is back");
    assert!(!restored.detached && restored.server == format!("servers/{home}"));
    bench.stop().await;
}

/// Returns a report that calls of these tenants' meetings failed at bbb1 while others succeeded at
/// other servers.
fn failed(kind: FailureKind, callers: &[(&str, &str)]) -> ReportFailureRequest {
    let caller = |(tenant, meeting): &(&str, &str)| FailedCaller {
        tenant: (*tenant).into(),
        meeting_id: (*meeting).into(),
    };
    ReportFailureRequest {
        server_id: "bbb1".into(),
        kind: kind.into(),
        call: "create".into(),
        failed_callers: callers.iter().map(caller).collect(),
        succeeds_elsewhere: true,
    }
}

/// Polls succeed all the time, so only the reports can change the health.
#[tokio::test(flavor = "multi_thread")]
async fn x6_whatever_one_tenants_calls_die_of_a_server_with_good_polls_stays_online() {
    let bench = Bench::with_servers(2).await;
    add_tenant(&bench, "hostile").await;
    add_tenant(&bench, "other").await;
    let polled = || bench.sim("bbb1").calls().iter().filter(|call| call.name == "getMeetings").count();
    let before = polled();
    let meetings = [("hostile", "a"), ("hostile", "b"), ("hostile", "c"), ("hostile", "d")];
    for round in 0..60 {
        let kinds = [FailureKind::ServerError, FailureKind::Timeout, FailureKind::BadAnswer];
        let report = failed(kinds[round % 3], &meetings[..=round % 4]);
        bench.placement().report_failure(report).await.expect("is taken");
        let server = bench.server("bbb1").await;
        assert_eq!((server.health(), server.error_count), (Health::Online, 0), "{server:?}");
        assert!(server.health_reason.is_empty(), "{server:?}");
    }
    assert!(polled() > before, "it was looked at");
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn x6_a_tenant_that_is_alone_needs_three_meetings_and_other_servers_that_do_better() {
    let mut rare = settings();
    rare.health.interval = Duration::from_secs(30);
    let bench = Bench::with(rare, 2).await;
    add_tenant(&bench, "only").await;
    let meetings = [("only", "a"), ("only", "b"), ("only", "c")];
    let two = failed(FailureKind::ServerError, &meetings[..2]);
    bench.placement().report_failure(two).await.expect("is taken");
    assert_eq!(bench.server("bbb1").await.health(), Health::Online);
    let everywhere =
        ReportFailureRequest { succeeds_elsewhere: false, ..failed(FailureKind::ServerError, &meetings) };
    bench.placement().report_failure(everywhere).await.expect("is taken");
    assert_eq!(bench.server("bbb1").await.health(), Health::Online);
    let three = failed(FailureKind::ServerError, &meetings);
    bench.placement().report_failure(three).await.expect("is taken");
    assert_eq!(bench.server("bbb1").await.health(), Health::Unhealthy);
    bench.stop().await;
}

/// The poll that a single failed call requests finds the server unreachable long before the
/// scheduled one.
#[tokio::test(flavor = "multi_thread")]
async fn x6_a_failed_call_has_the_server_looked_at_and_that_look_counts() {
    let mut rare = settings();
    rare.health.interval = Duration::from_mins(1);
    let bench = Bench::with(rare, 2).await;
    bench.sim("bbb1").faults().set(SimFault::new(FaultKind::Hang).on(ApiCall::GetMeetings)).await;
    let report = failed(FailureKind::Timeout, &[("default", "a")]);
    bench.placement().report_failure(report).await.expect("is taken");
    bench.until_health("bbb1", Health::Unhealthy).await;
    let server = bench.server("bbb1").await;
    assert_eq!(server.error_count, 0, "a requested poll brings offline no nearer: {server:?}");
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h9_reports_of_edges_make_a_server_unhealthy_and_never_offline() {
    let bench = Bench::with_servers(3).await;
    for tenant in ["one", "two"] {
        add_tenant(&bench, tenant).await;
    }
    let report = || failed(FailureKind::ServerError, &[("one", "a"), ("two", "b")]);
    bench.placement().report_failure(report()).await.expect("is taken");
    // Polls go on to succeed, so the server may recover already; it was unhealthy in between.
    for _ in 0..50 {
        bench.placement().report_failure(report()).await.expect("is taken");
        let server = bench.server("bbb1").await;
        assert!(server.health() != Health::Offline && server.error_count <= 1, "{server:?}");
    }
    until("bbb1 to recover", async || (bench.server("bbb1").await.health() == Health::Online).then_some(()))
        .await;
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h10_when_most_servers_fail_at_once_none_becomes_offline_and_an_alarm_is_raised() {
    let bench = Bench::with_servers(3).await;
    for sim in &bench.sims[..2] {
        sim.faults().set(FaultKind::Refuse).await;
    }
    until("the alarm", async || (bench.metric("usher_alarm{name=\"suspect_self\"}") > 0.0).then_some(()))
        .await;
    until("more failures than make a server offline", async || {
        (bench.metric("usher_polls_total{server=\"bbb1\",outcome=\"connect\"}") > 7.0).then_some(())
    })
    .await;
    for id in ["bbb1", "bbb2"] {
        assert_eq!(bench.server(id).await.health(), Health::Unhealthy);
    }
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn c3_c4_hung_servers_delay_no_other_and_have_one_poll_at_a_time() {
    let bench = Bench::with_servers(6).await;
    for sim in &bench.sims[..2] {
        sim.faults().set(FaultKind::HangOnAccept).await;
    }
    for sim in &bench.sims {
        sim.forget_calls();
    }
    bench.until_health("bbb1", Health::Unhealthy).await;
    let polls = |id: &str| bench.sim(id).calls().iter().filter(|call| call.name == "getMeetings").count();
    until("five rounds of the others", async || {
        ["bbb3", "bbb4", "bbb5", "bbb6"].iter().all(|id| polls(id) >= 5).then_some(())
    })
    .await;
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn c4_a_poll_that_is_late_is_skipped_and_counted() {
    let mut late = settings();
    late.health.deadline = INTERVAL * 4; // longer than the interval, which loading would refuse
    let bench = Bench::with(late, 1).await;
    bench.sims[0].faults().set(SimFault::new(FaultKind::Slow(INTERVAL * 3)).on(ApiCall::GetMeetings)).await;
    until("skipped polls", async || {
        (bench.metric("usher_polls_skipped_total{server=\"bbb1\"}") >= 2.0).then_some(())
    })
    .await;
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn c2_every_way_of_hanging_ends_by_the_deadline() {
    let bench = Bench::with_servers(1).await;
    for fault in [FaultKind::Hang, FaultKind::HangOnAccept, FaultKind::Trickle(Duration::from_millis(500))] {
        bench.sims[0].faults().set(fault).await;
        let before = bench.metric("usher_polls_total{server=\"bbb1\",outcome=\"timeout\"}");
        until("a poll to run out of time", async || {
            (bench.metric("usher_polls_total{server=\"bbb1\",outcome=\"timeout\"}") > before).then_some(())
        })
        .await;
        bench.sims[0].faults().clear().await;
    }
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s11_polling_now_joins_a_poll_under_way_and_moves_no_counter() {
    let bench = Bench::with_servers(1).await;
    bench.sims[0].faults().set(SimFault::new(FaultKind::Slow(INTERVAL / 2)).on(ApiCall::GetMeetings)).await;
    bench.sims[0].forget_calls();
    let polls = (0..20).map(|_| async {
        let request = PollServerRequest { name: "servers/-".into() };
        bench.servers().poll_server(request).await.expect("polls").into_inner().servers.len()
    });
    assert!(futures::future::join_all(polls).await.iter().all(|count| *count == 1));
    let calls = bench.sims[0].calls().len();
    assert!(calls <= 6, "twenty requests made {calls} polls");
    bench.stop().await;
}
