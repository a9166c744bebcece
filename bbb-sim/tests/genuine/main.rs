//! The simulator in the mode of 2.5 answers as a genuine server of 2.5.14 did, request by request.

mod replay;

use std::time::Duration;

use replay::{AcceptedDifference, ComparedAnswer, ComparisonState, GenuineRequest, genuine_run, unaccepted};
use usher_bbb_sim::{BbbSim, BbbVersion, FaultKind, SimOptions};

/// The differences between the genuine server and the simulator.
const ACCEPTED: &[AcceptedDifference] = &[AcceptedDifference {
    requests: &["checksum missing"],
    difference: "/response/message: `You must provide the checksum`",
    reason: "a missing checksum breaks two rules, and the server reports an arbitrary one of them",
}];

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

async fn start(secret: &str) -> BbbSim {
    let options = SimOptions {
        version: BbbVersion::V2_5,
        // Only this test says when the apps server has done its work.
        apps_delay: Duration::from_hours(1),
        ..SimOptions::new(secret)
    };
    let sim = BbbSim::start(options).await.expect("a free port");
    sim.faults().set(FaultKind::NoHooks).await;
    sim
}

async fn send(
    client: &reqwest::Client,
    sim: &BbbSim,
    request: &GenuineRequest,
    target: &str,
) -> ComparedAnswer {
    let method = request.method.parse().expect("a method");
    let mut call = client.request(method, format!("{}{target}", sim.base())).body(request.body.clone());
    for (name, value) in &request.headers {
        call = call.header(name, value);
    }
    let answer = call.send().await.expect("an answer");
    let headers = answer
        .headers()
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_str().expect("text").to_owned()))
        .collect();
    ComparedAnswer { status: answer.status().as_u16(), headers, body: answer.text().await.expect("a body") }
}

#[tokio::test]
async fn each_answer_of_the_simulator_is_that_of_a_genuine_server() {
    let run = genuine_run();
    assert_eq!(run.requests.len(), 175);
    let sim = start(&run.secret).await;
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()
        .expect("a client without certificates");
    // The genuine server had this meeting before the run.
    let before = sim.signed_url("create", "name=Test&meetingID=t1&attendeePW=ap&moderatorPW=mp");
    assert_eq!(client.get(before).send().await.expect("an answer").status(), 200);
    let mut state = ComparisonState::new(sim.base());
    let (mut used, mut faults) = (vec![false; ACCEPTED.len()], Vec::new());
    for request in &run.requests {
        if !BEFORE_THE_END.contains(&request.name.as_str()) {
            sim.settle();
        }
        let target = state.target(request, &run.secret, &run.secret);
        let request = &GenuineRequest {
            body: ComparisonState::body(request, &run.secret, &run.secret),
            ..request.clone()
        };
        let answer = send(&client, &sim, request, &target).await;
        let found = state.differences(request, &answer);
        let rest = unaccepted(request, found, ACCEPTED, &mut used);
        faults.extend(rest.into_iter().map(|difference| format!("{}: {difference}", request.name)));
    }
    assert!(faults.is_empty(), "{} differences:\n{}", faults.len(), faults.join("\n"));
    for (accepted, used) in ACCEPTED.iter().zip(used) {
        assert!(used, "no request differs so any more: {} ({})", accepted.difference, accepted.reason);
    }
}
