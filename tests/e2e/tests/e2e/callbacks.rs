//! Callbacks reach their applications despite failures of other parts.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use usher_bbb_sim::BbbSim;
use usher_harness::{
    admin::TestAdmin,
    application::{ReceivedRequest, TestApplication},
    certificates::generate,
    client::BbbTestClient,
    cluster::{SECRET, TestCluster},
    forwarder::SwitchingForwarder,
    standalone::RunningStandalone,
    wait,
};

/// The number of callbacks of each meeting here.
const PER_MEETING: usize = 4;

/// Creates a meeting that requests every kind of callback.
async fn create(client: &BbbTestClient, application: &TestApplication, id: &str) -> Result<()> {
    let at = |kind: &str| application.url(&format!("/{kind}/{id}")).replace(':', "%3A").replace('/', "%2F");
    let query = format!(
        "name=Room&meetingID={id}&meetingKeepEvents=true&meetingEndedURL={}&meta_endCallbackUrl={}\
         &meta_bn-recording-ready-url={}&meta_analytics-callback-url={}",
        at("over"),
        at("end"),
        at("ready"),
        at("analytics"),
    );
    let created = client.get("create", &query).await?;
    ensure!(created.is_success(), "{}", created.body);
    let info = client.get("getMeetingInfo", &format!("meetingID={id}")).await?;
    ensure!(info.body.contains(&application.url(&format!("/end/{id}"))), "its own address: {}", info.body);
    ensure!(!info.body.contains("usher"), "{}", info.body);
    Ok(())
}

/// Ends a meeting, and publishes its recording after its end is in the store.
async fn end(sims: &[BbbSim], admin: &TestAdmin, id: &str) -> Result<()> {
    ensure!(sims.iter().any(|sim| sim.end_meeting(id)), "{id} runs");
    waits(admin, id, PER_MEETING - 1).await?;
    ensure!(sims.iter().any(|sim| sim.publish_recording(id)), "{id} was recorded");
    waits(admin, id, PER_MEETING).await
}

async fn waits(admin: &TestAdmin, id: &str, count: usize) -> Result<()> {
    wait::until("the callbacks to be in the store", || async {
        let waiting = admin.deliveries().await?;
        let of = waiting.iter().filter(|delivery| delivery.meeting_id == id).count();
        ensure!(of == count, "{of} of {count}");
        Ok(())
    })
    .await
}

fn of<'h>(received: &'h [ReceivedRequest], kind: &str, id: &str) -> Vec<&'h ReceivedRequest> {
    let wanted = format!("/{kind}/{id}");
    received.iter().filter(|received| received.path.split('?').next() == Some(&wanted)).collect()
}

/// Waits until every callback was accepted, then checks each one.
async fn all_arrive(application: &TestApplication, admin: &TestAdmin, ids: &[String]) -> Result<()> {
    wait::until("every callback to be accepted", || async {
        let accepted: BTreeSet<String> =
            application.accepted().into_iter().map(|received| received.path).collect();
        ensure!(accepted.len() == ids.len() * PER_MEETING, "{accepted:?}");
        ensure!(admin.deliveries().await?.is_empty(), "no delivery is left");
        Ok(())
    })
    .await?;
    let accepted = application.accepted();
    for id in ids {
        let end = of(&accepted, "end", id)[0];
        let expected = format!("/end/{id}?recordingmarks=false&meetingID={id}");
        ensure!((end.method.as_str(), &end.path) == ("GET", &expected), "{end:?}");
        ensure!(of(&accepted, "over", id)[0].path == format!("/over/{id}"));
        let analytics = of(&accepted, "analytics", id)[0];
        ensure!(analytics.bears(SECRET), "signed with the tenant's secret: {analytics:?}");
        let body: serde_json::Value = serde_json::from_slice(&analytics.body)?;
        ensure!(body["meeting_id"] == id.as_str(), "{body}");
        let claims =
            of(&accepted, "ready", id)[0].claims(SECRET).context("signed with the tenant's secret")?;
        ensure!(claims["meeting_id"] == id.as_str() && claims["record_id"].is_string(), "{claims}");
        // Order: the callback that Usher accepted last arrives last.
        let places = |kind: &str| {
            let wanted = format!("/{kind}/{id}");
            accepted.iter().position(|received| received.path.split('?').next() == Some(&wanted))
        };
        ensure!(["end", "over", "analytics"].iter().all(|kind| places(kind) < places("ready")), "{id}");
    }
    Ok(())
}

fn every_server_was_answered(sims: &[BbbSim], count: usize) -> Result<()> {
    let made: Vec<_> = sims.iter().flat_map(BbbSim::callbacks).collect();
    let accepted = made.iter().filter(|callback| callback.status == Some(200)).count();
    ensure!(accepted >= count && accepted == made.len(), "{made:?}");
    Ok(())
}

/// I12: the application is down, the leader is killed, then the application starts → each callback
/// arrives, signed with the tenant's secret, in order for each meeting.
#[tokio::test]
async fn i12_every_callback_arrives_although_application_and_leader_are_down() -> Result<()> {
    let (application, forwarder) = (TestApplication::start().await?, SwitchingForwarder::start().await?);
    let mut cluster = TestCluster::builder()
        .set("public_url", &forwarder.url())
        .set("callbacks.allow", "127.0.0.1/32")
        .start()
        .await?;
    forwarder.lead_to(cluster.edges.iter().map(|edge| edge.address("listen")));
    let (leader, client) = (cluster.leader().await?, cluster.client(0));
    let other = cluster.admin(1 - leader);
    let ids: Vec<String> = (0..3).map(|number| format!("lesson-{number}")).collect();
    application.answer(503);
    for id in &ids {
        create(&client, &application, id).await?;
    }
    for id in &ids[..2] {
        end(&cluster.sims, &other, id).await?;
    }
    cluster.control_planes[leader].kill()?;
    end(&cluster.sims, &other, &ids[2]).await?;
    wait::until("another replica to lead and to try", || async {
        ensure!(other.status().await?.leading);
        ensure!(other.deliveries().await?.iter().any(|delivery| !delivery.last_error.is_empty()));
        Ok(())
    })
    .await?;
    every_server_was_answered(&cluster.sims, ids.len() * PER_MEETING)?;
    let status = other.status().await?;
    ensure!(status.deliveries as usize == ids.len() * PER_MEETING && status.oldest_delivery_age.is_some());
    application.answer(200);
    all_arrive(&application, &other, &ids).await
}

/// I12: all processes are killed at once (SIGKILL) and started again → accepted callbacks are in
/// the file and are delivered.
#[tokio::test]
async fn i12_accepted_callbacks_survive_kill_9_of_all_parts() -> Result<()> {
    let (application, forwarder) = (TestApplication::start().await?, SwitchingForwarder::start().await?);
    let folder = tempfile::tempdir()?;
    let settings = [("public_url", forwarder.url()), ("callbacks.allow", "127.0.0.0/8".to_owned())];
    let settings: Vec<(&str, &str)> = settings.iter().map(|(key, value)| (*key, value.as_str())).collect();
    let mut usher = RunningStandalone::start_on(Some(folder.path()), 1, &settings).await?;
    forwarder.lead_to([usher.process.address("listen")]);
    application.answer(500);
    let ids = vec!["room-1".to_owned(), "room-2".to_owned()];
    for id in &ids {
        create(&usher.client(), &application, id).await?;
        end(&usher.sims, &usher.admin(), id).await?;
    }
    usher.process.kill()?;
    usher.restart().await?;
    application.answer(200);
    all_arrive(&application, &usher.admin(), &ids).await
}

/// Two applications use TLS, one with a certificate of a trusted CA, one with another → only the
/// first gets its callbacks.
#[tokio::test]
async fn callbacks_go_over_tls_to_those_whose_certificate_is_trusted() -> Result<()> {
    let folders = [tempfile::tempdir()?, tempfile::tempdir()?];
    let [trusted, other] = [generate(folders[0].path())?, generate(folders[1].path())?];
    let (application, impostor) =
        (TestApplication::start_tls(&trusted).await?, TestApplication::start_tls(&other).await?);
    let forwarder = SwitchingForwarder::start().await?;
    let settings = [("public_url", forwarder.url()), ("callbacks.allow", "127.0.0.0/8".to_owned())];
    let settings: Vec<(&str, &str)> = settings.iter().map(|(key, value)| (*key, value.as_str())).collect();
    let usher = RunningStandalone::start_trusting(&trusted.ca, 1, &settings).await?;
    forwarder.lead_to([usher.process.address("listen")]);
    let (client, admin, ids) = (usher.client(), usher.admin(), ["room".to_owned()]);
    ensure!(application.url("/").starts_with("https://"));
    application.answer(503);
    create(&client, &application, &ids[0]).await?;
    end(&usher.sims, &admin, &ids[0]).await?;
    application.answer(200);
    all_arrive(&application, &admin, &ids).await?;

    create(&client, &impostor, "other").await?;
    end(&usher.sims, &admin, "other").await?;
    wait::until("every kind to be refused for its certificate", || async {
        let waiting = admin.deliveries().await?;
        ensure!(waiting.len() == PER_MEETING, "{waiting:?}");
        let first = waiting.iter().find(|delivery| delivery.attempts > 0).context("a try")?;
        ensure!(first.last_error.contains("certificate"), "{first:?}");
        Ok(())
    })
    .await?;
    ensure!(impostor.received().is_empty(), "{:?}", impostor.received());
    Ok(())
}

/// A create requests callbacks to private addresses → no server of the private network is called
/// until the setting allows it.
#[tokio::test]
async fn an_application_cannot_have_private_addresses_called() -> Result<()> {
    let (application, forwarder) = (TestApplication::start().await?, SwitchingForwarder::start().await?);
    let usher = RunningStandalone::start(1, &[("public_url", forwarder.url().as_str())]).await?;
    forwarder.lead_to([usher.process.address("listen")]);
    create(&usher.client(), &application, "room").await?;
    end(&usher.sims, &usher.admin(), "room").await?;
    wait::until("a try to be refused", || async {
        let waiting = usher.admin().deliveries().await?;
        ensure!(
            waiting.iter().any(|delivery| delivery.last_error.contains("callbacks.allow")),
            "{waiting:?}"
        );
        Ok(())
    })
    .await?;
    ensure!(application.received().is_empty(), "{:?}", application.received());
    Ok(())
}
