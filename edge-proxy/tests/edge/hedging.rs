//! A silent control plane: requests do not wait for it, and its late actions do no harm (ADR 11).

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use usher_bbb_sim::FaultKind;
use usher_edge_proxy::{
    control::{
        current_table::CurrentTable,
        subscriber::{EdgeIdentity, RoutingSubscriber, SubscriberTimeouts},
    },
    metrics::StreamMetrics,
};
use usher_model::{id::EdgeId, routing::RouteState};
use usher_runtime::control_planes::ControlPlanes;
use usher_runtime::tasks::TaskGroup;

use crate::support::{Cluster, FakePlane, Heard, ended, eventually, key};

/// The longest time of any request beside a silent control plane: far below the 8 s that a
/// placement may take, far above the delay before the second call.
const SOON: Duration = Duration::from_secs(2);

/// Runs the test with one of two control planes frozen, then with the other, so that the preferred
/// one is frozen once. The test gets the number of the round.
async fn beside_a_frozen_one(test: impl AsyncFn(&Cluster, usize)) {
    let (cluster, other) = Cluster::replicated(2).await;
    for (round, frozen) in [&cluster.plane, &other].into_iter().enumerate() {
        frozen.freeze(true);
        test(&cluster, round).await;
        frozen.freeze(false);
    }
    assert!(cluster.plane.missed() + other.missed() > 0, "a frozen one was asked");
    assert!(cluster.metric("usher_edge_hedged_asks_total") >= 1.0);
    other.kill().await;
}

async fn is_confirmed(cluster: &Cluster, room: &str) {
    eventually("the meeting is confirmed", async || {
        let meeting = cluster.plane.meeting(&key(room));
        meeting.is_some_and(|meeting| matches!(meeting.state, RouteState::Active(_)))
    })
    .await;
}

#[tokio::test]
async fn c2_a_silent_control_plane_costs_a_create_a_moment() {
    beside_a_frozen_one(async |cluster, round| {
        for number in 0..3 {
            let (room, begun) = (format!("room-{round}-{number}"), Instant::now());
            cluster.client.create(&room).await;
            assert!(begun.elapsed() < SOON, "create took {:?}", begun.elapsed());
            is_confirmed(cluster, &room).await;
        }
    })
    .await;
}

#[tokio::test]
async fn c2_a_silent_control_plane_costs_a_join_and_an_end_a_moment() {
    beside_a_frozen_one(async |cluster, round| {
        let room = format!("room-{round}");
        cluster.client.create(&room).await;
        is_confirmed(cluster, &room).await;
        let begun = Instant::now();
        assert_eq!(cluster.client.join("nobody").await.key(), "invalidMeetingIdentifier");
        assert!(cluster.client.call("end", &format!("meetingID={room}")).await.is_success());
        assert!(begun.elapsed() < SOON * 2, "join and end took {:?}", begun.elapsed());
        assert_eq!(cluster.plane.count(ended(&room)), 1);
    })
    .await;
}

#[tokio::test]
async fn late_actions_of_a_silent_control_plane_have_no_effect() {
    for frozen in 0..2 {
        let (cluster, other) = Cluster::replicated(2).await;
        let frozen: &FakePlane = [&cluster.plane, &other][frozen];
        frozen.freeze(true);
        cluster.sims[0].faults().set(FaultKind::Refuse).await;
        let mut routes = Vec::new();
        for room in ["b1", "b2", "b3"] {
            cluster.client.create(room).await;
            is_confirmed(&cluster, room).await;
            routes.push(cluster.plane.meeting(&key(room)));
        }
        let (asked, missed) = (cluster.plane.heard().len(), frozen.missed());
        frozen.freeze(false);
        eventually("the late ones are answered", async || cluster.plane.heard().len() >= asked + missed)
            .await;
        let now: Vec<_> = ["b1", "b2", "b3"].map(|room| cluster.plane.meeting(&key(room))).into();
        assert_eq!(now, routes, "placed, abandoned and confirmed late, on top of what stood");
        let tokens = |room: &str| {
            let of_room = |heard: &Heard| match heard {
                Heard::Placed { meeting, token } if meeting == room => Some(token.clone()),
                _ => None,
            };
            let mut tokens: Vec<_> = cluster.plane.heard().iter().filter_map(of_room).collect();
            tokens.dedup();
            tokens.len()
        };
        assert_eq!(["b1", "b2", "b3"].map(tokens), [1, 1, 1], "one token for one create, whoever is asked");
        other.kill().await;
    }
}

#[tokio::test]
async fn a_routing_stream_that_falls_silent_is_followed_elsewhere() {
    let plane = FakePlane::start().await;
    let other = plane.replica().await;
    let current = Arc::new(CurrentTable::default());
    let subscriber = RoutingSubscriber {
        planes: ControlPlanes::new(&[plane.url(), other.url()], None).unwrap(),
        current: Arc::clone(&current),
        identity: EdgeIdentity { id: EdgeId::parse("edge-1").unwrap(), address: String::new() },
        patience: SubscriberTimeouts {
            // The timeout is longer than the pause between two heartbeats.
            idle: Duration::from_millis(1500),
            spread: Duration::from_millis(100),
            ..SubscriberTimeouts::default()
        },
        metrics: StreamMetrics::default(),
        from_disk: false,
    };
    let tasks = TaskGroup::new();
    tasks.spawn("subscriber", |stop| subscriber.run(stop));
    current.ready().await;
    let (followed, next) = if plane.opened() > 0 { (&plane, &other) } else { (&other, &plane) };
    assert_eq!((followed.opened(), next.opened()), (1, 0), "signs of life keep the stream");
    followed.freeze(true);
    eventually("the other one is followed", async || next.opened() == 1).await;
    tasks.shutdown().await;
}
