//! Placement over gRPC.

use std::collections::HashMap;

use futures::future::join_all;
use tonic_types::StatusExt;
use usher_proto::v1::*;

use crate::bench::{Bench, DEADLINE, key, settings, until};

fn reason(status: &tonic::Status) -> String {
    status.get_details_error_info().map(|info| info.reason).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_meeting_is_placed_confirmed_resolved_and_found_again() {
    let bench = Bench::with_servers(2).await;
    let server = bench.create("m1").await;
    let resolve = ResolveMeetingRequest { key: Some(key("m1")) };
    let resolved = bench.placement().resolve_meeting(resolve).await.expect("resolves").into_inner();
    let meeting = resolved.meeting.expect("is known");
    assert_eq!((meeting.server_id.as_str(), meeting.state()), (server.as_str(), RecordState::Active));
    assert_eq!(resolved.server.expect("is named").url, bench.sim(&server).url());
    let again = bench.place("m1").await.expect("finds it");
    assert!(again.existing && again.token.is_empty());
    assert_eq!(again.meeting.expect("is known").server_id, server);
    let unknown = ResolveMeetingRequest { key: Some(key("nobody")) };
    let unknown = bench.placement().resolve_meeting(unknown).await.expect("answers").into_inner();
    assert!(unknown.meeting.is_none() && unknown.revision.is_some());
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_meeting_is_resolved_by_its_internal_id_before_its_create_is_confirmed() {
    let bench = Bench::with_servers(1).await;
    let placed = bench.place("m1").await.expect("is placed");
    let reply = bench.create_at(&bench.sims[0], "m1").await;
    let resolve = async |tenant: &str, id: &str| {
        let key = MeetingKey { tenant: tenant.into(), meeting_id: id.into() };
        let request = ResolveMeetingRequest { key: Some(key) };
        bench.placement().resolve_meeting(request).await.expect("answers").into_inner()
    };
    let early = resolve("default", &reply.internal_id).await;
    let meeting = early.meeting.expect("is known");
    assert_eq!((meeting.key, meeting.state), (Some(key("m1")), RecordState::Pending.into()));
    assert_eq!((early.token, early.server.is_some()), (placed.token.clone(), true));
    for (tenant, id) in [("school", reply.internal_id.as_str()), ("default", &reply.internal_id[..40])] {
        assert!(resolve(tenant, id).await.meeting.is_none(), "{tenant} {id}");
    }
    let confirm = ConfirmMeetingRequest {
        key: Some(key("m1")),
        server_id: placed.server.expect("names the server").id,
        token: placed.token,
        internal_id: reply.internal_id.clone(),
        create_time_ms: reply.create_time_ms,
        breakout: false,
    };
    assert!(bench.placement().confirm_meeting(confirm).await.expect("answers").into_inner().routed);
    let confirmed = resolve("default", &reply.internal_id).await.meeting.expect("is known");
    assert_eq!((confirmed.key, confirmed.state), (Some(key("m1")), RecordState::Active.into()));
    let older = reply.internal_id.replace('-', "-1");
    assert!(resolve("default", &older).await.meeting.is_none(), "another instance");
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f1_500_creates_in_a_burst_differ_by_at_most_one_meeting_per_server() {
    let mut settings = settings();
    settings.health.interval = std::time::Duration::from_secs(10); // no poll in between
    settings.health.deadline = std::time::Duration::from_secs(5);
    settings.placement.max_inflight_creates = 1000;
    let bench = Bench::with(settings, 20).await;
    let ids: Vec<String> = (0..500).map(|number| format!("burst-{number}")).collect();
    let placed = join_all(ids.iter().map(|id| bench.place(id))).await;
    let mut counts: HashMap<String, usize> = HashMap::new();
    for placed in placed {
        *counts.entry(placed.expect("is placed").server.expect("is named").id).or_default() += 1;
    }
    let (most, least) = (counts.values().max(), counts.values().min());
    assert_eq!(counts.len(), 20);
    assert!(most.zip(least).is_some_and(|(most, least)| most - least <= 1), "{counts:?}");
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s15_concurrent_creates_of_one_id_make_one_record() {
    let bench = Bench::with_servers(4).await;
    let placed = join_all((0..100).map(|_| bench.place("same"))).await;
    let placed: Vec<_> = placed.into_iter().map(|placed| placed.expect("is answered")).collect();
    let servers: std::collections::HashSet<_> =
        placed.iter().map(|placed| placed.server.clone().expect("is named").id).collect();
    assert_eq!(servers.len(), 1, "{servers:?}");
    assert_eq!(placed.iter().filter(|placed| !placed.existing).count(), 1);
    bench.stop().await;
}

/// An edge may repeat a request at several replicas and late; one token makes one placement.
#[tokio::test(flavor = "multi_thread")]
async fn a_create_that_is_asked_for_twice_is_placed_once_and_its_own_both_times() {
    let bench = Bench::with_servers(4).await;
    let token = "0123456789abcdef-edge-1";
    let request = PlaceMeetingRequest {
        key: Some(key("twice")),
        token: token.into(),
        ..PlaceMeetingRequest::default()
    };
    let ask =
        || async { bench.placement().place_meeting(request.clone()).await.expect("is placed").into_inner() };
    let placed = join_all((0..20).map(|_| ask())).await;
    let server = placed[0].server.clone().expect("is named").id;
    for placed in &placed {
        assert!(!placed.existing && placed.token == token, "{placed:?}");
        assert_eq!(placed.server.as_ref().expect("is named").id, server);
    }
    assert!(bench.place("twice").await.expect("finds it").existing, "it is nobody else's");
    let mut abandon = AbandonMeetingRequest {
        key: Some(key("twice")),
        server_id: server,
        token: token.into(),
        certainty: 0,
    };
    abandon.set_certainty(AbandonCertainty::Definite);
    bench.placement().abandon_meeting(abandon.clone()).await.expect("is abandoned");
    // Another create has the id by now, so a late abandon of the first one must not touch it.
    let other = bench.place("twice").await.expect("is placed");
    assert!(!other.existing);
    let late = ask().await;
    assert!(late.existing && late.token.is_empty() && late.server == other.server, "{late:?}");
    bench.placement().abandon_meeting(abandon).await.expect("is answered");
    let server = bench.call_and_confirm("twice", &other).await;
    let meeting = bench.meeting("twice").await.expect("stands");
    assert_eq!((meeting.server, meeting.state), (format!("servers/{server}"), RecordState::Active.into()));
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f5_a_server_with_too_many_pending_creates_is_passed_over_and_then_waited_for() {
    let mut settings = settings();
    settings.placement.max_inflight_creates = 1;
    let bench = Bench::with(settings, 2).await;
    let (first, second) =
        (bench.place("f5-a").await.expect("placed"), bench.place("f5-b").await.expect("placed"));
    assert_ne!(first.server, second.server, "the busy one is passed over");
    let (third, ()) = tokio::join!(bench.place("f5-c"), async {
        bench.call_and_confirm("f5-a", &first).await;
    });
    assert_eq!(third.expect("waited for room").server, first.server);
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_breakout_room_goes_to_its_parents_server_or_nowhere() {
    let bench = Bench::with_servers(3).await;
    let parent = bench.create("parent").await;
    let place = async |id: &str, parent: &str| {
        let request = PlaceMeetingRequest {
            key: Some(key(id)),
            parent_meeting_id: parent.into(),
            ..PlaceMeetingRequest::default()
        };
        bench.placement().place_meeting(request).await.map(tonic::Response::into_inner)
    };
    for id in ["one", "two", "three"] {
        let placed = place(id, "parent").await.expect("is placed");
        assert_eq!((placed.server.expect("is named").id, placed.existing), (parent.clone(), false));
        let shown = until("it to be shown", async || bench.meeting(id).await).await;
        assert!(shown.breakout && !bench.meeting("parent").await.expect("stands").breakout);
        assert!(place(id, "parent").await.expect("stands").existing);
    }
    for (id, parent, wanted) in [("four", "nobody", "NO_PARENT"), ("parent", "parent", "ID_TAKEN")] {
        let status = place(id, parent).await.expect_err("is refused");
        let found = (status.code(), reason(&status));
        assert_eq!(found, (tonic::Code::FailedPrecondition, wanted.to_owned()), "{id}");
    }
    let status = place("five", &"x".repeat(300)).await.expect_err("is no id");
    assert_eq!(status.code(), tonic::Code::InvalidArgument);
    bench.stop().await;
}

/// The remains of a breakout room are polled when the next create of it arrives, not at the next
/// scheduled poll.
#[tokio::test(flavor = "multi_thread")]
async fn a_breakout_room_whose_create_failed_can_be_created_again_before_the_next_poll() {
    let mut settings = settings();
    settings.health.interval = 10 * DEADLINE;
    settings.health.unhealthy_after = 100 * DEADLINE;
    let bench = Bench::with(settings, 1).await;
    bench.create("parent").await;
    let place = async || {
        let request = PlaceMeetingRequest {
            key: Some(key("room")),
            parent_meeting_id: "parent".into(),
            ..PlaceMeetingRequest::default()
        };
        bench.placement().place_meeting(request).await.map(tonic::Response::into_inner)
    };
    let placed = place().await.expect("is placed");
    let mut abandon = AbandonMeetingRequest {
        key: Some(key("room")),
        server_id: placed.server.expect("is named").id,
        token: placed.token.clone(),
        ..AbandonMeetingRequest::default()
    };
    abandon.set_certainty(AbandonCertainty::Unknown);
    bench.placement().abandon_meeting(abandon).await.expect("is noted");
    // A poll that was under way before proves nothing about the room, so the next create requests
    // another.
    let again = until("it to be placed again", async || place().await.ok()).await;
    assert!(!again.existing && again.token != placed.token, "{again:?}");
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abandoned_create_leaves_no_trace_when_certain_and_a_zombie_when_not() {
    let bench = Bench::with_servers(2).await;
    for (id, certainty, zombies) in
        [("sure", AbandonCertainty::Definite, 0), ("unsure", AbandonCertainty::Unknown, 1)]
    {
        let placed = bench.place(id).await.expect("placed");
        let server = placed.server.expect("is named").id;
        bench.sim(&server).faults().set(usher_bbb_sim::FaultKind::Refuse).await; // no poll reaps it
        let mut abandon = AbandonMeetingRequest {
            key: Some(key(id)),
            server_id: server.clone(),
            token: placed.token,
            certainty: 0,
        };
        abandon.set_certainty(certainty);
        bench.placement().abandon_meeting(abandon.clone()).await.expect("is abandoned");
        bench.placement().abandon_meeting(abandon).await.expect("twice does no harm");
        until("the record to go", async || bench.meeting(id).await.is_none().then_some(())).await;
        let list = bench.meetings().list_zombies(ListZombiesRequest::default()).await.expect("lists");
        assert_eq!(list.into_inner().zombies.len(), zombies, "{id}");
        bench.sim(&server).faults().clear().await;
        bench.until_health(&server, Health::Online).await;
    }
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_says_why_and_when_to_try_again() {
    let bench = Bench::with_servers(0).await;
    let status = bench.place("m").await.expect_err("there is no server");
    assert_eq!((status.code(), reason(&status).as_str()), (tonic::Code::Unavailable, "POOL_EMPTY"));
    assert!(status.get_details_retry_info().is_some());
    let request = PlaceMeetingRequest { key: Some(key("")), ..PlaceMeetingRequest::default() };
    let status = bench.placement().place_meeting(request).await.expect_err("is no id");
    assert_eq!(status.code(), tonic::Code::InvalidArgument);
    assert!(status.get_details_bad_request().is_some());
    let request =
        PlaceMeetingRequest { key: Some(key("m")), token: "short".into(), ..PlaceMeetingRequest::default() };
    let status = bench.placement().place_meeting(request).await.expect_err("is no token");
    assert_eq!(status.code(), tonic::Code::InvalidArgument);
    bench.stop().await;
}
