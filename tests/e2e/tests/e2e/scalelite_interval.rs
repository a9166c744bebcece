//! H16: with a poll interval as long as `unhealthy_after`, as an imported Scalelite environment
//! sets it, a single failed poll splits no meeting.

use anyhow::{Result, ensure};
use usher_bbb::call::ApiCall;
use usher_bbb_sim::{BbbSim, FaultKind, SimFault};
use usher_harness::{
    admin::TestAdmin, client::BbbTestClient, cluster::TestCluster, standalone::RunningStandalone, wait,
};
use usher_proto::v1::Health;

/// The ratios of `POLL_INTERVAL=60` and the defaults, scaled to a second.
const SCALELITES: [(&str, &str); 5] = [
    ("health.interval", "1s"),
    ("health.deadline", "800ms"),
    ("health.connect_timeout", "400ms"),
    ("health.unhealthy_after", "1s"),
    ("meetings.create_timeout", "900ms"),
];

fn homes(sims: &[BbbSim], id: &str) -> Vec<usize> {
    let has = |sim: &BbbSim| sim.meetings().iter().any(|meeting| meeting.meeting_id == id);
    (0..sims.len()).filter(|place| has(&sims[*place])).collect()
}

async fn one_failed_poll_splits_no_meeting(
    client: &BbbTestClient,
    admin: &TestAdmin,
    sims: &[BbbSim],
) -> Result<()> {
    client.created("live").await?;
    let [home] = homes(sims, "live")[..] else { anyhow::bail!("it runs once") };
    let id = format!("bbb-{home}");
    let live = sims[home].meetings()[0].internal_id.clone();
    // One poll and its retry hang; the next poll succeeds.
    sims[home].faults().set(SimFault::new(FaultKind::Hang).on(ApiCall::GetMeetings)).await;
    wait::until("the poll to have failed", || async {
        let server = admin.server(&id).await?;
        ensure!(server.health() != Health::Online, "still online");
        Ok(())
    })
    .await?;
    sims[home].faults().clear().await;
    let server = admin.server(&id).await?;
    assert_eq!((server.health(), server.error_count), (Health::Unhealthy, 1), "{server:?}");
    client.created("live").await?;
    assert_eq!(homes(sims, "live"), [home], "it runs once");
    client.joined("live").await?;
    wait::until("the server to be online again", || async {
        let server = admin.server(&id).await?;
        ensure!(server.health() == Health::Online, "{:?}", server.health());
        Ok(())
    })
    .await?;
    assert_eq!(sims[home].meetings()[0].internal_id, live, "and goes on");
    // A server that stays unreachable is offline after the third failed poll.
    sims[home].faults().set(FaultKind::Refuse).await;
    let offline = wait::until("the server to be offline", || async {
        let server = admin.server(&id).await?;
        ensure!(server.health() == Health::Offline, "{:?}", server.health());
        Ok(server)
    })
    .await?;
    assert_eq!(offline.error_count, 3);
    Ok(())
}

/// H16: on etcd, one poll of a meeting's server fails at Scalelite's interval → the meeting is not
/// created elsewhere; three polls fail → the server is offline.
#[tokio::test]
async fn h16_one_failed_poll_at_scalelites_interval_splits_no_meeting_on_etcd() -> Result<()> {
    let cluster = TestCluster::builder().set_all(&SCALELITES).start().await?;
    one_failed_poll_splits_no_meeting(&cluster.client(0), &cluster.admin(0), &cluster.sims).await
}

/// H16: on the embedded store, one poll of a meeting's server fails at Scalelite's interval → the
/// meeting is not created elsewhere; three polls fail → the server is offline.
#[tokio::test]
async fn h16_one_failed_poll_at_scalelites_interval_splits_no_meeting_on_the_embedded_store() -> Result<()> {
    let usher = RunningStandalone::start(3, &SCALELITES).await?;
    one_failed_poll_splits_no_meeting(&usher.client(), &usher.admin(), &usher.sims).await
}
