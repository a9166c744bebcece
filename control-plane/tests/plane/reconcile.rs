//! The effects of polls on records.

use usher_bbb::call::ApiCall;
use usher_bbb_sim::{FaultKind, SimFault};
use usher_model::settings::ZombiePolicy;
use usher_proto::v1::*;

use crate::bench::{Bench, INTERVAL, settings, until};

/// Waits for `count` further polls of a server, of any outcome.
async fn polls(bench: &Bench, id: &str, count: usize) {
    bench.sim(id).forget_calls();
    until("polls", async || {
        let calls = bench.sim(id).calls();
        (calls.iter().filter(|call| call.name == "getMeetings").count() >= count).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h12_answers_that_are_no_list_remove_nothing() {
    let bench = Bench::with_servers(1).await;
    bench.create("lives").await;
    for fault in [
        FaultKind::EmptyBody,
        FaultKind::Html,
        FaultKind::CutXml,
        FaultKind::ChecksumError,
        FaultKind::Status500,
        FaultKind::LostAnswer,
    ] {
        bench.sims[0].faults().set(SimFault::new(fault).on(ApiCall::GetMeetings)).await;
        polls(&bench, "bbb1", 3).await;
        assert!(bench.meeting("lives").await.is_some(), "{fault:?}");
        bench.sims[0].faults().clear().await;
        bench.until_health("bbb1", Health::Online).await;
    }
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h11_a_poll_sent_before_a_create_does_not_remove_it() {
    let bench = Bench::with_servers(1).await;
    bench.sims[0].faults().set(SimFault::new(FaultKind::Slow(INTERVAL / 2)).on(ApiCall::GetMeetings)).await;
    for number in 0..10 {
        let id = format!("h11-{number}");
        bench.create(&id).await;
        polls(&bench, "bbb1", 2).await;
        assert!(bench.meeting(&id).await.is_some(), "{id}");
    }
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_meeting_that_ended_by_itself_is_removed_by_a_poll() {
    let bench = Bench::with_servers(1).await;
    bench.create("ends").await;
    assert!(bench.sims[0].end_meeting("ends"));
    until("the record to go", async || bench.meeting("ends").await.is_none().then_some(())).await;
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f9_a_frozen_list_removes_nothing_that_still_runs_and_raises_an_alarm() {
    let bench = Bench::with_servers(1).await;
    bench.sims[0].faults().set(SimFault::new(FaultKind::FrozenList).on(ApiCall::GetMeetings)).await;
    bench.create("unlisted").await;
    until("the alarm", async || {
        (bench.metric("usher_alarm{name=\"snapshot_inconsistent\"}") > 0.0).then_some(())
    })
    .await;
    assert!(bench.meeting("unlisted").await.is_some());
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pending_record_whose_edge_vanished_is_settled_by_polls() {
    let bench = Bench::with_servers(1).await;
    // One meeting was created, the other never was.
    let placed = bench.place("created").await.expect("placed");
    let sim = &bench.sims[0];
    assert_eq!(placed.server.expect("is named").url, sim.url());
    bench.create_at(sim, "created").await;
    bench.place("never").await.expect("placed");
    until("one to be active", async || {
        (bench.meeting("created").await?.state() == RecordState::Active).then_some(())
    })
    .await;
    until("the other to go", async || bench.meeting("never").await.is_none().then_some(())).await;
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_marked_meeting_that_nobody_knows_is_adopted() {
    let bench = Bench::with_servers(1).await;
    bench.create_at(&bench.sims[0], "adopted").await;
    until("the record", async || bench.meeting("adopted").await).await;
    bench.stop().await;
}

/// Server bbb1 is disabled by panic while its `end` calls hang: its zombies stay queued, the polls
/// of other servers stay on time, and the zombies go once the server answers.
#[tokio::test(flavor = "multi_thread")]
async fn c6_c7_h7_a_backlog_on_a_server_whose_ends_hang_stays_queued_and_delays_nobody() {
    let bench = Bench::with_servers(2).await;
    let mut there = 0;
    for number in 0..14 {
        there += usize::from(bench.create(&format!("backlog-{number}")).await == "bbb1");
    }
    assert!(there > 3, "two equal servers share fourteen");
    bench.sims[0].faults().set(SimFault::new(FaultKind::Hang).on(ApiCall::End)).await;
    let request = PanicServerRequest { name: "servers/bbb1".into(), etag: String::new() };
    let freed = bench.servers().panic_server(request).await.expect("panics").into_inner();
    assert_eq!(freed.freed_meetings as usize, there);
    until("an end to fail", async || {
        let failed = ["failed", "timeout"].map(|outcome| {
            bench.metric(&format!("usher_ends_total{{server=\"bbb1\",outcome=\"{outcome}\"}}"))
        });
        (failed.iter().sum::<f64>() >= 4.0).then_some(())
    })
    .await;
    polls(&bench, "bbb1", 3).await;
    polls(&bench, "bbb2", 5).await;
    let zombies = async || {
        let list = bench.meetings().list_zombies(ListZombiesRequest::default()).await.expect("lists");
        list.into_inner().zombies.len()
    };
    assert_eq!(zombies().await, there, "done only when it is known to be done");
    bench.sims[0].faults().clear().await;
    until("the backlog to go", async || (zombies().await == 0).then_some(())).await;
    assert!(bench.sims[0].meetings().is_empty());
    bench.stop().await;
}

/// One good poll makes the server online, so `end` must still come before the restore.
#[tokio::test(flavor = "multi_thread")]
async fn a8_under_zombie_policy_end_a_server_that_returns_is_emptied_whatever_the_threshold() {
    let mut settings = settings();
    settings.meetings.zombie_policy = ZombiePolicy::End;
    settings.health.healthy_threshold = 1;
    let bench = Bench::with(settings, 3).await;
    let home = bench.create("ends").await;
    bench.sim(&home).faults().set(FaultKind::Refuse).await;
    bench.until_health(&home, Health::Offline).await;
    bench.sim(&home).faults().clear().await;
    until("the meeting to be ended", async || bench.sim(&home).meetings().is_empty().then_some(())).await;
    until("the record to go", async || bench.meeting("ends").await.is_none().then_some(())).await;
    bench.stop().await;
}

/// Servers squeeze white space in their lists. `a  b` was listed as `a b`, and became two meetings.
#[tokio::test(flavor = "multi_thread")]
async fn a_meeting_with_two_blanks_in_its_id_stays_one_meeting() {
    let bench = Bench::with_servers(1).await;
    let records = async || {
        let request = ListMeetingsRequest { page_size: 10, ..ListMeetingsRequest::default() };
        let listed = bench.meetings().list_meetings(request).await.expect("is listed").into_inner();
        let mut names: Vec<_> =
            listed.meetings.into_iter().map(|meeting| (meeting.name, meeting.internal_id)).collect();
        names.sort();
        names
    };
    bench.place("a  b").await.expect("is placed");
    bench.place("a b").await.expect("is placed");
    // No edge confirms them: the polls tell which instance is which.
    let two = bench.create_at(&bench.sims[0], "a%20%20b").await.internal_id;
    let one = bench.create_at(&bench.sims[0], "a%20b").await.internal_id;
    assert_ne!(one, two);
    let expected = [
        ("tenants/default/meetings/a%20%20b".to_owned(), two),
        ("tenants/default/meetings/a%20b".to_owned(), one),
    ];
    until("both to be known", async || (records().await == expected).then_some(())).await;
    polls(&bench, "bbb1", 3).await;
    assert_eq!(records().await, expected);
    assert!(bench.sims[0].end_meeting("a b"));
    until("the record of the other one to stay", async || (records().await == expected[..1]).then_some(()))
        .await;
    polls(&bench, "bbb1", 2).await;
    assert_eq!(records().await, expected[..1]);
    bench.stop().await;
}
