//! `create`: placed once, and answered correctly for every behaviour of the server.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use socket2::{Domain, Socket, Type};
use tokio::{io::AsyncWriteExt, net::TcpStream};
use usher_bbb::call::ApiCall;
use usher_bbb_sim::{FaultKind, SimFault};
use usher_model::{
    id::ServerId,
    routing::{MeetingRoute, RouteState},
    server::{AdminState, Health},
};

use crate::support::{Client, Cluster, Heard, ended, eventually, key, signed, with_time_for_documents};

fn placed(heard: &Heard) -> bool {
    matches!(heard, Heard::Placed { .. })
}

fn abandoned(definite: bool) -> impl Fn(&Heard) -> bool {
    move |heard| matches!(heard, Heard::Abandoned { definite: d, .. } if *d == definite)
}

#[tokio::test]
async fn a_create_is_placed_marked_confirmed_and_joined() {
    let cluster = Cluster::start(2).await;
    let answer = cluster.client.create("room-1").await;
    assert_eq!(answer.text("meetingID"), "room-1");
    let home = cluster.home("room-1");
    let meeting = &cluster.sims[home].meetings()[0];
    assert_eq!(meeting.metadata["usher-tenant"], "default");
    assert_eq!(answer.text("internalMeetingID"), meeting.internal_id);
    cluster.confirmed("room-1").await;
    let (address, _) = cluster.client.join("room-1").await.location();
    assert_eq!(address, format!("{}join", cluster.sims[home].url()));
}

#[tokio::test]
async fn s15_many_creates_of_one_id_make_one_meeting_and_all_succeed() {
    let cluster = Cluster::start(4).await;
    let creates = (0..50).map(|_| {
        let client = Client::new(cluster.edge.api_addr());
        async move { client.create("same").await }
    });
    let answers = futures::future::join_all(creates).await;
    let first = answers[0].text("internalMeetingID");
    assert!(answers.iter().all(|answer| answer.text("internalMeetingID") == first));
    cluster.home("same");
}

/// A create that finds the record of another unfinished create completes it.
#[tokio::test]
async fn s15_many_creates_of_one_id_succeed_although_its_first_server_refuses() {
    let cluster = Cluster::start(2).await;
    cluster.sims[0].faults().set(FaultKind::Refuse).await;
    let creates = (0..20).map(|_| {
        let client = Client::new(cluster.edge.api_addr());
        async move { client.create("same").await }
    });
    let answers = futures::future::join_all(creates).await;
    let first = answers[0].text("internalMeetingID");
    assert!(answers.iter().all(|answer| answer.text("internalMeetingID") == first));
    assert_eq!(cluster.home("same"), 1);
    assert_eq!(cluster.plane.count(abandoned(true)), 1, "by the create that placed it, and no other");
}

/// If the edge of the unfinished create is gone and the record stays, the caller gets the retryable
/// error.
#[tokio::test]
async fn a_record_in_the_making_is_not_abandoned_by_another_create() {
    let cluster = Cluster::start_with(2, |settings| {
        settings.meetings.create_timeout = Duration::from_millis(600);
    })
    .await;
    cluster.sims[0].faults().set(FaultKind::Refuse).await;
    let server = ServerId::parse("s0").unwrap();
    let state = RouteState::Pending;
    cluster.plane.set_meeting(MeetingRoute { key: key("room"), server, state, voice_bridge: None });
    cluster.settled().await;
    let answer = cluster.client.call("create", "meetingID=room&name=Room").await;
    assert!(answer.is_retryable(), "{answer:?}");
    assert_eq!(cluster.plane.count(abandoned(true)), 0);
    assert!(cluster.plane.meeting(&key("room")).is_some());
    cluster.sims[0].faults().clear().await;
    cluster.client.create("room").await;
    assert_eq!(cluster.home("room"), 0);
}

#[tokio::test]
async fn a_refused_connection_is_never_noticed_by_the_caller() {
    let cluster = Cluster::start(2).await;
    for sim in &cluster.sims[..1] {
        sim.faults().set(FaultKind::Refuse).await;
    }
    for index in 0..4 {
        cluster.client.create(&format!("room-{index}")).await;
        assert_eq!(cluster.home(&format!("room-{index}")), 1);
    }
    assert!(cluster.plane.count(abandoned(true)) >= 1);
    assert!(cluster.metric("usher_edge_second_tries_total") >= 1.0);
    eventually("the failure is reported (X6)", async || {
        cluster.plane.count(|heard| matches!(heard, Heard::Failure { server, .. } if server == "s0")) > 0
    })
    .await;
}

/// Every server is tried once until one accepts the meeting (E5). An earlier version stopped after
/// three.
#[tokio::test]
async fn e5_a_create_goes_on_until_no_server_is_left_and_never_twice_to_one() {
    let cluster = Cluster::start(7).await;
    for sim in &cluster.sims[..6] {
        sim.faults().set(FaultKind::Refuse).await;
    }
    for index in 0..7 {
        cluster.client.create(&format!("room-{index}")).await;
        assert_eq!(cluster.home(&format!("room-{index}")), 6);
    }
    let tokens = || {
        let mut tries = std::collections::BTreeMap::<(String, String), u32>::new();
        for heard in cluster.plane.heard() {
            if let Heard::Abandoned { server, token, .. } = heard {
                *tries.entry((server, token)).or_default() += 1;
            }
        }
        tries
    };
    assert!(tokens().values().all(|count| *count == 1), "{:?}", tokens());
    cluster.sims[6].faults().set(FaultKind::Refuse).await;
    let before = cluster.plane.count(abandoned(true));
    let answer = cluster.client.call("create", "meetingID=nowhere&name=Room").await;
    assert!(answer.is_retryable(), "{answer:?}");
    assert_eq!(cluster.plane.count(abandoned(true)) - before, 7, "each of them once");
}

/// Returns an address from which no packet comes back, not even a refusal: a listener whose queue
/// is full.
fn vanished() -> (SocketAddr, Vec<Socket>) {
    let socket = || Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let listener = socket();
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    listener.bind(&any.into()).expect("binds");
    listener.listen(0).expect("listens");
    let address = listener.local_addr().expect("is bound").as_socket().expect("is of IP");
    let waiting = (0..4).map(|_| {
        let waiting = socket();
        waiting.set_nonblocking(true).expect("is set");
        let _ = waiting.connect(&address.into()); // the connection has begun
        waiting
    });
    let mut kept: Vec<Socket> = waiting.collect();
    kept.push(listener);
    (address, kept)
}

#[tokio::test]
async fn e5_a_create_goes_on_past_servers_that_have_vanished_and_reports_them() {
    let cluster = Cluster::start_with(4, |settings| {
        settings.health.connect_timeout = Duration::from_millis(200);
        settings.meetings.create_timeout = Duration::from_secs(10);
    })
    .await;
    let (address, _kept) = vanished();
    for id in ["s0", "s1", "s2"] {
        let url = format!("http://{address}/bigbluebutton/api/");
        cluster.plane.alter_server(id, |server| server.url = url);
    }
    cluster.settled().await;
    cluster.client.create("room").await;
    assert_eq!(cluster.home("room"), 3);
    eventually("each is reported", async || {
        let reported =
            |id| cluster.plane.count(|heard| matches!(heard, Heard::Failure { server, .. } if server == id));
        ["s0", "s1", "s2"].into_iter().all(|id| reported(id) > 0)
    })
    .await;
}

#[tokio::test]
async fn an_unknown_outcome_is_abandoned_as_unknown_and_retryable() {
    for kind in [
        FaultKind::LostAnswer,
        FaultKind::Hang,
        FaultKind::Status500,
        FaultKind::Html,
        FaultKind::CutXml,
        FaultKind::EmptyBody,
    ] {
        let cluster = Cluster::start(2).await;
        for sim in &cluster.sims {
            sim.faults().set(SimFault::new(kind).on(ApiCall::Create)).await;
        }
        let answer = cluster.client.call("create", "meetingID=room&name=Room").await;
        assert!(answer.is_retryable(), "{kind:?}: {answer:?}");
        assert_eq!(cluster.plane.count(abandoned(false)), 1, "{kind:?}");
        assert_eq!(cluster.calls("create"), 1, "{kind:?}: nothing is sent twice");
        eventually("x6: the failure is reported", async || {
            cluster.plane.count(|heard| matches!(heard, Heard::Failure { call, .. } if call == "create")) == 1
        })
        .await;
    }
}

#[tokio::test]
async fn a_servers_own_refusal_is_passed_on_and_leaves_no_record() {
    let cluster = Cluster::start(1).await;
    cluster.client.create("room").await;
    cluster.confirmed("room").await;
    let answer = cluster.client.call("create", "meetingID=room&name=Room&moderatorPW=other").await;
    assert_eq!(answer.key(), "idNotUnique");
    let answer = cluster.client.call("create", "meetingID=new&name=Room&voiceBridge=70001").await;
    assert!(answer.is_success());
    let answer = cluster.client.call("create", "meetingID=newer&name=Room&voiceBridge=70001").await;
    assert!(answer.body.contains("nonUniqueVoiceBridge"), "{answer:?}");
    assert_eq!(cluster.plane.count(abandoned(true)), 1);
    assert!(cluster.plane.meeting(&key("newer")).is_none());
}

#[tokio::test]
async fn a_wrong_server_secret_is_not_the_callers_fault() {
    let cluster = Cluster::start(2).await;
    cluster.sims[0].faults().set(FaultKind::ChecksumError).await;
    cluster.client.create("room").await;
    assert_eq!(cluster.home("room"), 1);
    cluster.sims[1].faults().set(FaultKind::ChecksumError).await;
    let answer = cluster.client.call("create", "meetingID=other&name=Room").await;
    assert!(answer.is_retryable(), "{answer:?}");
    assert!(cluster.client.call("create", "meetingID=room&name=Room").await.is_retryable());
    assert!(cluster.client.call("getMeetingInfo", "meetingID=room").await.is_retryable());
}

#[tokio::test]
async fn h4_while_its_server_is_unhealthy_an_id_is_never_placed_elsewhere() {
    let cluster = Cluster::start(2).await;
    cluster.client.create("room").await;
    cluster.confirmed("room").await;
    let home = cluster.home("room");
    cluster.plane.alter_server(&format!("s{home}"), |server| server.health = Health::Unhealthy);
    cluster.settled().await;
    cluster.sims[home].faults().set(FaultKind::Hang).await;
    let placed_before = cluster.plane.count(placed);
    let creates = (0..20).map(|_| cluster.client.call("create", "meetingID=room&name=Room"));
    for answer in futures::future::join_all(creates).await {
        assert!(answer.is_retryable(), "{answer:?}");
    }
    assert_eq!(cluster.plane.count(placed), placed_before);
    assert!(cluster.sims[1 - home].meetings().is_empty());
}

#[tokio::test]
async fn h5_when_its_server_is_offline_an_id_is_placed_on_another() {
    let cluster = Cluster::start(2).await;
    cluster.client.create("room").await;
    cluster.confirmed("room").await;
    let home = cluster.home("room");
    cluster.plane.alter_server(&format!("s{home}"), |server| server.health = Health::Offline);
    cluster.settled().await;
    cluster.sims[home].faults().set(FaultKind::Refuse).await;
    cluster.client.create("room").await;
    assert!(cluster.sims[1 - home].meetings().iter().any(|meeting| meeting.meeting_id == "room"));
    let (address, _) = cluster.client.join("room").await.location();
    assert_eq!(address, format!("{}join", cluster.sims[1 - home].url()));
}

#[tokio::test]
async fn s6_a_cordoned_server_keeps_its_running_meeting_and_gives_up_an_ended_one() {
    let cluster = Cluster::start(2).await;
    cluster.client.create("room").await;
    cluster.confirmed("room").await;
    let home = cluster.home("room");
    cluster.plane.alter_server(&format!("s{home}"), |server| server.admin = AdminState::Cordoned);
    cluster.settled().await;
    cluster.client.create("room").await;
    assert_eq!(cluster.home("room"), home);
    assert_eq!(cluster.plane.count(|heard| matches!(heard, Heard::Ended { .. })), 0);
    cluster.sims[home].end_meeting("room");
    cluster.client.create("room").await;
    assert_eq!(cluster.home("room"), 1 - home);
    assert_eq!(cluster.plane.count(ended("room")), 1);
}

#[tokio::test]
async fn another_instance_is_confirmed_before_the_caller_hears_of_it() {
    let cluster = Cluster::start(1).await;
    let first = cluster.client.create("room").await.text("internalMeetingID").to_owned();
    cluster.confirmed("room").await;
    let confirmed = |internal: &str| {
        let internal = internal.to_owned();
        cluster.plane.count(|h| matches!(h, Heard::Confirmed { internal_id, .. } if *internal_id == internal))
    };
    cluster.client.create("room").await;
    assert_eq!(confirmed(&first), 1, "the same instance needs no confirmation");
    cluster.sims[0].end_meeting("room");
    let second = cluster.client.create("room").await.text("internalMeetingID").to_owned();
    assert_ne!(first, second);
    assert_eq!(confirmed(&second), 1);
    cluster.plane.route_confirmed(false);
    cluster.sims[0].end_meeting("room");
    assert!(cluster.client.call("create", "meetingID=room&name=Room").await.is_retryable());
}

#[tokio::test]
async fn another_meetings_internal_id_is_a_name_like_any_other_to_a_create() {
    let cluster = Cluster::start(2).await;
    let internal = cluster.client.create("room").await.text("internalMeetingID").to_owned();
    cluster.confirmed("room").await;
    cluster.client.create(&internal).await;
    let here = |heard: &Heard| matches!(heard, Heard::Placed { meeting, .. } if *meeting == internal);
    assert_eq!(cluster.plane.count(here), 1);
}

#[tokio::test]
async fn c10_a_client_that_goes_away_does_not_cancel_its_create() {
    let cluster = Cluster::start(1).await;
    let slow = SimFault::new(FaultKind::Slow(Duration::from_millis(300))).on(ApiCall::Create);
    cluster.sims[0].faults().set(slow).await;
    let path = format!("/bigbluebutton/api/create?{}", signed("create", "meetingID=room&name=Room"));
    let mut stream = TcpStream::connect(cluster.edge.api_addr()).await.unwrap();
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).await.unwrap();
    eventually("the create has reached its server", async || cluster.calls("create") == 1).await;
    drop(stream);
    cluster.confirmed("room").await;
    assert_eq!(cluster.home("room"), 0);
}

#[tokio::test]
async fn forms_are_accepted_with_the_checksum_anywhere() {
    let cluster = Cluster::start(1).await;
    let form = "meetingID=room&name=J%C3%BCrgen+%26+x";
    let bare = signed("create", "");
    let kind = [("content-type", "application/x-www-form-urlencoded; charset=utf-8")];
    let in_query = format!("/bigbluebutton/api/create?{bare}");
    let answer = cluster.client.send("POST", &in_query, &kind, form).await;
    assert!(answer.is_success(), "{answer:?}");
    let in_body = format!("{form}&{bare}");
    let answer = cluster.client.send("POST", "/bigbluebutton/api/create", &kind, in_body).await;
    assert_eq!(answer.key(), "duplicateWarning");
    assert_eq!(cluster.sims[0].meetings()[0].name, "Jürgen & x");
}

/// Parameters as `multipart/form-data`, as curl and PHP send an array: signed like a form, without
/// files.
#[tokio::test]
async fn multipart_forms_are_accepted_with_the_checksum_anywhere() {
    let cluster = Cluster::start(1).await;
    let part = |name: &str, value: &str| {
        format!("--b0\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let file = "--b0\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.pdf\"\r\n\r\n%PDF\r\n";
    let parts = [&part("meetingID", "room"), &part("name", "J\u{fc}rgen & x=1"), file].concat();
    let bare = signed("create", "");
    let checksum = part("checksum", bare.trim_start_matches("checksum="));
    let kind = [("content-type", "multipart/form-data; boundary=b0")];
    let in_query = format!("/bigbluebutton/api/create?{bare}");
    let answer = cluster.client.send("POST", &in_query, &kind, format!("{parts}--b0--\r\n")).await;
    assert!(answer.is_success(), "{answer:?}");
    let in_body = format!("{parts}{checksum}--b0--\r\n");
    let answer = cluster.client.send("POST", "/bigbluebutton/api/create", &kind, in_body.clone()).await;
    assert_eq!(answer.key(), "duplicateWarning");
    assert_eq!(cluster.sims[0].meetings()[0].name, "J\u{fc}rgen & x=1");
    // Parts that are unsigned, signed twice, cut off, or without a boundary.
    let plain = "/bigbluebutton/api/create";
    let answer = cluster.client.send("POST", plain, &kind, format!("{parts}--b0--\r\n")).await;
    assert_eq!(answer.key(), "checksumError");
    assert_eq!(cluster.client.send("POST", &in_query, &kind, in_body.clone()).await.key(), "checksumError");
    assert_eq!(
        cluster.client.send("POST", plain, &kind, in_body[..60].to_owned()).await.key(),
        "validationError"
    );
    let bare_kind = [("content-type", "multipart/form-data")];
    assert_eq!(cluster.client.send("POST", plain, &bare_kind, in_body).await.key(), "unsupportedContentType");
}

#[tokio::test]
async fn documents_go_through_byte_for_byte_with_the_bare_type() {
    let cluster = Cluster::start(1).await;
    let xml = "<?xml version=\"1.0\"?>\r\n<modules><module name=\"presentation\">\
               <document url=\"https://x.test/a.pdf\" filename=\"a.pdf\"/></module></modules>\n";
    let path = format!("/bigbluebutton/api/create?{}", signed("create", "meetingID=room&name=Room"));
    let kind = [("content-type", "text/xml; charset=UTF-8")];
    let answer = cluster.client.send("POST", &path, &kind, xml).await;
    assert!(answer.is_success(), "{answer:?}");
    let call = cluster.sims[0].calls().into_iter().find(|call| call.name == "create").unwrap();
    assert_eq!(
        (call.body.as_ref(), &call.headers["content-type"]),
        (xml.as_bytes(), &"application/xml".parse().unwrap())
    );
    let path = format!("/bigbluebutton/api/insertDocument?{}", signed("insertDocument", "meetingID=room"));
    let answer = cluster.client.send("POST", &path, &kind, xml).await;
    assert!(answer.is_success(), "{answer:?}");
}

#[tokio::test]
async fn large_documents_are_streamed_and_oversized_ones_refused() {
    let cluster = Cluster::start_with(1, |settings| {
        settings.edge.max_body = 4 << 20;
        with_time_for_documents(settings);
    })
    .await;
    let kind = [("content-type", "application/xml")];
    let document = |size: usize| {
        let xml = "<modules><module name=\"presentation\"><document name=\"a\">";
        Bytes::from([xml, &"QUJD".repeat(size / 4), "</document></module></modules>"].concat())
    };
    let path = format!("/bigbluebutton/api/create?{}", signed("create", "meetingID=room&name=Room"));
    let large = document(3 << 20);
    let answer = cluster.client.send("POST", &path, &kind, large.clone()).await;
    assert!(answer.is_success(), "{answer:?}");
    let call = cluster.sims[0].calls().into_iter().find(|call| call.name == "create").unwrap();
    assert_eq!(call.body.len(), large.len());
    let answer = cluster.client.send("POST", &path, &kind, document(5 << 20)).await;
    assert_eq!(answer.key(), "validationError");
}

#[tokio::test]
async fn with_no_control_plane_new_ids_are_retryable_and_known_ones_work() {
    let cluster = Cluster::start(1).await;
    cluster.client.create("known").await;
    cluster.confirmed("known").await;
    cluster.plane.kill().await;
    assert!(cluster.client.call("create", "meetingID=new&name=Room").await.is_retryable());
    assert!(cluster.client.call("create", "meetingID=known&name=Room").await.is_success());
}

#[tokio::test]
async fn s13_parameters_are_excluded_and_durations_capped_on_the_wire() {
    let cluster = Cluster::start_with(1, |settings| {
        settings.meetings.max_duration = Duration::from_mins(90);
        settings.meetings.create_exclude = vec!["logo".into()];
        settings.meetings.join_exclude = vec!["avatarURL".into()];
    })
    .await;
    let query = "name=A+b%20c&meetingID=room&logo=x&duration=600&meta_Usher-Tenant=evil&unknown=&unknown=2";
    assert!(cluster.client.call("create", query).await.is_success());
    let call = cluster.sims[0].calls().into_iter().find(|call| call.name == "create").unwrap();
    let expected = "name=A+b%20c&meetingID=room&duration=90&meta_usher-tenant=default&unknown=&unknown=2";
    assert_eq!(call.query, expected);
    let join = "fullName=A%20b&avatarURL=x&meetingID=room&role=VIEWER&userdata-a=";
    let answer = cluster.client.call("join", join).await;
    assert_eq!(answer.redirected_query(), "fullName=A%20b&meetingID=room&role=VIEWER&userdata-a=");
}
