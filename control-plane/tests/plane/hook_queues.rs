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
    assert!(bench.metric("usher_deliveries_ended_total{outcome=\"dropped\"}") > 990.0);
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
