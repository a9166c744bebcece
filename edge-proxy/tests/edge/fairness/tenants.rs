//! The calls under way of one tenant beside those of another.

use usher_bbb::call::ApiCall;
use usher_bbb_sim::{FaultKind, SimFault};

use super::crowd::{Crowd, cluster, is_served, shed};
use crate::support::{Heard, eventually};

#[tokio::test]
async fn lists_of_one_tenant_that_wait_for_hung_servers_leave_the_others_alone() {
    let cluster = cluster(2, |_| {}).await;
    let hung = SimFault::new(FaultKind::Hang).on(ApiCall::GetSessions);
    for sim in &cluster.sims {
        sim.faults().set(hung).await;
    }
    // The share of one of two tenants is 128 lists of its own and 128 of the common half.
    let mut crowd = Crowd::of(&cluster, 300, "getSessions", |_| String::new());
    crowd.is_refused(44).await;
    is_served(&cluster, "beside").await;
    assert_eq!((crowd.further_answers(), shed(&cluster, "tenant_concurrency")), (0, 44.0));
    let told =
        |heard: &Heard| matches!(heard, Heard::Shed(shed) if *shed == [("tenant_concurrency".into(), 44)]);
    eventually("the control plane is told", async || cluster.plane.count(told) > 0).await;
    drop(crowd);
    for sim in &cluster.sims {
        sim.faults().clear().await;
    }
    eventually("the tenant has its share again", async || {
        let mut again = Crowd::of(&cluster, 1, "isMeetingRunning", |_| "meetingID=none".to_owned());
        again.answers.recv().await.expect("is answered").is_success()
    })
    .await;
}
