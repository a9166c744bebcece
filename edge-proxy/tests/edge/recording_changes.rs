//! `publishRecordings`, `updateRecordings`, `deleteRecordings`: sent to each server that has one of
//! the recordings, and done on all of them or an error.

use std::time::Duration;

use usher_bbb::{
    call::ApiCall,
    checksum::{ChecksumAlgorithm, sign_query},
    secret::Secret,
};
use usher_bbb_sim::{FaultKind, SimFault, SimRecording, SimRecordingState};
use usher_model::server::Health;

use crate::support::{Cluster, signed, tenant, tokens};

const API: &str = "/bigbluebutton/api";

/// A deadline of lists that the slow server of a test keeps.
const PATIENT: Duration = Duration::from_secs(16);

/// Starts two servers with one recording each, and returns the ids of the recordings.
async fn fleet() -> (Cluster, [String; 2]) {
    let cluster = Cluster::start(2).await;
    let ids = add_recordings(&cluster);
    (cluster, ids)
}

/// Adds a recording to each of two servers, and returns their ids.
fn add_recordings(cluster: &Cluster) -> [String; 2] {
    for (server, id) in [(0, "a"), (1, "b")] {
        let recording = SimRecording::new(id, 17).in_state(SimRecordingState::Unpublished).with("kept", "1");
        cluster.sims[server].add_recording(recording);
    }
    [0, 1].map(|server| cluster.sims[server].recordings()[0].record_id.clone())
}

impl Cluster {
    fn states(&self) -> Vec<SimRecordingState> {
        self.sims
            .iter()
            .flat_map(usher_bbb_sim::BbbSim::recordings)
            .map(|recording| recording.state)
            .collect()
    }
}

#[tokio::test]
async fn each_server_gets_its_own_recordings_and_the_answers_are_bbbs() {
    let (cluster, [a, b]) = fleet().await;
    let both = format!("recordID={a}%2C{b},nobodys");
    let answer = cluster.client.call("publishRecordings", &format!("{both}&publish=True")).await;
    let done = |what: &str, said: &str| {
        tokens(&format!("<response><returncode>SUCCESS</returncode><{what}>{said}</{what}></response>"))
    };
    assert_eq!(answer.tokens(), done("published", "True"));
    assert_eq!(cluster.states(), [SimRecordingState::Published, SimRecordingState::Published]);
    for (sim, id) in cluster.sims.iter().zip([&a, &b]) {
        let told = sim.calls().into_iter().find(|call| call.name == "publishRecordings").expect("was told");
        assert_eq!(told.query, format!("recordID={id}&publish=True"));
    }
    let listed = cluster.client.call("getRecordings", "state=published").await;
    assert_eq!(listed.body.matches("<recording>").count(), 2, "what was changed is seen at once");

    let update = format!("{both}&meta_Course=math&meta_kept=&meta_usher-tenant=other&meta_USHER-x=1");
    assert_eq!(cluster.client.call("updateRecordings", &update).await.tokens(), done("updated", "true"));
    for sim in &cluster.sims {
        assert_eq!(sim.recordings()[0].metadata, [("course".to_owned(), "math".to_owned())]);
    }
    let answer = cluster.client.call("deleteRecordings", &both).await;
    assert_eq!(answer.tokens(), done("deleted", "true"));
    assert_eq!(cluster.states(), [SimRecordingState::Deleted, SimRecordingState::Deleted]);
    let again = cluster.client.call("deleteRecordings", &both).await;
    assert_eq!((again.key().as_str(), again.text("message")), ("notFound", "We could not find recordings"));
}

#[tokio::test]
async fn update_takes_a_form() {
    let (cluster, [a, _]) = fleet().await;
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let body = format!("recordID={a}&meta_course=a+b&{}", signed("updateRecordings", ""));
    let answer = cluster.client.send("POST", &format!("{API}/updateRecordings"), &form, body).await;
    assert_eq!(answer.text("updated"), "true");
    assert_eq!(cluster.sims[0].recordings()[0].metadata("course"), Some("a b"));
}

#[tokio::test]
async fn an_unknown_recording_is_not_found_nor_one_by_the_beginning_of_its_id() {
    let (cluster, [a, _]) = fleet().await;
    for id in ["nothing", &a[..40], "../x", "%25"] {
        for call in ["publishRecordings", "updateRecordings", "deleteRecordings"] {
            let answer = cluster.client.call(call, &format!("recordID={id}&publish=true")).await;
            assert_eq!(answer.key(), "notFound", "{call} {id}");
        }
    }
    assert_eq!(cluster.states(), [SimRecordingState::Unpublished, SimRecordingState::Unpublished]);
}

#[tokio::test]
async fn a_copy_on_another_server_is_changed_too() {
    let (cluster, [a, _]) = fleet().await;
    cluster.sims[1].add_recording(cluster.sims[0].recordings()[0].clone());
    assert!(cluster.client.call("deleteRecordings", &format!("recordID={a}")).await.is_success());
    assert_eq!(
        cluster.states(),
        [SimRecordingState::Deleted, SimRecordingState::Unpublished, SimRecordingState::Deleted]
    );
}

#[tokio::test]
async fn a_change_that_is_not_made_everywhere_is_a_retryable_error() {
    let (cluster, [a, b]) = fleet().await;
    let publish = format!("recordID={a},{b}&publish=true");
    cluster.sims[1].faults().set(SimFault::new(FaultKind::Status500).on(ApiCall::PublishRecordings)).await;
    assert!(cluster.client.call("publishRecordings", &publish).await.is_retryable());
    cluster.sims[1].faults().clear().await;
    cluster.sims[1].faults().set(SimFault::new(FaultKind::LostAnswer).on(ApiCall::PublishRecordings)).await;
    assert!(cluster.client.call("publishRecordings", &publish).await.is_retryable());
    cluster.sims[1].faults().clear().await;
    assert!(cluster.client.call("publishRecordings", &publish).await.is_success());
    assert_eq!(cluster.states(), [SimRecordingState::Published, SimRecordingState::Published]);

    let delete = format!("recordID={a},{b}");
    cluster.sims[1].faults().set(SimFault::new(FaultKind::Status500).on(ApiCall::DeleteRecordings)).await;
    assert!(cluster.client.call("deleteRecordings", &delete).await.is_retryable());
    cluster.sims[1].faults().clear().await;
    assert!(cluster.client.call("deleteRecordings", &delete).await.is_success(), "half was deleted before");
    assert_eq!(cluster.states(), [SimRecordingState::Deleted, SimRecordingState::Deleted]);
}

#[tokio::test]
async fn with_an_unreachable_server_only_recordings_known_elsewhere_are_changed() {
    let (cluster, [a, b]) = fleet().await;
    cluster.plane.alter_server("s1", |server| server.health = Health::Offline);
    cluster.settled().await;
    for id in [format!("{a},{b}"), b.clone(), "unknown".into()] {
        let query = format!("recordID={id}&publish=true");
        assert!(cluster.client.call("publishRecordings", &query).await.is_retryable(), "{id}");
    }
    assert_eq!(cluster.states(), [SimRecordingState::Unpublished, SimRecordingState::Unpublished]);
    let query = format!("recordID={a}&publish=true");
    assert!(cluster.client.call("publishRecordings", &query).await.is_success());
    cluster.plane.alter_server("s1", |server| server.health = Health::Online);
    cluster.settled().await;
    cluster.sims[1].faults().set(FaultKind::HangOnAccept).await;
    assert!(cluster.client.call("deleteRecordings", &format!("recordID={a}")).await.is_success());
    assert!(cluster.client.call("deleteRecordings", &format!("recordID={b}")).await.is_retryable());
}

/// A healthy server that needs as long for a search as for a list does not prevent changes of its recordings.
#[tokio::test]
async fn a_slow_server_is_waited_for_if_only_it_may_have_the_recording() {
    let cluster = Cluster::start_with(2, |settings| settings.meetings.recordings_timeout = PATIENT).await;
    let ids = add_recordings(&cluster);
    let slow = SimFault::new(FaultKind::Slow(Duration::from_millis(1_200))).on(ApiCall::GetRecordings);
    cluster.sims[1].faults().set(slow).await;
    let searches = || cluster.sims[1].calls().iter().filter(|call| call.name == "getRecordings").count();
    let publish = |id: &str| format!("recordID={id}&publish=true");
    assert!(cluster.client.call("publishRecordings", &publish(&ids[0])).await.is_success());
    assert_eq!(searches(), 1, "the other server has it");
    assert!(cluster.client.call("publishRecordings", &publish(&ids[1])).await.is_success());
    assert_eq!(searches(), 2, "it is asked once for each");
    assert_eq!(cluster.states(), [SimRecordingState::Published, SimRecordingState::Published]);
    let tracks = cluster.client.call("getRecordingTextTracks", &format!("recordID={}", ids[1])).await;
    assert_eq!(tracks.json().key, "noCaptionsFound", "says its server");
    assert_eq!(cluster.client.call("deleteRecordings", "recordID=unknown").await.key(), "notFound");
    assert!(
        cluster.client.call("deleteRecordings", &format!("recordID={}", ids.join(","))).await.is_success()
    );
    assert_eq!(cluster.states(), [SimRecordingState::Deleted, SimRecordingState::Deleted]);
}

#[tokio::test]
async fn no_tenant_changes_anothers_recordings() {
    let (cluster, [a, _]) = fleet().await;
    cluster.plane.set_tenant(tenant("school", &["school-secret"], &[]));
    cluster.settled().await;
    cluster.sims[0].add_recording(SimRecording::new("school~room", 18).with("usher-tenant", "school"));
    let theirs = cluster.sims[0].recordings()[1].record_id.clone();
    for call in ["publishRecordings", "updateRecordings", "deleteRecordings"] {
        let query = |id: &str| format!("recordID={id}&publish=false&meta_x=1&meta_usher-tenant=school");
        let signed = sign_query(ChecksumAlgorithm::Sha256, call, query(&a), &Secret::new("school-secret"));
        let answer = cluster.client.get(&format!("/school{API}/{call}?{signed}")).await;
        assert_eq!(answer.key(), "notFound", "{call}");
        assert_eq!(cluster.client.call(call, &query(&theirs)).await.key(), "notFound", "{call}");
        assert_eq!(cluster.calls(call), 0, "no server hears of it");
        let mixed = query(&format!("{a},{theirs}")).replace("publish=false", "publish=true");
        assert!(cluster.client.call(call, &mixed).await.is_success(), "{call}");
        let kept = &cluster.sims[0].recordings()[1];
        assert_eq!((kept.state, kept.metadata("x")), (SimRecordingState::Published, None), "{call}");
    }
}

#[tokio::test]
async fn long_lists_fit_into_urls() {
    let cluster = Cluster::start(1).await;
    let mut ids = Vec::new();
    for index in 0..120 {
        let recording =
            SimRecording::new(&format!("m{index}"), index).in_state(SimRecordingState::Unpublished);
        ids.push(recording.record_id.clone());
        cluster.sims[0].add_recording(recording);
    }
    let query = format!("recordID={}&publish=true", ids.join(","));
    assert!(cluster.client.call("publishRecordings", &query).await.is_success());
    assert!(cluster.states().iter().all(|state| *state == SimRecordingState::Published));
    assert_eq!(cluster.calls("publishRecordings"), 3);
}
