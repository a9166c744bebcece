//! Every fault from a client's side, and the HTTP controls.

use std::time::{Duration, Instant};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use usher_bbb::{call::ApiCall, parse};
use usher_bbb_sim::{BbbSim, FaultKind, SimFault};

use crate::support::{CallReply, DEADLINE, call, client, fetch, start, try_call, until};

const ROOM: &str = "name=Room&meetingID=room-42";

/// How long a client waits before it treats a call as hanging.
const PATIENCE: Duration = Duration::from_millis(150);

async fn hangs(sim: &BbbSim, name: &str, query: &str) -> bool {
    tokio::time::timeout(PATIENCE, try_call(sim, name, query)).await.is_err()
}

fn listed(answer: &CallReply) -> usize {
    match parse::meetings(&answer.body) {
        Ok(parse::ServerReply::Success(meetings)) => meetings.len(),
        other => panic!("no list but {other:?}"),
    }
}

#[tokio::test]
async fn refuse_closes_the_listener_and_open_connections_until_it_is_cleared() {
    let sim = start().await;
    let mut open = TcpStream::connect(sim.address()).await.unwrap();
    open.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    assert!(open.read(&mut [0; 64]).await.unwrap() > 0);
    sim.faults().set(FaultKind::Refuse).await;
    let error = TcpStream::connect(sim.address()).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
    assert!(try_call(&sim, "getMeetings", "").await.unwrap_err().is_connect());
    let mut rest = Vec::new();
    // The connection is closed or reset; both end the read.
    let ended = tokio::time::timeout(DEADLINE, open.read_to_end(&mut rest)).await;
    assert!(ended.is_ok());
    sim.faults().clear().await;
    assert!(call(&sim, "getMeetings", "").await.succeeded());
}

#[tokio::test]
async fn a_fault_with_a_duration_expires() {
    let sim = start().await;
    sim.faults().set(SimFault::new(FaultKind::Refuse).lasting(Duration::from_millis(200))).await;
    assert!(try_call(&sim, "getMeetings", "").await.is_err());
    let well = tokio::time::timeout(DEADLINE, async {
        while try_call(&sim, "getMeetings", "").await.is_err() {
            tokio::task::yield_now().await;
        }
    });
    well.await.unwrap();
}

#[tokio::test]
async fn hang_on_accept_accepts_connections_and_reads_no_byte() {
    let sim = start().await;
    sim.faults().set(FaultKind::HangOnAccept).await;
    assert!(hangs(&sim, "create", ROOM).await);
    assert!(sim.calls().is_empty());
    let mut held = TcpStream::connect(sim.address()).await.unwrap();
    assert!(tokio::time::timeout(PATIENCE, held.read(&mut [0; 8])).await.is_err());
    sim.faults().clear().await;
    let closed = tokio::time::timeout(DEADLINE, held.read(&mut [0; 8])).await.unwrap();
    assert!(matches!(closed, Ok(0) | Err(_)));
    assert!(call(&sim, "create", ROOM).await.succeeded());
    sim.faults().set(SimFault::new(FaultKind::HangOnAccept).times(1)).await;
    assert!(hangs(&sim, "getMeetings", "").await);
    assert!(call(&sim, "getMeetings", "").await.succeeded());
}

#[tokio::test]
async fn hang_reads_the_call_and_does_not_carry_it_out() {
    let sim = start().await;
    sim.faults().set(SimFault::new(FaultKind::Hang).on(ApiCall::Create)).await;
    assert!(hangs(&sim, "create", ROOM).await);
    assert_eq!((sim.calls().len(), sim.meetings().len()), (1, 0));
    assert!(call(&sim, "getMeetings", "").await.succeeded());
    let url = sim.signed_url("create", ROOM);
    let (hanging, ()) = tokio::join!(fetch(client().get(url)), async {
        until(|| sim.calls().len() == 3).await;
        sim.faults().clear().await;
    });
    assert!(hanging.is_err());
    assert!(sim.meetings().is_empty());
}

#[tokio::test]
async fn slow_carries_out_the_call_after_the_delay() {
    let sim = start().await;
    sim.faults().set(SimFault::new(FaultKind::Slow(PATIENCE)).on(ApiCall::Create).times(1)).await;
    let started = Instant::now();
    assert!(call(&sim, "create", ROOM).await.succeeded());
    assert!(started.elapsed() >= PATIENCE);
    assert!(sim.faults().list().is_empty());
}

#[tokio::test]
async fn a_call_with_a_lost_answer_was_carried_out() {
    let sim = start().await;
    sim.faults().set(SimFault::new(FaultKind::LostAnswer).on(ApiCall::Create).times(1)).await;
    let error = try_call(&sim, "create", ROOM).await.unwrap_err();
    assert!(!error.is_connect() && !error.is_timeout(), "{error:?}");
    assert_eq!(sim.meetings().len(), 1);
    assert_eq!(call(&sim, "create", ROOM).await.key(), "duplicateWarning");
}

#[tokio::test]
async fn broken_answers_are_those_that_were_set() {
    let sim = start().await;
    call(&sim, "create", ROOM).await;
    let faults = sim.faults();
    faults.set(FaultKind::Status500).await;
    assert_eq!(call(&sim, "end", "meetingID=room-42").await.status, 500);
    faults.clear().await;
    faults.set(FaultKind::Html).await;
    let html = call(&sim, "end", "meetingID=room-42").await;
    assert!(html.status == 200 && html.body.contains("<html>"));
    assert_eq!(parse::outcome(&html.body), Err(parse::UnreadableReply::NotAResponse));
    faults.clear().await;
    faults.set(FaultKind::ChecksumError).await;
    assert_eq!(call(&sim, "end", "meetingID=room-42").await.key(), "checksumError");
    assert!(fetch(client().get(sim.url())).await.unwrap().succeeded());
    faults.clear().await;
    assert_eq!(sim.meetings().len(), 1);
    faults.set(FaultKind::EmptyBody).await;
    let empty = call(&sim, "end", "meetingID=room-42").await;
    assert_eq!((empty.status, empty.body.as_str()), (200, ""));
    sim.settle();
    assert!(sim.meetings().is_empty());
}

#[tokio::test]
async fn lists_can_be_cut_frozen_and_empty() {
    let sim = start().await;
    call(&sim, "create", ROOM).await;
    let faults = sim.faults();
    faults.set(FaultKind::CutXml).await;
    let cut = call(&sim, "getMeetings", "").await;
    assert_eq!(cut.status, 200);
    assert_eq!(parse::meetings(&cut.body), Err(parse::UnreadableReply::Cut));
    faults.clear().await;
    faults.set(FaultKind::FrozenList).await;
    sim.end_meeting("room-42");
    assert_eq!(listed(&call(&sim, "getMeetings", "").await), 1);
    assert_eq!(call(&sim, "getMeetingInfo", "meetingID=room-42").await.key(), "notFound");
    faults.clear_kind(FaultKind::FrozenList).await;
    assert_eq!(listed(&call(&sim, "getMeetings", "").await), 0);
    call(&sim, "create", ROOM).await;
    faults.set(FaultKind::EmptyList).await;
    assert_eq!(listed(&call(&sim, "getMeetings", "").await), 0);
    assert!(call(&sim, "getMeetingInfo", "meetingID=room-42").await.succeeded());
    let unsigned = fetch(client().get(format!("{}getMeetings", sim.url()))).await.unwrap();
    assert_eq!(unsigned.key(), "checksumError");
}

#[tokio::test]
async fn a_trickle_comes_whole_but_late() {
    let sim = start().await;
    let pause = Duration::from_millis(2);
    sim.faults().set(SimFault::new(FaultKind::Trickle(pause)).on(ApiCall::GetMeetings)).await;
    let started = Instant::now();
    let answer = call(&sim, "getMeetings", "").await;
    assert_eq!(listed(&answer), 0);
    assert!(started.elapsed() >= pause * u32::try_from(answer.body.len() - 1).unwrap());
}

#[tokio::test]
async fn stopping_does_not_wait_for_hanging_calls() {
    let sim = start().await;
    sim.faults().set(FaultKind::Hang).await;
    let hanging = tokio::spawn(fetch(client().get(sim.signed_url("getMeetings", ""))));
    until(|| !sim.calls().is_empty()).await;
    tokio::time::timeout(DEADLINE, sim.stop()).await.unwrap();
    assert!(hanging.await.unwrap().is_err());
}

fn participants(sim: &BbbSim) -> usize {
    sim.meetings().iter().find(|meeting| meeting.meeting_id == "room-42").unwrap().participants
}

#[tokio::test]
async fn every_control_works_over_http() {
    let sim = start().await;
    let control = |method: &str, path: &str| {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        fetch(client().request(method, format!("{}/sim/{path}", sim.base())))
    };
    call(&sim, "create", ROOM).await;
    let meetings = control("GET", "meetings").await.unwrap();
    assert!(meetings.body.contains("\"meetingID\":\"room-42\""), "{}", meetings.body);
    assert_eq!(control("POST", "crowd?meetingID=room-42&users=30").await.unwrap().status, 200);
    assert_eq!(call(&sim, "getMeetingInfo", "meetingID=room-42").await.text("participantCount"), "30");
    assert_eq!(control("POST", "crowd?meetingID=room-42&users=x").await.unwrap().status, 400);
    assert_eq!(control("POST", "breakouts?meetingID=room-42").await.unwrap().status, 200);
    call(&sim, "join", "fullName=Ada&meetingID=room-42&role=viewer").await;
    assert_eq!(participants(&sim), 30);
    assert_eq!(control("POST", "connect?meetingID=room-42").await.unwrap().status, 200);
    assert_eq!(participants(&sim), 31);
    assert_eq!(control("POST", "connect?sessionToken=none").await.unwrap().status, 404);
    assert_eq!(control("POST", "settle").await.unwrap().status, 200);
    assert_eq!(sim.meetings().len(), 2);

    let set = control("POST", "faults?kind=html&call=end&count=1").await.unwrap();
    for part in ["\"call\":\"end\"", "\"count\":1", "\"kind\":\"html\""] {
        assert!(set.body.contains(part), "{}", set.body);
    }
    assert!(call(&sim, "end", "meetingID=room-42").await.body.contains("<html>"));
    assert_eq!(control("GET", "faults").await.unwrap().body, "[]\n");
    assert_eq!(control("POST", "faults?kind=melt").await.unwrap().status, 400);
    assert_eq!(control("POST", "faults?kind=hang").await.unwrap().status, 200);
    assert_eq!(control("DELETE", "faults?kind=hang").await.unwrap().body, "[]\n");

    let calls = control("GET", "calls").await.unwrap().body;
    assert!(calls.contains("\"call\":\"create\"") && !calls.contains("checksum"), "{calls}");
    assert_eq!(control("POST", "end?meetingID=room-42").await.unwrap().status, 200);
    assert_eq!(control("POST", "end?meetingID=room-42").await.unwrap().status, 404);
    control("POST", "restart").await.unwrap();
    assert!(sim.meetings().is_empty());
    assert_eq!(control("GET", "nothing").await.unwrap().status, 404);
    // The request that closes the listener still gets its answer.
    let refused = control("POST", "faults?kind=refuse&for=200ms").await.unwrap();
    assert!(refused.body.contains("refuse"));
    assert!(control("GET", "faults").await.is_err());
}
