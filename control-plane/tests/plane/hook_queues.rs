//! Events that wait: those of a deleted hook, and those whose owner is not known yet.

use std::time::{Duration, Instant};

use usher_bbb_sim::{BbbSim, SimOptions};
use usher_control_plane::ports::{StoreTxn, TxnWrite};
use usher_harness::application::TestApplication;
use usher_proto::v1::*;

use crate::{
    bench::{Bench, until},
    hooks::{add_tenant, at, create, event, hooks, memory, reachable, send, waiting},
};

/// Returns one request with `count` events of a meeting.
fn many_events(meeting: &str, count: i64) -> AcceptEventsRequest {
    let one = |at_ms| event(meeting, "user-joined", at_ms).events;
    let all: Vec<String> = (1..=count).map(|at_ms| one(at_ms).trim_matches(['[', ']']).to_owned()).collect();
    AcceptEventsRequest { events: format!("[{}]", all.join(",")), ..event(meeting, "user-joined", 1) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_hook_gets_none_of_its_thousand_waiting_events() {
    let bench = Bench::on(reachable(), memory()).await;
    let application = TestApplication::start().await.expect("listens");
    application.answer(503);
    add_tenant(&bench, "school").await;
    let created = create(&bench, "school", at(&application.url("/"))).await.expect("is created");
    for meeting in 0..4 {
        send(&bench, many_events(&format!("school~room-{meeting}"), 250)).await;
    }
    until("all to wait", async || (waiting(&bench).await.len() == 1000).then_some(())).await;
    let name = created.hook.expect("is shown").name;
    hooks(&bench).delete_hook(DeleteHookRequest { name }).await.expect("is deleted");
    // Attempts that were under way are over once their answers were written.
    let tried = application.received().len() + 4;
    application.answer(200);
    until("no event to wait", async || waiting(&bench).await.is_empty().then_some(())).await;
    assert!(application.received().len() <= tried, "no attempt begins after the answer");
    // The leader counts a removal after the store shows it.
    until("the removals to be counted", async || {
        (bench.metric("usher_deliveries_ended_total{outcome=\"dropped\"}") > 990.0).then_some(())
    })
    .await;
    bench.stop().await;
}

/// A replica that has not seen the deletion of a hook yet accepts an event for it.
#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_is_accepted_after_its_hook_was_deleted_is_not_sent() {
    let store = memory();
    let bench = Bench::on(reachable(), store.clone()).await;
    let application = TestApplication::start().await.expect("listens");
    application.answer(503);
    add_tenant(&bench, "school").await;
    let created = create(&bench, "school", at(&application.url("/"))).await.expect("is created");
    let stored = async || store.read_prefix("deliveries/").await.expect("reads").entries;
    // An event that comes before the hook is known here is for none, and is sent again.
    let value = until("the event to be stored", async || {
        send(&bench, event("school~room", "user-joined", 1)).await;
        stored().await.into_iter().next().map(|entry| entry.value)
    })
    .await;
    let name = created.hook.expect("is shown").name;
    hooks(&bench).delete_hook(DeleteHookRequest { name }).await.expect("is deleted");
    until("the event to go", async || stored().await.is_empty().then_some(())).await;
    application.answer(200);
    let late = TxnWrite::Put(format!("deliveries/{:032x}", 7), value);
    let txn = StoreTxn { guards: Vec::new(), writes: vec![late] };
    store.commit(vec![txn]).await.expect("is written");
    until("the late event to go", async || stored().await.is_empty().then_some(())).await;
    assert!(application.accepted().is_empty(), "its hook was deleted before");
    bench.stop().await;
}

/// One meeting is being created; the events of others do not wait for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_pending_create_delays_only_the_events_of_its_own_meeting() {
    let mut patient = reachable();
    patient.meetings.create_timeout = Duration::from_mins(1);
    let bench = Bench::on(patient, memory()).await;
    let sim = BbbSim::start(SimOptions::new("server-secret")).await.expect("listens");
    bench.add("bbb1", &sim, AdminState::Enabled).await;
    bench.until_health("bbb1", Health::Online).await;
    create(&bench, "default", at("https://app.test/")).await.expect("is created");
    bench.place("being-created").await.expect("is placed");
    // Events that no tenant owns: meetings of another client of the server.
    let foreign = |number: i64| event(&format!("foreign-{number}"), "user-joined", number);
    let start = Instant::now();
    for number in 0..20 {
        send(&bench, foreign(number)).await;
    }
    assert!(start.elapsed() < Duration::from_secs(10), "20 events took {:?}", start.elapsed());
    bench.stop().await;
}

/// Lets the application of one tenant be down while `requests` times 250 events arrive for it, and
/// returns the bytes that wait at most, and how long another tenant's events took at most.
async fn a_dead_application(max_waiting: u64, requests: usize) -> (u64, Duration) {
    let mut small = reachable();
    small.callbacks.max_waiting = max_waiting;
    let store = memory();
    let bench = Bench::on(small, store.clone()).await;
    let (dead, alive) = (TestApplication::start().await.expect("listens"), TestApplication::start().await);
    let alive = alive.expect("listens");
    dead.answer(503);
    for (tenant, application) in [("school", &dead), ("other", &alive)] {
        add_tenant(&bench, tenant).await;
        create(&bench, tenant, at(&application.url("/"))).await.expect("is created");
    }
    // An event that comes before the hook is known here is for none.
    until("events to arrive", async || {
        send(&bench, event("other~first", "user-joined", 1)).await;
        (!alive.accepted().is_empty()).then_some(())
    })
    .await;
    let (mut most, mut longest) = (0, Duration::ZERO);
    for request in 0..requests {
        send(&bench, many_events(&format!("school~room-{request}"), 250)).await;
        if request % 4 == 0 {
            let (before, start) = (alive.accepted().len(), Instant::now());
            send(&bench, event(&format!("other~room-{request}"), "user-joined", 1)).await;
            until("the other tenant's event", async || (alive.accepted().len() > before).then_some(())).await;
            longest = longest.max(start.elapsed());
            let stored = store.read_prefix("deliveries/").await.expect("reads").entries;
            most = most.max(stored.iter().map(|entry| entry.value.len() as u64).sum());
        }
    }
    let (waits, held) = (waiting(&bench).await.len(), bench.metric("usher_deliveries_waiting_bytes"));
    let lost = bench.metric("usher_deliveries_ended_total{outcome=\"displaced\"}")
        + bench.metric("usher_hook_events_total{outcome=\"turned_away\"}");
    println!(
        "{} events: {most} bytes in the store at most, {held} in memory, {waits} on a page, {lost} lost, \
         another tenant's after {longest:?} at most",
        requests * 250
    );
    assert!(held <= max_waiting as f64 / 4.0 && lost > 0.0);
    bench.stop().await;
    (most, longest)
}

/// A dead application for a day: its events stay within its share of the store and of the memory, the
/// oldest expire, and another tenant's events go out at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_dead_application_with_thousands_of_events_harms_no_other_tenant() {
    let limit = 4 << 20;
    let (most, longest) = a_dead_application(limit, 16).await;
    assert!(most <= limit / 4, "{most} bytes");
    assert!(longest < Duration::from_secs(5), "{longest:?}");
}

/// The same with the number of a day and the default limit.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: 100,000 events"]
async fn a_dead_application_with_a_hundred_thousand_events_harms_no_other_tenant() {
    let limit = 64 << 20;
    let (most, longest) = a_dead_application(limit, 400).await;
    assert!(most <= limit / 4, "{most} bytes");
    assert!(longest < Duration::from_secs(5), "{longest:?}");
}

/// Prints how long the deletion of a hook takes, and until its events are gone.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement: 18,500 events wait"]
async fn the_deletion_of_a_hook_with_many_events_is_measured() {
    let mut large = reachable();
    large.callbacks.max_waiting = 1 << 30;
    let bench = Bench::on(large, memory()).await;
    let application = TestApplication::start().await.expect("listens");
    application.answer(503);
    add_tenant(&bench, "school").await;
    let created = create(&bench, "school", at(&application.url("/"))).await.expect("is created");
    let start = Instant::now();
    for meeting in 0..74 {
        send(&bench, many_events(&format!("school~room-{meeting}"), 250)).await;
    }
    println!("18,500 events accepted in {:?}", start.elapsed());
    let name = created.hook.expect("is shown").name;
    let start = Instant::now();
    hooks(&bench).delete_hook(DeleteHookRequest { name }).await.expect("is deleted");
    println!("hook deleted in {:?}", start.elapsed());
    until("no event to wait", async || waiting(&bench).await.is_empty().then_some(())).await;
    println!("events removed after {:?}", start.elapsed());
    bench.stop().await;
}
