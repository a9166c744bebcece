//! One BBB server under two entries, and one with a new address: no meeting is ended, lost or
//! split.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use tonic::Code;
use usher_bbb_sim::{BbbSim, SimOptions};
use usher_harness::{admin::TestAdmin, wait};
use usher_proto::v1::{
    AdminState, EndMeetingRequest, Health, PanicServerRequest, Server, UpdateServerRequest,
    UpdateServerResponse,
};

use crate::site::UsherSite;

/// Returns the address of a simulated server with another name of the machine.
fn by_name(sim: &BbbSim) -> String {
    sim.url().replace("127.0.0.1", "localhost")
}

fn entry(url: String, sim: &BbbSim) -> Server {
    let mut server = Server { url, secret: sim.secret().expose().to_owned(), ..Server::default() };
    server.set_admin_state(AdminState::Enabled);
    server
}

fn calls_to_end(site: &UsherSite) -> usize {
    site.sims().iter().flat_map(BbbSim::calls).filter(|call| call.name == "end").count()
}

/// Polls every entry several times; wrong polls would end meetings.
async fn poll_all(admin: &TestAdmin) -> Result<()> {
    for _ in 0..3 {
        for server in admin.servers().await? {
            admin.poll(server.name.trim_start_matches("servers/")).await?;
        }
    }
    Ok(())
}

async fn a_server_that_is_added_again_loses_no_meeting(site: &UsherSite) -> Result<()> {
    let (client, admin) = (site.client(), site.admin());
    for number in 0..6 {
        client.created(&format!("live-{number}")).await?;
    }
    let before: BTreeSet<String> = site.running().into_iter().collect();
    for (number, sim) in site.sims().iter().enumerate() {
        for url in [sim.url(), sim.url().trim_end_matches("/api/").to_owned(), sim.url().to_uppercase()] {
            let url = url.replace("HTTP", "http").replace("BIGBLUEBUTTON/API/", "bigbluebutton/api");
            let refused = admin.create_server("again", entry(url.clone(), sim)).await;
            let refused = format!("{:?}", refused.expect_err("the address is taken"));
            assert!(refused.contains(&format!("bbb-{number}")), "{url}: {refused}");
        }
        admin.create_server(&format!("again-{number}"), entry(by_name(sim), sim)).await?;
    }
    wait::until("the second entries to be recognized as aliases", || async {
        let servers = admin.servers().await?;
        let same: Vec<&str> = servers.iter().map(|server| server.same_as.as_str()).collect();
        ensure!(same == ["servers/bbb-0", "servers/bbb-1", "", ""], "{same:?}");
        ensure!(servers.iter().all(|server| server.health() == Health::Online));
        let alarms = admin.status().await?.alarms;
        ensure!(alarms.iter().any(|alarm| alarm.kind == "server_listed_twice"), "{alarms:?}");
        Ok(())
    })
    .await?;
    poll_all(&admin).await?;
    for number in 0..10 {
        client.created(&format!("new-{number}")).await?;
    }
    for number in 0..6 {
        client.created(&format!("live-{number}")).await?; // as users who open their meeting again
    }
    poll_all(&admin).await?;
    let running: BTreeSet<String> = site.running().into_iter().collect();
    assert!(running.is_superset(&before), "every meeting goes on");
    assert_eq!((running.len(), calls_to_end(site)), (16, 0), "and each runs once");
    for number in 0..6 {
        client.joined(&format!("live-{number}")).await?;
    }
    let homes: BTreeSet<String> = admin.meetings().await?.into_iter().map(|meeting| meeting.server).collect();
    assert!(
        homes.iter().all(|home| home.starts_with("servers/bbb-")),
        "the older entries have them: {homes:?}"
    );
    Ok(())
}

/// A5, I2: on etcd, both servers are added again under other names → the second entries are aliases
/// with an alarm, and every meeting runs once.
#[tokio::test(flavor = "multi_thread")]
async fn a5_i2_a_server_that_is_added_again_loses_no_meeting_on_etcd() -> Result<()> {
    a_server_that_is_added_again_loses_no_meeting(&UsherSite::on_etcd(&[]).await?).await
}

/// A5, I2: on the embedded store, both servers are added again under other names → the second
/// entries are aliases with an alarm, and every meeting runs once.
#[tokio::test(flavor = "multi_thread")]
async fn a5_i2_a_server_that_is_added_again_loses_no_meeting_on_the_embedded_store() -> Result<()> {
    a_server_that_is_added_again_loses_no_meeting(&UsherSite::embedded(&[]).await?).await
}

async fn relocate(
    admin: &TestAdmin,
    url: String,
    force: bool,
) -> Result<UpdateServerResponse, tonic::Status> {
    let server = Some(Server { name: "servers/bbb-0".into(), url, ..Server::default() });
    let request = UpdateServerRequest { server, force, ..UpdateServerRequest::default() };
    Ok(admin.servers_client().update_server(request).await?.into_inner())
}

async fn a_server_that_moves_leaves_no_meeting_behind(site: &UsherSite) -> Result<()> {
    let (client, admin) = (site.client(), site.admin());
    let runs_on = |place: usize, id: &str| {
        site.sims()[place].meetings().iter().any(|meeting| meeting.meeting_id == id && !meeting.ending)
    };
    let mut id = String::new();
    for number in 0..40 {
        id = format!("room-{number}");
        client.created(&id).await?;
        if runs_on(0, &id) {
            break;
        }
    }
    wait::until("the meeting to be confirmed", || async {
        let meetings = admin.meetings().await?;
        let confirmed = |meeting: &&usher_proto::v1::Meeting| !meeting.internal_id.is_empty();
        ensure!(meetings.iter().filter(confirmed).any(|meeting| meeting.meeting_id == id));
        Ok(())
    })
    .await?;
    // The same server by another name of its machine: its list contains the meeting.
    relocate(&admin, by_name(&site.sims()[0]), false).await?;
    poll_all(&admin).await?;
    client.joined(&id).await?;
    // Another server, and an address without a server.
    let options = SimOptions { secret: site.sims()[0].secret().clone(), ..SimOptions::default() };
    let spare = BbbSim::start(options).await?;
    for url in [spare.url(), "http://127.0.0.1:9/bigbluebutton/api/".to_owned()] {
        let refused = relocate(&admin, url, false).await.expect_err("the meeting would be lost");
        assert_eq!(refused.code(), Code::FailedPrecondition, "{refused}");
        assert!(refused.message().contains("meetings with"), "{refused}");
    }
    poll_all(&admin).await?;
    assert!(runs_on(0, &id));
    client.joined(&id).await?;
    // A forced change ends the meeting at the old address.
    relocate(&admin, spare.url(), true).await?;
    wait::until("the old address to have no meeting, and no entry", || async {
        poll_all(&admin).await?;
        let servers: Vec<String> = admin.servers().await?.into_iter().map(|server| server.name).collect();
        ensure!(!runs_on(0, &id), "it still runs");
        ensure!(servers == ["servers/bbb-0", "servers/bbb-1"], "{servers:?}");
        Ok(())
    })
    .await?;
    client.created(&id).await?;
    client.joined(&id).await?;
    let copies = site.sims().iter().chain([&spare]).flat_map(BbbSim::meetings);
    assert_eq!(
        copies.filter(|meeting| meeting.meeting_id == id && !meeting.ending).count(),
        1,
        "it runs once"
    );
    Ok(())
}

/// I4: on etcd, a server with a meeting gets another address → the change is refused unless the new
/// address has the meeting; a forced one ends it at the old address.
#[tokio::test(flavor = "multi_thread")]
async fn i4_a_server_that_moves_leaves_no_meeting_behind_on_etcd() -> Result<()> {
    a_server_that_moves_leaves_no_meeting_behind(&UsherSite::on_etcd(&[]).await?).await
}

/// I4: on the embedded store, a server with a meeting gets another address → the change is refused
/// unless the new address has the meeting; a forced one ends it at the old address.
#[tokio::test(flavor = "multi_thread")]
async fn i4_a_server_that_moves_leaves_no_meeting_behind_on_the_embedded_store() -> Result<()> {
    a_server_that_moves_leaves_no_meeting_behind(&UsherSite::embedded(&[]).await?).await
}

async fn an_order_for_something_else_is_refused(site: &UsherSite) -> Result<()> {
    let (client, admin) = (site.client(), site.admin());
    client.created("room").await?;
    let meeting = wait::until("the meeting to be confirmed", || async {
        let meeting = admin.meetings().await?.into_iter().find(|meeting| !meeting.internal_id.is_empty());
        meeting.ok_or_else(|| anyhow::anyhow!("not yet"))
    })
    .await?;
    let seen = admin.server(meeting.server.trim_start_matches("servers/")).await?;
    let weight = Server { name: meeting.server.clone(), weight: 2.0, ..Server::default() };
    let request = UpdateServerRequest { server: Some(weight), ..UpdateServerRequest::default() };
    admin.servers_client().update_server(request).await?;
    let panic = PanicServerRequest { name: meeting.server.clone(), etag: seen.etag };
    let refused = admin.servers_client().panic_server(panic).await.expect_err("another change was first");
    assert_eq!(refused.code(), Code::Aborted, "{refused}");
    let other = EndMeetingRequest { name: meeting.name.clone(), internal_id: "another-1".into() };
    let refused = admin.meetings_client().end_meeting(other).await.expect_err("it is another meeting");
    assert_eq!(refused.code(), Code::Aborted, "{refused}");
    client.joined("room").await?;
    assert_eq!((site.running(), calls_to_end(site)), (vec![meeting.internal_id], 0));
    Ok(())
}

/// I2: on etcd, an operator panics a server with an old etag, and ends a meeting with another
/// internal id → both orders are refused, and the meeting runs.
#[tokio::test(flavor = "multi_thread")]
async fn i2_an_order_for_something_else_is_refused_on_etcd() -> Result<()> {
    an_order_for_something_else_is_refused(&UsherSite::on_etcd(&[]).await?).await
}

/// I2: on the embedded store, an operator panics a server with an old etag, and ends a meeting with
/// another internal id → both orders are refused, and the meeting runs.
#[tokio::test(flavor = "multi_thread")]
async fn i2_an_order_for_something_else_is_refused_on_the_embedded_store() -> Result<()> {
    an_order_for_something_else_is_refused(&UsherSite::embedded(&[]).await?).await
}
