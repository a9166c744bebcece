//! Webhooks: registered once, they deliver events of every server to the tenant that registered
//! them, and to no other.

use anyhow::{Context, Result, ensure};
use reqwest::Url;
use usher_bbb_sim::{BbbSim, FaultKind, HookOptions, HooksVersion, SimOptions};
use usher_harness::{
    application::{ReceivedRequest, TestApplication},
    client::{BbbTestClient, SigningHash},
    cluster::{ClusterBuilder, SECRET, TestCluster},
    forwarder::SwitchingForwarder,
    servers::SERVER_SECRET,
    wait,
};

/// The secret of the tenant `school`.
const SCHOOL: &str = "a school's secret";

/// One event as an application received it.
#[derive(Debug, Clone)]
struct ReceivedEvent {
    id: String,
    meeting: String,
    domain: String,
    text: String,
}

/// A cluster whose servers can reach it for callbacks.
struct Scene {
    cluster: TestCluster,
    application: TestApplication,
    _forwarder: SwitchingForwarder,
}

impl Scene {
    async fn start(adjust: impl FnOnce(ClusterBuilder) -> ClusterBuilder) -> Result<Self> {
        let (application, forwarder) = (TestApplication::start().await?, SwitchingForwarder::start().await?);
        let builder = TestCluster::builder().servers(2).set("public_url", &forwarder.url());
        let cluster = adjust(builder.set("callbacks.allow", "127.0.0.1/32")).start().await?;
        forwarder.lead_to(cluster.edges.iter().map(|edge| edge.address("listen")));
        cluster.admin(0).add_tenant("school", SCHOOL, &["school.example.org"]).await?;
        cluster.is_level().await?;
        Ok(Self { cluster, application, _forwarder: forwarder })
    }

    /// Registers a hook of a tenant at an edge.
    async fn register(&self, client: &BbbTestClient, path: &str, more: &str) -> Result<String> {
        let url = encoded(&self.application.url(path));
        let created = client.get("hooks/create", &format!("callbackURL={url}{more}")).await?;
        ensure!(created.is_success() && created.key().is_empty(), "{created:?}");
        ensure!(created.text("permanentHook") == Some("false"), "{created:?}");
        created.text("hookID").map(str::to_owned).context("a hook has an id")
    }

    fn school(&self, edge: usize) -> BbbTestClient {
        self.cluster.client(edge).for_tenant("school", SCHOOL)
    }

    /// Waits until every server has this number of Usher's hooks.
    async fn kept(&self, count: usize) -> Result<()> {
        kept(&self.cluster.sims.iter().collect::<Vec<_>>(), count).await
    }

    /// Returns the accepted events of an address, oldest first; each must be signed with this
    /// secret.
    fn received(&self, path: &str, secret: &str) -> Result<Vec<ReceivedEvent>> {
        let accepted = self.application.accepted().into_iter();
        let at = accepted.filter(|received| received.path.split('?').next() == Some(path));
        at.map(|received| event(&received, &self.application.url(path), secret)).collect()
    }
}

async fn kept(sims: &[&BbbSim], count: usize) -> Result<()> {
    wait::until("every server to have its hooks", || async {
        for sim in sims {
            let hooks = sim.hooks();
            ensure!(hooks.len() == count, "{hooks:?}");
        }
        Ok(())
    })
    .await
}

fn encoded(text: &str) -> String {
    text.replace('%', "%25").replace(':', "%3A").replace('/', "%2F").replace('?', "%3F").replace('=', "%3D")
}

/// Parses a received event, and checks its signature: version 3, over the form.
fn event(received: &ReceivedRequest, url: &str, secret: &str) -> Result<ReceivedEvent> {
    let body = std::str::from_utf8(&received.body)?;
    let checksum = SigningHash::Sha1.sign(url, body, secret);
    ensure!(
        received.path.ends_with(&format!("?checksum={checksum}")),
        "not signed by the tenant: {received:?}"
    );
    let form = Url::parse(&format!("http://x/?{body}"))?;
    let pairs: Vec<(String, String)> = form.query_pairs().into_owned().collect();
    let [(domain, host), (event, text), (timestamp, at)] = pairs.as_slice() else {
        anyhow::bail!("not three fields: {body}")
    };
    ensure!([domain, event, timestamp] == ["domain", "event", "timestamp"] && !at.is_empty(), "{body}");
    let all: serde_json::Value = serde_json::from_str(text)?;
    let data = &all[0]["data"];
    let meeting = data["attributes"]["meeting"]["external-meeting-id"].as_str().unwrap_or_default();
    Ok(ReceivedEvent {
        id: data["id"].as_str().unwrap_or_default().to_owned(),
        meeting: meeting.to_owned(),
        domain: host.clone(),
        text: text.clone(),
    })
}

fn ids(events: &[ReceivedEvent], meeting: &str) -> Vec<String> {
    events.iter().filter(|event| event.meeting == meeting).map(|event| event.id.clone()).collect()
}

/// Creates a meeting, joins it, and ends it.
async fn meet(client: &BbbTestClient, id: &str) -> Result<()> {
    client.created(id).await?;
    client.enter(id).await?;
    let ended = client.get("end", &format!("meetingID={id}&password=mp")).await?;
    ensure!(ended.is_success(), "{ended:?}");
    Ok(())
}

/// Two tenants with equal meeting ids have hooks → each receives the events of its own meetings,
/// with its secret and domain; a hook for one meeting receives only its events; meetings of another
/// balancer on the servers cause no event.
#[tokio::test]
async fn tenants_receive_events_of_their_own_meetings_only() -> Result<()> {
    let world = Scene::start(|builder| builder).await?;
    let (ours, school) = (world.cluster.client(0), world.school(1));
    world.register(&ours, "/all", "").await?;
    world.register(&ours, "/one", "&meetingID=room&eventID=meeting-ended").await?;
    world.register(&school, "/school", "").await?;
    world.kept(1).await?;
    let foreign = BbbTestClient::new(world.cluster.sims[0].address(), SERVER_SECRET);
    foreign.created("foreign").await?;
    for (client, id) in [(&ours, "room"), (&school, "room"), (&ours, "other"), (&school, "second")] {
        meet(client, id).await?;
    }
    let whole = |events: &[ReceivedEvent], id: &str| {
        let ids = ids(events, id);
        let first = ids.first().map(String::as_str) == Some("meeting-created");
        first
            && ids.iter().any(|id| id == "user-joined")
            && ids.last().map(String::as_str) == Some("meeting-ended")
    };
    wait::until("every event to arrive", || async {
        let (all, school) = (world.received("/all", SECRET)?, world.received("/school", SCHOOL)?);
        ensure!(whole(&all, "room") && whole(&all, "other"), "{all:?}");
        ensure!(whole(&school, "room") && whole(&school, "second"), "{school:?}");
        ensure!(!world.received("/one", SECRET)?.is_empty(), "the one meeting's end");
        Ok(())
    })
    .await?;
    let (all, of_school) = (world.received("/all", SECRET)?, world.received("/school", SCHOOL)?);
    ensure!(all.iter().all(|event| ["room", "other"].contains(&event.meeting.as_str())), "{all:?}");
    ensure!(of_school.iter().all(|event| ["room", "second"].contains(&event.meeting.as_str())));
    ensure!(of_school.iter().all(|event| event.domain == "school.example.org"), "{of_school:?}");
    ensure!(all.iter().all(|event| event.domain == "127.0.0.1"), "of public_url: {all:?}");
    for event in all.iter().chain(&of_school) {
        ensure!(
            !event.text.contains("usher") && !event.text.contains('~'),
            "no text of Usher's own: {event:?}"
        );
    }
    let one = world.received("/one", SECRET)?;
    ensure!(one.iter().all(|event| (event.id.as_str(), event.meeting.as_str()) == ("meeting-ended", "room")));
    Ok(())
}

/// Servers are added, lose their hooks, or were unreachable, and hooks are listed and destroyed →
/// every server has Usher's hook, an unreachable server delays no call, and the last destroyed hook
/// removes all of them.
#[tokio::test]
async fn hooks_are_kept_on_every_server_present_and_future_until_the_last_is_destroyed() -> Result<()> {
    let mut world = Scene::start(|builder| builder.servers(3)).await?;
    let (ours, school) = (world.cluster.client(0), world.school(1));
    world.cluster.sims[2].faults().set(FaultKind::Hang).await;
    let all = world.register(&ours, "/all?token=abc", "").await?;
    kept(&[&world.cluster.sims[0], &world.cluster.sims[1]], 1).await?;
    world.cluster.sims[2].faults().clear().await;
    world.kept(1).await?;

    let again = world
        .cluster
        .client(1)
        .get(
            "hooks/create",
            &format!("callbackURL={}&meetingID=room", encoded(&world.application.url("/all?token=abc"))),
        )
        .await?;
    ensure!(again.is_success() && again.key() == "duplicateWarning", "{again:?}");
    ensure!(again.text("hookID") == Some(&all), "the first hook is returned: {again:?}");
    let one = world.register(&ours, "/one", "&meetingID=room&getRaw=true").await?;
    world.kept(2).await?;
    let listed = world.cluster.client(1).get("hooks/list", "").await?;
    ensure!(listed.texts("hookID").len() == 2 && listed.texts("meetingID").len() == 1, "{listed:?}");
    ensure!(listed.body.contains(&world.application.url("/all?token=abc")), "{listed:?}");
    let of_other = ours.get("hooks/list", "meetingID=other").await?;
    ensure!(of_other.texts("hookID") == [all.as_str()], "{of_other:?}");
    let of_school = school.get("hooks/list", "").await?;
    ensure!(of_school.is_success() && of_school.texts("hookID").is_empty(), "{of_school:?}");
    let foreign = school.get("hooks/destroy", &format!("hookID={all}")).await?;
    ensure!(foreign.key() == "destroyMissingHook", "another tenant's: {foreign:?}");

    world.cluster.sims[0].forget_hooks();
    world.kept(2).await?;
    let late = usher_harness::servers::start().await?;
    let url = format!("{}/bigbluebutton/api/", late.base());
    world.cluster.admin(0).add_server("bbb-late", &url, SERVER_SECRET).await?;
    world.cluster.sims.push(late);
    world.kept(2).await?;
    let leader = world.cluster.leader().await?;
    world.cluster.control_planes[leader].kill()?;
    world.cluster.sims[1].forget_hooks();
    world.kept(2).await?;

    for (id, left) in [(&one, 1), (&all, 0)] {
        let destroyed = world.cluster.client(1).get("hooks/destroy", &format!("hookID={id}")).await?;
        ensure!(destroyed.text("removed") == Some("true"), "{destroyed:?}");
        world.kept(left).await?;
        let again = ours.get("hooks/destroy", &format!("hookID={id}")).await?;
        ensure!(again.key() == "destroyMissingHook", "{again:?}");
    }
    Ok(())
}

/// I12: the application and the leading control plane are down for a while → every event arrives at
/// least once, in order for each meeting.
#[tokio::test]
async fn i12_events_arrive_in_order_although_application_and_leader_are_down() -> Result<()> {
    let mut world = Scene::start(|builder| builder).await?;
    let leader = world.cluster.leader().await?;
    let (ours, school) = (world.cluster.client(0), world.school(1));
    world.register(&ours, "/all", "").await?;
    world.register(&school, "/school", "").await?;
    world.kept(1).await?;
    world.application.answer(503);
    let meetings = ["one", "two", "three"];
    for (number, id) in meetings.iter().enumerate() {
        meet(&ours, id).await?;
        meet(&school, id).await?;
        if number == 1 {
            world.cluster.control_planes[leader].kill()?;
        }
    }
    let other = world.cluster.admin(1 - leader);
    wait::until("every end to be in the store", || async {
        let made = world.cluster.sims.iter().flat_map(BbbSim::hook_posts);
        let ends = made.filter(|post| post.event == "meeting-ended" && post.status == Some(200)).count();
        ensure!(ends == 2 * meetings.len(), "{ends}");
        Ok(())
    })
    .await?;
    ensure!(other.deliveries().await?.iter().any(|delivery| delivery.tenant == "tenants/school"));
    world.application.answer(200);
    wait::until("every event to be accepted", || async {
        let waiting = other.deliveries().await?;
        ensure!(waiting.is_empty(), "{} wait", waiting.len());
        Ok(())
    })
    .await?;
    for (path, secret) in [("/all", SECRET), ("/school", SCHOOL)] {
        let events = world.received(path, secret)?;
        for id in meetings {
            let mut received = ids(&events, id);
            received.dedup(); // an event in flight at the leader's end arrives twice
            ensure!(
                received.first().map(String::as_str) == Some("meeting-created"),
                "{path} {id}: {received:?}"
            );
            ensure!(
                received.last().map(String::as_str) == Some("meeting-ended"),
                "{path} {id}: {received:?}"
            );
            let joined = received.iter().position(|id| id == "user-joined");
            let left = received.iter().position(|id| id == "user-left");
            ensure!(
                joined.is_some() && left.is_none_or(|left| joined < Some(left)),
                "{path} {id}: {received:?}"
            );
        }
    }
    Ok(())
}

/// A tenant has a raw hook, and a meeting has a breakout room → messages of the bus contain the
/// tenant's ids, and the events of the breakout room go to the tenant of its parent only.
#[tokio::test]
async fn raw_messages_and_breakout_rooms_reach_their_tenant_only() -> Result<()> {
    let world = Scene::start(|builder| builder).await?;
    let (ours, school) = (world.cluster.client(0), world.school(1));
    world.register(&ours, "/all", "").await?;
    world.register(&school, "/mapped", "").await?;
    world.register(&school, "/raw", "&getRaw=true").await?;
    world.kept(2).await?;
    school.created("room").await?;
    let sim = world.cluster.sims.iter().find(|sim| !sim.meetings().is_empty()).context("it runs")?;
    let breakout = sim.add_breakout("school~room").context("the parent runs")?;
    school.enter("room").await?;
    let listed = world.cluster.admin(world.cluster.leader().await?);
    listed.poll("-").await?; // the poll finds the breakout room, so that its events have an owner
    for id in [breakout.internal_id.as_str(), "school~room"] {
        ensure!(sim.end_meeting(id), "{id} runs");
    }
    wait::until("all events to arrive", || async {
        let mapped = world.received("/mapped", SCHOOL)?;
        for id in ["room", breakout.meeting_id.as_str()] {
            let received = ids(&mapped, id);
            ensure!(received.first().map(String::as_str) == Some("meeting-created"), "{id}: {received:?}");
            ensure!(received.last().map(String::as_str) == Some("meeting-ended"), "{id}: {received:?}");
        }
        let raw = world.received("/raw", SCHOOL)?;
        for name in ["MeetingCreatedEvtMsg", "UserJoinedMeetingEvtMsg", "MeetingDestroyedEvtMsg"] {
            ensure!(raw.iter().any(|event| event.text.contains(name)), "{name}: {raw:?}");
        }
        Ok(())
    })
    .await?;
    for event in world.received("/mapped", SCHOOL)?.iter().chain(&world.received("/raw", SCHOOL)?) {
        ensure!(
            !event.text.contains("usher") && !event.text.contains('~'),
            "no text of Usher's own: {event:?}"
        );
    }
    ensure!(world.received("/all", SECRET)?.is_empty(), "it is none of theirs");
    Ok(())
}

/// Servers of both webhook versions, one that accepts only SHA-512, one with a bearer token, and
/// one without webhooks → events of all but the last arrive, and the last gets no more calls.
#[tokio::test]
async fn every_kind_of_server_takes_part_and_one_without_webhooks_is_left_alone() -> Result<()> {
    let world = Scene::start(|builder| builder.servers(1)).await?;
    let ours = world.cluster.client(0);
    let kinds = [
        HookOptions { version: Some(HooksVersion::V2), ..HookOptions::default() },
        HookOptions { signs_with: usher_bbb::checksum::ChecksumAlgorithm::Sha512, ..HookOptions::default() },
        HookOptions { bearer: true, ..HookOptions::default() },
    ];
    let admin = world.cluster.admin(0);
    let mut sims = Vec::new();
    for (number, hooks) in kinds.into_iter().enumerate() {
        let sim = BbbSim::start(SimOptions { hooks, ..SimOptions::new(SERVER_SECRET) }).await?;
        let url = format!("{}/bigbluebutton/api/", sim.base());
        admin.add_server(&format!("kind-{number}"), &url, SERVER_SECRET).await?;
        sims.push(sim);
    }
    world.cluster.sims[0].faults().set(FaultKind::NoHooks).await;
    world.register(&ours, "/all", "").await?;
    kept(&sims.iter().collect::<Vec<_>>(), 1).await?;
    ensure!(world.cluster.sims[0].hooks().is_empty());
    let mut made = 0;
    wait::until("each to have a meeting", || {
        made += 1;
        let (id, ours, sims) = (format!("room-{made}"), &ours, &sims);
        async move {
            ours.created(&id).await?;
            ensure!(sims.iter().all(|sim| !sim.meetings().is_empty()), "not yet");
            Ok(())
        }
    })
    .await?;
    wait::until("every creation to arrive", || async {
        let events = world.received("/all", SECRET)?;
        for meeting in sims.iter().flat_map(BbbSim::meetings) {
            ensure!(ids(&events, &meeting.meeting_id) == ["meeting-created"], "{meeting:?}: {events:?}");
        }
        Ok(())
    })
    .await
}
