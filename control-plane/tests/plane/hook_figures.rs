//! The status of webhooks at a replica that leads and at one that does not.

use usher_bbb_sim::{BbbSim, HookOptions, SimOptions};
use usher_harness::application::TestApplication;
use usher_proto::v1::{
    AdminState, GetStatusRequest, GetStatusResponse, fleet_service_client::FleetServiceClient,
};

use crate::{
    bench::{Bench, until},
    hooks::{add_tenant, at, create, event, memory, reachable, send},
};

async fn status(bench: &Bench) -> GetStatusResponse {
    let mut fleet = FleetServiceClient::new(bench.channel.clone());
    fleet.get_status(GetStatusRequest {}).await.expect("is answered").into_inner()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_replica_counts_hooks_and_events_and_the_one_that_leads_the_servers_without() {
    let store = memory();
    let leads = Bench::on(reachable(), store.clone()).await;
    until("the first to lead", async || status(&leads).await.leading.then_some(())).await;
    let follows = Bench::on(reachable(), store).await;
    // One server takes hooks, the other accepts calls of no hash that Usher knows.
    let good = BbbSim::start(SimOptions::new("server-secret")).await.expect("listens");
    let hooks = HookOptions { algorithms: Vec::new(), ..HookOptions::default() };
    let bad = SimOptions { hooks, ..SimOptions::new("server-secret") };
    let bad = BbbSim::start(bad).await.expect("listens");
    leads.add("bbb1", &good, AdminState::Enabled).await;
    leads.add("bbb2", &bad, AdminState::Enabled).await;
    until("nobody to lack what nobody wants", async || {
        let status = status(&leads).await;
        (status.hooks == 0 && status.servers_without_hooks == Some(0)).then_some(())
    })
    .await;

    let application = TestApplication::start().await.expect("listens");
    application.answer(503);
    add_tenant(&follows, "school").await;
    create(&follows, "school", at(&application.url("/"))).await.expect("is created");
    until("the leader to know who has hooks", async || {
        let seen = status(&leads).await;
        ((seen.hooks, seen.servers_without_hooks) == (1, Some(1))).then_some(())
    })
    .await;
    send(&leads, event("school~room", "user-joined", 1)).await;
    until("the leader to know that it waits", async || (status(&leads).await.hook_events == 1).then_some(()))
        .await;
    assert_eq!((good.hooks().len(), bad.hooks().len()), (1, 0));
    until("the other to know what is stored", async || {
        let seen = status(&follows).await;
        assert_eq!((seen.leading, seen.servers_without_hooks), (false, None));
        ((seen.hooks, seen.hook_events, seen.deliveries) == (1, 1, 1)).then_some(())
    })
    .await;
    application.answer(200);
    until("no event to wait", async || (status(&follows).await.hook_events == 0).then_some(())).await;
    follows.stop().await;
    leads.stop().await;
}
