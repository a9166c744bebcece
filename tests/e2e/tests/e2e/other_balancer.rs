//! `meetings.adopt = "all"`: the fleet of another balancer, of which Usher knows only the servers.

use anyhow::{Result, ensure};
use usher_bbb_sim::BbbSim;
use usher_harness::{
    scalelite::{ScaleliteTenant, created_on},
    servers,
    standalone::RunningStandalone,
    wait,
};

/// I2: two servers run meetings of another balancer and of a Scalelite tenant → Usher adopts them,
/// every join and create reaches the running instance, and no meeting is ended.
#[tokio::test]
async fn i2_with_adopt_all_the_meetings_of_another_balancer_are_joined_and_none_ends() -> Result<()> {
    let sims = [servers::start().await?, servers::start().await?];
    let one = created_on(&sims[0], "one", None).await?;
    let two = created_on(&sims[1], "two", None).await?;
    let school = ScaleliteTenant { id: "5", name: "school", secrets: "" };
    let room = created_on(&sims[1], "room", Some(&school)).await?;
    sims.iter().for_each(BbbSim::forget_calls);
    let usher = RunningStandalone::start(0, &[("meetings.adopt", "all")]).await?;
    usher.admin().add_tenant("school", "school-secret", &[]).await?;
    servers::enable(&[usher.admin()], &sims).await?;
    let client = usher.client();
    let tenant = client.clone().for_tenant("school", "school-secret");
    wait::until("every meeting to be known", || async {
        for (client, id, sim) in
            [(&client, "one", &sims[0]), (&client, "two", &sims[1]), (&tenant, "room", &sims[1])]
        {
            let location = client.joined(id).await?;
            ensure!(location.starts_with(sim.base()), "{location}");
        }
        Ok(())
    })
    .await?;
    assert_eq!(client.join("room").await?.status, 200, "it is the tenant's that Scalelite names");
    for (id, instance) in [("one", &one), ("two", &two)] {
        let again = client.created(id).await?;
        assert_eq!(
            again.text("internalMeetingID"),
            Some(instance.as_str()),
            "a create finds the running meeting"
        );
    }
    let again = tenant.created("room").await?;
    assert_eq!(again.text("internalMeetingID"), Some(room.as_str()));
    let mut running: Vec<_> =
        sims.iter().flat_map(BbbSim::meetings).map(|meeting| meeting.internal_id).collect();
    running.sort();
    let mut before = vec![one, two, room];
    before.sort();
    assert_eq!(running, before);
    assert!(sims.iter().flat_map(BbbSim::calls).all(|call| call.name != "end"));
    Ok(())
}
