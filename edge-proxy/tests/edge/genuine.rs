//! The edge in front of a server of version 2.5 answers as the genuine server itself did, request by
//! request, apart from the differences in the table below.

mod differences;
#[path = "../../../bbb-sim/tests/genuine/replay.rs"]
mod replay;

use std::time::Duration;

use differences::ACCEPTED;
use replay::{ComparedAnswer, ComparisonState, GenuineRequest, genuine_run, unaccepted};
use usher_bbb_sim::{BbbVersion, FaultKind, SimOptions};

use crate::support::{Answer, Cluster, SECRET};

/// The requests between an accepted end and the moment when the genuine apps server had carried it
/// out.
const BEFORE_THE_END: [&str; 6] = [
    "end attendee pw",
    "end no pw",
    "end short pw",
    "end ok",
    "getMeetingInfo right after end",
    "isMeetingRunning right after end",
];

fn compared(answer: &Answer) -> ComparedAnswer {
    let headers = answer.headers.iter();
    ComparedAnswer {
        status: answer.status.as_u16(),
        headers: headers
            .map(|(name, value)| (name.to_string(), value.to_str().expect("text").to_owned()))
            .collect(),
        body: answer.body.clone(),
    }
}

/// Sends a request, and follows the redirect of a join to its server.
async fn send(cluster: &Cluster, request: &GenuineRequest, target: &str, body: String) -> Answer {
    let headers: Vec<_> =
        request.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let answer = cluster.client.send(&request.method, target, &headers, body).await;
    let location = answer.headers.get("location").and_then(|location| location.to_str().ok());
    let server = format!("{}/bigbluebutton/", cluster.sims[0].base());
    match location.filter(|location| location.starts_with(&server)) {
        Some(location) => {
            let client = crate::support::Client::new(cluster.sims[0].address());
            client.get(location.strip_prefix(cluster.sims[0].base()).expect("is at the server")).await
        }
        None => answer,
    }
}

#[tokio::test]
async fn each_answer_is_that_of_a_genuine_server_or_a_wanted_difference() {
    let run = genuine_run();
    let server = SimOptions {
        version: BbbVersion::V2_5,
        // Only this test says when the apps server has done its work.
        apps_delay: Duration::from_hours(1),
        ..SimOptions::new("server-secret")
    };
    let cluster = Cluster::over(server).await;
    cluster.sims[0].faults().set(FaultKind::NoHooks).await;
    // The genuine server had this meeting before the run.
    let before = "name=Test&meetingID=t1&attendeePW=ap&moderatorPW=mp";
    assert!(cluster.client.call("create", before).await.is_success());
    cluster.settled().await;
    let mut state = ComparisonState::new(cluster.sims[0].base());
    let (mut used, mut faults) = (vec![false; ACCEPTED.len()], Vec::new());
    for request in &run.requests {
        if !BEFORE_THE_END.contains(&request.name.as_str()) {
            cluster.sims[0].settle();
        }
        let target = state.target(request, &run.secret, SECRET);
        let body = ComparisonState::body(request, &run.secret, SECRET);
        let answer = send(&cluster, request, &target, body).await;
        cluster.settled().await;
        let found = state.differences(request, &compared(&answer));
        let rest = unaccepted(request, found, ACCEPTED, &mut used);
        faults.extend(rest.into_iter().map(|difference| format!("{}: {difference}", request.name)));
    }
    assert!(faults.is_empty(), "{} differences:\n{}", faults.len(), faults.join("\n"));
    for (accepted, used) in ACCEPTED.iter().zip(used) {
        assert!(used, "no request differs so any more: {} ({})", accepted.difference, accepted.reason);
    }
}
