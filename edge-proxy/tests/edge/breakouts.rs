//! Breakout rooms that an application creates itself: on the server of their parent, and on no
//! other (ADR 15).

use std::time::Duration;

use usher_bbb::{call::ApiCall, query::RawQuery};
use usher_bbb_sim::{FaultKind, SimFault, SimMeeting};
use usher_edge_proxy::control::meetings::sha1_hex;
use usher_model::server::{AdminState, Health};

use crate::support::{Cluster, Heard, raw, signed};

/// Returns the parameters of a create of a breakout room of `parent`.
fn breakout(id: &str, parent: &str) -> String {
    format!("meetingID={id}&name=Room&isBreakout=true&sequence=1&freeJoin=true&parentMeetingID={parent}")
}

/// Returns the servers of all breakout rooms and the ids that they have there.
fn rooms(cluster: &Cluster) -> Vec<(usize, String)> {
    let of = |(at, sim): (usize, &usher_bbb_sim::BbbSim)| {
        let rooms = sim.meetings().into_iter().filter_map(move |meeting| Some((at, meeting.parent?)));
        rooms.collect::<Vec<_>>()
    };
    cluster.sims.iter().enumerate().flat_map(of).collect()
}

fn placed(heard: &Heard) -> bool {
    matches!(heard, Heard::Placed { .. })
}

/// Returns the parameters of the last create that a server received.
fn sent(cluster: &Cluster, home: usize) -> String {
    let call = cluster.sims[home].calls().into_iter().rev().find(|call| call.name == "create");
    call.expect("was asked").query
}

#[tokio::test]
async fn a_breakout_room_is_made_on_its_parents_server_and_known_by_the_id_it_was_given() {
    let cluster = Cluster::start(4).await;
    let mut wanted = Vec::new();
    for number in 0..3 {
        let id = format!("parent-{number}");
        let instance = cluster.client.create(&id).await.text("internalMeetingID").to_owned();
        cluster.confirmed(&id).await;
        wanted.push((cluster.home(&id), id, instance));
    }
    for (home, id, instance) in &wanted {
        for parent in [id, instance] {
            let room = format!("breakout-of-{parent}");
            let created = cluster.client.call("create", &breakout(&room, parent)).await;
            assert_eq!(created.text("parentMeetingID"), instance, "{created:?}");
            let query = sent(&cluster, *home);
            let got = |name| RawQuery::new(&query).first(name).map(std::borrow::Cow::into_owned);
            assert_eq!(got("parentMeetingID").as_deref(), Some(parent.as_str()));
            assert_eq!(got("meta_usher-room").as_deref(), Some(room.as_str()));
            let own = got("meetingID").expect("has one");
            assert!(own.starts_with(&format!("{}-", sha1_hex(&room))), "as of any meeting: {own}");
            assert_eq!(created.text("internalMeetingID"), own);
            assert!(
                query.contains("sequence=1&freeJoin=true") && query.contains("meta_usher-tenant=default"),
                "{query}"
            );
            cluster.confirmed(&room).await;
            let (address, _) = cluster.client.join(&room).await.location();
            assert_eq!(address, format!("{}join", cluster.sims[*home].url()));
            for known_by in [&room, &own] {
                let info = cluster.client.call("getMeetingInfo", &format!("meetingID={known_by}")).await;
                assert_eq!(info.text("internalMeetingID"), own, "{info:?}");
                assert_eq!(info.text("meetingID"), created.text("meetingID"), "as the server calls it");
                assert!(!info.body.contains("usher-"), "{info:?}");
            }
        }
    }
    let mut expected: Vec<_> = wanted
        .iter()
        .flat_map(|(home, _, instance)| [(*home, instance.clone()), (*home, instance.clone())])
        .collect();
    let mut found = rooms(&cluster);
    expected.sort();
    found.sort();
    assert_eq!(found, expected);
    let listed = cluster.client.call("getMeetings", "").await;
    assert_eq!(listed.body.matches("<isBreakout>true").count(), 6, "{listed:?}");
    assert!(!listed.body.contains("usher-"), "{listed:?}");
}

#[tokio::test]
async fn every_call_about_a_breakout_room_reaches_it() {
    let cluster = Cluster::start(3).await;
    cluster.client.create("parent").await;
    cluster.confirmed("parent").await;
    cluster.client.call("create", &breakout("cafe", "parent")).await;
    cluster.client.call("create", &breakout("room", "parent")).await;
    for id in ["room", "cafe"] {
        cluster.confirmed(id).await;
        let sim = &cluster.sims[cluster.home("parent")];
        let room = || {
            let marked =
                |meeting: &SimMeeting| meeting.metadata.get("usher-room").map(String::as_str) == Some(id);
            sim.meetings().into_iter().find(marked)
        };
        let page = cluster.client.join(id).await.location();
        let request = format!(
            "GET /bigbluebutton/api/join?{} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
            page.1
        );
        raw(sim.address(), request.as_bytes()).await;
        let running = cluster.client.call("isMeetingRunning", &format!("meetingID={id}")).await;
        assert_eq!(running.text("running"), "true", "{running:?}");
        let chat = format!("meetingID={id}&message=Hi");
        assert!(cluster.client.call("sendChatMessage", &chat).await.is_success());
        let path = format!(
            "/bigbluebutton/api/insertDocument?{}",
            signed("insertDocument", &format!("meetingID={id}"))
        );
        let document = "<modules><module name=\"presentation\"><document url=\"http://x/y.pdf\" \
                        filename=\"y.pdf\"/></module></modules>";
        let inserted =
            cluster.client.send("POST", &path, &[("content-type", "application/xml")], document).await;
        assert!(inserted.is_success(), "{inserted:?}");
        let found = room().expect("runs");
        assert_eq!((found.users.len(), found.chat.len()), (1, 1), "{found:?}");
        assert!(found.documents.contains(&"y.pdf".to_owned()), "{found:?}");
        let ended = cluster.client.call("end", &format!("meetingID={id}")).await;
        assert_eq!(ended.key(), "sentEndMeetingRequest");
        assert_eq!(cluster.plane.count(ended_of(id, &found.internal_id)), 1);
        assert_eq!(room(), None);
        let gone = cluster.client.call("getMeetingInfo", &format!("meetingID={id}")).await;
        assert_eq!(gone.key(), "notFound");
    }
    assert_eq!(cluster.sims[cluster.home("parent")].meetings().len(), 1, "the parent goes on");
}

fn ended_of<'a>(id: &'a str, instance: &'a str) -> impl Fn(&Heard) -> bool + 'a {
    move |heard| matches!(heard, Heard::Ended { meeting, internal_id, .. } if meeting == id && internal_id == instance)
}

#[tokio::test]
async fn a_second_create_of_a_breakout_room_is_one_of_the_instance_that_runs() {
    let cluster = Cluster::start(2).await;
    cluster.client.create("parent").await;
    cluster.confirmed("parent").await;
    let first = cluster.client.call("create", &breakout("room", "parent")).await;
    cluster.confirmed("room").await;
    for _ in 0..2 {
        let again = cluster.client.call("create", &breakout("room", "parent")).await;
        assert!(again.is_success(), "{again:?}");
        assert_eq!(again.text("internalMeetingID"), first.text("internalMeetingID"));
    }
    assert_eq!(rooms(&cluster).len(), 1);
    // The server finds a meeting by the hash of another id, too.
    let other = cluster.client.create("room").await;
    assert_eq!(other.text("internalMeetingID"), first.text("internalMeetingID"));
}

#[tokio::test]
async fn creates_of_one_breakout_room_at_once_make_one() {
    let cluster = Cluster::start(2).await;
    cluster.client.create("parent").await;
    cluster.confirmed("parent").await;
    let slow = SimFault::new(FaultKind::Slow(Duration::from_millis(150))).on(ApiCall::Create);
    cluster.sims[cluster.home("parent")].faults().set(slow).await;
    let query = breakout("room", "parent");
    let creates = (0..4).map(|_| cluster.client.call("create", &query));
    let answers = futures::future::join_all(creates).await;
    let instances: std::collections::HashSet<_> =
        answers.iter().map(|answer| answer.text("internalMeetingID")).collect();
    assert_eq!(instances.len(), 1, "{answers:?}");
    assert_eq!(rooms(&cluster).len(), 1);
}

#[tokio::test]
async fn hooks_that_the_control_plane_refuses_are_refused_in_the_words_of_bbb() {
    let cluster = Cluster::start(1).await;
    cluster.client.create("parent").await;
    cluster.confirmed("parent").await;
    for (reason, key) in [
        ("NO_PARENT", "parentMeetingDoesNotExist"),
        ("ID_TAKEN", "idNotUnique"),
        ("LEFTOVER", "serverUnavailable"),
    ] {
        cluster.plane.refuse_rooms(Some(reason));
        let answer = cluster.client.call("create", &breakout("room", "parent")).await;
        assert_eq!(answer.key(), key, "{reason}");
    }
    assert!(rooms(&cluster).is_empty());
    cluster.plane.refuse_rooms(None);
    assert!(cluster.client.call("create", &breakout("room", "parent")).await.is_success());
}

/// An id in the form of an internal id could name any meeting on the server.
#[tokio::test]
async fn the_parent_is_named_so_that_the_server_takes_it_for_no_other() {
    let cluster = Cluster::start(1).await;
    let other = cluster.client.create("other").await.text("internalMeetingID").to_owned();
    let id = &other[..2];
    let instance = cluster.client.create(id).await.text("internalMeetingID").to_owned();
    cluster.confirmed(id).await;
    let created = cluster.client.call("create", &breakout("breakout", id)).await;
    assert_eq!(created.text("parentMeetingID"), instance, "{created:?}");
}

#[tokio::test]
async fn without_its_parents_server_there_is_no_breakout_room_anywhere() {
    let cluster = Cluster::start(2).await;
    cluster.client.create("parent").await;
    cluster.confirmed("parent").await;
    let home = cluster.home("parent");
    let server = format!("s{home}");
    // A cordoned server accepts no new meetings, but the breakout rooms of its meetings.
    cluster.plane.alter_server(&server, |server| server.admin = AdminState::Cordoned);
    cluster.settled().await;
    assert!(cluster.client.call("create", &breakout("one", "parent")).await.is_success());
    for fault in [FaultKind::Refuse, FaultKind::Status500, FaultKind::ChecksumError] {
        cluster.sims[home].faults().set(fault).await;
        let before = cluster.plane.count(placed);
        assert!(cluster.client.call("create", &breakout("two", "parent")).await.is_retryable(), "{fault:?}");
        assert_eq!(cluster.plane.count(placed), before + 1, "no other server could make it");
        cluster.sims[home].faults().clear().await;
    }
    cluster.plane.alter_server(&server, |server| server.health = Health::Offline);
    cluster.settled().await;
    let answer = cluster.client.call("create", &breakout("three", "parent")).await;
    assert_eq!(answer.key(), "parentMeetingDoesNotExist");
    cluster.plane.kill().await;
    assert!(
        cluster.client.call("create", &breakout("four", "parent")).await.is_retryable(),
        "nobody can say"
    );
    assert_eq!(rooms(&cluster).len(), 1);
    assert!(cluster.sims[1 - home].meetings().is_empty());
}
