//! Ids that the table does not know: each is looked up once for all who ask for it at the same time, and
//! is unknown for a moment to those who ask again.

use std::time::Instant;

use usher_model::{
    id::ServerId,
    routing::{MeetingRoute, RouteState},
};

use crate::support::{Answer, Cluster, Heard, eventually, key};

fn lookups(cluster: &Cluster) -> usize {
    cluster.plane.count(|heard| *heard == Heard::Resolved)
}

fn pending(id: &str) -> MeetingRoute {
    MeetingRoute {
        key: key(id),
        server: ServerId::parse("s0").expect("is an id"),
        state: RouteState::Pending,
        voice_bridge: None,
    }
}

async fn is_running(cluster: &Cluster, id: &str) -> bool {
    let answer = cluster.client.call("isMeetingRunning", &format!("meetingID={id}")).await;
    answer.text("running") == "true"
}

#[tokio::test]
async fn all_who_ask_for_an_id_at_once_wait_for_one_lookup() {
    let cluster = Cluster::start(1).await;
    cluster.plane.freeze(true);
    let calls = ["isMeetingRunning", "join", "end", "getMeetingInfo"];
    let asking = (0..40)
        .map(|number| cluster.client.call(calls[number % 4], "meetingID=nowhere&fullName=Ada&role=VIEWER"));
    let thawing = async {
        eventually("all wait", async || {
            cluster.metric("usher_edge_shared_lookups_total") >= 39.0 && cluster.plane.missed() > 0
        })
        .await;
        assert_eq!(cluster.plane.missed(), 1);
        cluster.plane.freeze(false);
    };
    let (answers, ()) = futures::join!(futures::future::join_all(asking), thawing);
    assert!(answers.iter().all(|answer: &Answer| !answer.is_retryable()), "{answers:?}");
    // Those who came after the first lookup had begun have made one more together.
    assert_eq!(lookups(&cluster), 2);
}

#[tokio::test]
async fn an_unknown_id_is_not_looked_up_at_every_question() {
    let cluster = Cluster::start(1).await;
    let begun = Instant::now();
    for _ in 0..30 {
        assert!(!is_running(&cluster, "nowhere").await);
        let info = cluster.client.call("getMeetingInfo", "meetingID=nowhere").await;
        assert_eq!(info.key(), "notFound");
    }
    let most = 1 + usize::try_from(begun.elapsed().as_secs()).unwrap_or(usize::MAX);
    assert!(lookups(&cluster) <= most, "{} lookups", lookups(&cluster));
}

#[tokio::test]
async fn an_id_that_was_unknown_is_known_once_its_create_is_seen() {
    let cluster = Cluster::start(1).await;
    assert!(!is_running(&cluster, "elsewhere").await);
    cluster.plane.set_meeting(pending("elsewhere"));
    cluster.settled().await;
    cluster.client.join("elsewhere").await.location();
    // The table of this edge learns nothing more; its own create is known nevertheless.
    cluster.plane.fall_silent();
    assert_eq!(cluster.client.call("getMeetingInfo", "meetingID=room").await.key(), "notFound");
    cluster.client.create("room").await;
    let info = cluster.client.call("getMeetingInfo", "meetingID=room").await;
    assert!(info.is_success(), "{info:?}");
}

#[tokio::test]
async fn a_join_and_an_end_are_looked_up_although_the_id_was_unknown_a_moment_ago() {
    let cluster = Cluster::start(1).await;
    for id in ["joined", "ended"] {
        assert!(!is_running(&cluster, id).await);
        cluster.plane.change(true, |delta| {
            delta.meetings.insert(key(id), Some(pending(id)));
        });
    }
    cluster.client.join("joined").await.location();
    let before = lookups(&cluster);
    let ended = cluster.client.call("end", "meetingID=ended").await;
    assert_eq!(ended.key(), "notFound", "its server does not run it");
    assert_eq!(lookups(&cluster), before + 1);
}
