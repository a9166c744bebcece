//! Creates of an id whose meeting has just been ended. The server carries out an end after its answer,
//! and until then answers a create of the id with the meeting that is about to end.

use std::time::Duration;

use anyhow::{Result, ensure};
use usher_bbb_sim::{BbbSim, SimOptions};
use usher_harness::{
    servers::{SERVER_SECRET, enable},
    standalone::RunningStandalone,
    wait,
};

/// The time in which the server carries out an end.
const END_TAKES: Duration = Duration::from_secs(2);

/// The only server of the fleet still has the ended meeting when the id is created again → the
/// application is never told that the old instance is its new meeting, and gets a meeting that lasts.
#[tokio::test]
async fn a_create_right_after_an_end_gets_a_meeting_that_lasts() -> Result<()> {
    let usher = RunningStandalone::start(0, &[]).await?;
    let options = SimOptions { apps_delay: END_TAKES, ..SimOptions::new(SERVER_SECRET) };
    let sims = [BbbSim::start(options).await?];
    enable(&[usher.admin()], &sims).await?;
    let client = usher.client();
    let created = client.created("lesson").await?;
    let first = created.text("internalMeetingID").unwrap_or_default().to_owned();
    let ended = client.get("end", "meetingID=lesson&password=mp").await?;
    ensure!(ended.is_success(), "{}", ended.body);
    let second = wait::until("a new meeting", || async {
        let again = client.create("lesson").await?;
        ensure!(again.is_success(), "{}", again.body);
        Ok(again)
    })
    .await?;
    ensure!(second.text("internalMeetingID") != Some(&*first), "the meeting that was ended: {}", second.body);
    wait::until("the end of the first meeting", || async {
        ensure!(sims[0].meetings().iter().all(|meeting| meeting.internal_id != first));
        Ok(())
    })
    .await?;
    client.joined("lesson").await?;
    Ok(())
}
