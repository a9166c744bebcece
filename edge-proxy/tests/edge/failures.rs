//! Reports of failed calls, and the protection from invalid bodies, by which no caller may make a
//! server fail (X6).

use bytes::Bytes;
use usher_bbb::call::ApiCall;
use usher_bbb_sim::{FaultKind, SimFault};
use usher_model::{
    id::ServerId,
    routing::{MeetingRoute, RouteState},
};
use usher_runtime::control_planes::ControlPlanes;

use crate::support::{Cluster, Heard, eventually, key, signed, tenant, with_time_for_documents};

const XML: [(&str, &str); 1] = [("content-type", "application/xml")];

fn failures(cluster: &Cluster) -> usize {
    cluster.plane.count(|heard| matches!(heard, Heard::Failure { .. }))
}

/// A genuine server answers `create` and `insertDocument` with the first two bodies by HTTP 500,
/// and is assumed to do so with the others. Forty such calls once took a whole fleet out of
/// placement.
#[tokio::test]
async fn x6_a_body_that_is_no_document_reaches_no_server_and_is_no_failure_of_one() {
    let cluster = Cluster::start(2).await;
    cluster.client.create("room").await;
    cluster.confirmed("room").await;
    for body in [
        "<modules><module",
        "<modules",
        "no xml",
        "<modules></module>",
        "<!DOCTYPE modules [<!ENTITY a \"b\">]><modules>&a;</modules>",
        "<modules><module name=\"presentation\"><document url=\"/\"/></module></modules>",
    ] {
        for (call, query) in [("create", "meetingID=new&name=Room"), ("insertDocument", "meetingID=room")] {
            let path = format!("/bigbluebutton/api/{call}?{}", signed(call, query));
            let answer = cluster.client.send("POST", &path, &XML, body).await;
            assert_eq!(answer.key(), "validationError", "{call} {body}: {answer:?}");
        }
    }
    assert_eq!((cluster.calls("create"), cluster.calls("insertDocument")), (1, 0));
    assert_eq!(failures(&cluster), 0);
}

/// A large body is already on its way when it turns out to be invalid: the edge breaks it off
/// there.
#[tokio::test]
async fn x6_a_large_body_that_turns_out_to_be_no_document_is_not_completed() {
    let cluster = Cluster::start_with(1, with_time_for_documents).await;
    cluster.client.create("room").await;
    cluster.confirmed("room").await;
    let begin = "<modules><module name=\"presentation\"><document name=\"a\">";
    for end in ["</document></module>", "</document></modules></module>", "<&>"] {
        let body = Bytes::from([begin, &"QUJD".repeat(1 << 19), end].concat());
        for (call, query) in [("create", "meetingID=new&name=Room"), ("insertDocument", "meetingID=room")] {
            let path = format!("/bigbluebutton/api/{call}?{}", signed(call, query));
            let answer = cluster.client.send("POST", &path, &XML, body.clone()).await;
            assert_eq!(answer.key(), "validationError", "{call} {end}: {answer:?}");
        }
    }
    assert_eq!((cluster.calls("create"), cluster.calls("insertDocument")), (1, 0));
    assert_eq!(cluster.sims[0].meetings().len(), 1);
    assert_eq!(failures(&cluster), 0);
}

#[tokio::test]
async fn x6_a_failed_call_is_reported_with_its_origin_and_successes_elsewhere() {
    let cluster = Cluster::start(2).await;
    cluster.plane.set_tenant(tenant("school", &["school-secret"], &[]));
    cluster.settled().await;
    cluster.sims[0].faults().set(SimFault::new(FaultKind::Status500).on(ApiCall::Create)).await;
    let create = async |id: &str| cluster.client.call("create", &format!("meetingID={id}&name=Room")).await;
    let add = async |server: &str, ids: std::ops::Range<u32>| {
        for number in ids {
            let server = ServerId::parse(server).unwrap();
            let key = key(&format!("{server}-{number}"));
            let state = RouteState::Pending;
            cluster.plane.set_meeting(MeetingRoute { key, server, state, voice_bridge: None });
        }
        cluster.settled().await;
    };
    // The fake control plane chooses the server with the fewest meetings, and a server that fails
    // has none.
    assert!(create("first").await.is_retryable());
    add("s0", 0..2).await;
    assert!(create("elsewhere").await.is_success());
    add("s1", 0..5).await;
    let told = |heard: &Heard| match heard {
        Heard::Failure { server, call, callers, elsewhere } if server == "s0" && call == "create" => {
            *elsewhere && callers.len() >= 3 && callers.iter().all(|(tenant, _)| tenant == "default")
        }
        _ => false,
    };
    let number = std::sync::atomic::AtomicUsize::new(0);
    eventually("the votes of three meetings are told at once", async || {
        let number = number.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        create(&format!("m{number}")).await;
        cluster.plane.count(told) > 0
    })
    .await;
    assert_eq!(
        cluster.plane.count(|heard| matches!(heard, Heard::Failure { server, .. } if server != "s0")),
        0
    );
}

/// Documents may be on a host that never answers, so that a caller can make the call fail at will.
#[tokio::test]
async fn x6_a_failed_call_with_documents_is_reported_without_evidence() {
    let cluster = Cluster::start(1).await;
    cluster.sims[0].faults().set(SimFault::new(FaultKind::Status500).on(ApiCall::Create)).await;
    let named = "meetingID=room&name=Room&preUploadedPresentation=https%3A%2F%2Fa.test%2Fa.pdf";
    assert!(cluster.client.call("create", named).await.is_retryable());
    eventually("it is told", async || failures(&cluster) == 1).await;
    let is_bare = |heard: &Heard| matches!(heard, Heard::Failure { callers, .. } if callers.is_empty());
    assert_eq!(cluster.plane.count(is_bare), 1);
}

/// With every server cordoned the log once said that no control plane answers.
#[tokio::test]
async fn the_reason_for_which_no_server_is_chosen_is_named() {
    use prometheus_client::metrics::counter::Counter;
    use usher_edge_proxy::{
        control::placement::{PlacementClient, PlacementError},
        core::rules::PlacementWishes,
    };

    let (cluster, other) = Cluster::replicated(1).await;
    cluster.plane.decline_placements(Some("POOL_EMPTY"));
    let planes = ControlPlanes::new(&[cluster.plane.url(), other.url()], None).expect("are addresses");
    let client = PlacementClient::new(planes, Counter::default());
    let (new, wishes) = (key("new"), PlacementWishes::default());
    let place = || client.place(&new, [0; 32], &wishes, &[], "0123456789abcdef");
    let declined = place().await.expect_err("is declined");
    assert!(matches!(declined, PlacementError::Declined(_)), "{declined}");
    assert_eq!(
        declined.to_string(),
        "no control plane can do it now: no server takes the meeting: pool_empty"
    );
    let refused = cluster.client.call("create", "meetingID=new&name=Room").await;
    assert_eq!(refused.key(), "serverUnavailable");
    assert!(refused.headers.contains_key("retry-after"));
    // The reason of one replica says more than the silence of the other.
    other.kill().await;
    assert!(matches!(place().await, Err(PlacementError::Declined(_))));
    cluster.plane.kill().await;
    let unreachable = place().await.expect_err("is unreachable");
    assert_eq!(unreachable.to_string(), "no control plane answers");
}
