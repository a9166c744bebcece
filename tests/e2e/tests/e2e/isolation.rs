//! Isolation of tenants that share servers and ids, by random calls. No call of a tenant, smuggled
//! parameters included, may show, join, change or end a meeting, recording or hook of another.
//!
//! `USHER_ISOLATION_SEED` repeats a run, `USHER_ISOLATION_STEPS` makes it longer.

use std::{
    borrow::Cow,
    collections::{BTreeSet, VecDeque},
};

use anyhow::{Context, Result, ensure};
use rand::{Rng, RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use reqwest::Url;
use usher_bbb::query::decode;
use usher_bbb_sim::{BbbSim, SimMeeting, SimRecording};
use usher_harness::{
    application::TestApplication,
    client::{BbbTestClient, HttpAnswer, SigningHash},
    cluster::SECRET,
    forwarder::SwitchingForwarder,
    standalone::RunningStandalone,
    wait,
};
use usher_model::{id::TenantId, scope::TenantScope};

const TENANTS: [&str; 3] = ["default", "a", "a.b"];
const STEPS: usize = 250;
/// The number of recent ids that are used again.
const RECENT: usize = 4;
const FORM: &str = "application/x-www-form-urlencoded";
const PARTS: &str = "multipart/form-data; boundary=end-of-part";
/// Ids that all tenants use; some look like the ids of other tenants on the servers.
const IDS: [&str; 10] = [
    "room",
    "other",
    "a~room",
    "a.b~room",
    "default~a~room",
    "a~",
    "room&meetingID=other",
    "42",
    "cafe",
    "東 京#?%26",
];

/// Ids that all tenants use for breakout rooms.
const ROOMS: [&str; 3] = ["group", "a~group", "beef"];

/// Returns the text that all objects of a tenant contain, and no other object.
fn mark(tenant: &str) -> String {
    format!("only-of-{tenant}-")
}

fn encoded(text: &str) -> String {
    let mut url = Url::parse("http://x").expect("is a URL");
    url.query_pairs_mut().append_pair("", text);
    url.query().unwrap_or_default().trim_start_matches('=').to_owned()
}

/// Gives every tenant recordings with equal ids and times on every server.
fn seed_recordings(sims: &[BbbSim]) {
    for (sim, tenant) in sims.iter().flat_map(|sim| TENANTS.map(|tenant| (sim, tenant))) {
        let scope = TenantScope::of(&TenantId::parse(tenant).expect("is an id"));
        for (id, time) in ["room", "other", "a~room", "42"].into_iter().zip(1_700_000_000_000..) {
            let recording = SimRecording::new(&scope.scoped(id).to_string(), time);
            let recording = SimRecording { name: mark(tenant), ..recording };
            sim.add_recording(recording.with("usher-tenant", tenant).with("note", &mark(tenant)));
        }
    }
}

struct Scene {
    usher: RunningStandalone,
    application: TestApplication,
    _forwarder: SwitchingForwarder,
    /// The ids of all registered webhooks, of every tenant.
    hooks: BTreeSet<String>,
    /// The addresses of the webhooks, as registered.
    addresses: BTreeSet<String>,
    clients: Vec<BbbTestClient>,
    rng: StdRng,
    log: Vec<String>,
    /// Ids that were invented recently, for further use.
    recent: VecDeque<String>,
    /// The number of meetings that each tenant saw in all its lists.
    shown: [usize; TENANTS.len()],
}

impl Scene {
    async fn start(seed: u64) -> Result<Self> {
        let (application, forwarder) = (TestApplication::start().await?, SwitchingForwarder::start().await?);
        let settings = [("public_url", forwarder.url()), ("callbacks.allow", "127.0.0.1/32".to_owned())];
        let settings = settings.each_ref().map(|(key, value)| (*key, value.as_str()));
        let usher = RunningStandalone::start(2, &settings).await?;
        forwarder.lead_to([usher.process.address("listen")]);
        let mut clients = vec![usher.client()];
        for tenant in &TENANTS[1..] {
            usher.admin().add_tenant(tenant, tenant, &[]).await?;
            clients.push(usher.client().for_tenant(tenant, tenant));
        }
        for client in &clients {
            wait::until("the tenant to be served", || async {
                ensure!(client.get("getMeetings", "").await?.is_success());
                Ok(())
            })
            .await?;
        }
        let (mut hooks, mut addresses) = (BTreeSet::new(), BTreeSet::new());
        for (tenant, client) in TENANTS.iter().zip(&clients) {
            for raw in ["false", "true"] {
                let url = application.url(&format!("/{tenant}/{}{raw}", mark(tenant)));
                let query = format!("callbackURL={}&getRaw={raw}", encoded(&url));
                let created = client.get("hooks/create", &query).await?;
                addresses.insert(url);
                hooks.insert(created.text("hookID").context("a hook has an id")?.to_owned());
            }
        }
        seed_recordings(&usher.sims);
        Ok(Self {
            usher,
            application,
            _forwarder: forwarder,
            hooks,
            addresses,
            clients,
            rng: StdRng::seed_from_u64(seed),
            log: Vec::new(),
            recent: VecDeque::new(),
            shown: [0; TENANTS.len()],
        })
    }

    fn meetings(&self) -> Vec<SimMeeting> {
        self.usher.sims.iter().flat_map(BbbSim::meetings).collect()
    }

    /// Returns an id: one that all tenants use, or the id of another tenant's meeting on its
    /// server, or the beginning of one.
    fn id(&mut self) -> String {
        let meetings = self.meetings();
        let made_up = match (self.rng.random_range(0..12), meetings.choose(&mut self.rng)) {
            (0, Some(meeting)) => meeting.internal_id.clone(),
            (1, Some(meeting)) => meeting.meeting_id.clone(),
            (2, Some(meeting)) => {
                let length = self.rng.random_range(2..=40.min(meeting.internal_id.len()));
                meeting.internal_id.chars().take(length).collect()
            }
            (3..6, _) if !self.recent.is_empty() => {
                return self.recent[self.rng.random_range(0..self.recent.len())].clone();
            }
            (6..8, _) => return (*ROOMS.choose(&mut self.rng).expect("there are some")).to_owned(),
            _ => return (*IDS.choose(&mut self.rng).expect("there are some")).to_owned(),
        };
        self.recent.push_back(made_up.clone());
        if self.recent.len() > RECENT {
            self.recent.pop_front();
        }
        made_up
    }

    fn recordings(&self) -> Vec<SimRecording> {
        self.usher.sims.iter().flat_map(BbbSim::recordings).collect()
    }

    /// Returns some `recordID`s of any tenant, or their beginnings.
    fn record_ids(&mut self) -> String {
        let recordings = self.recordings();
        let count = self.rng.random_range(1..4);
        let mut ids = Vec::new();
        for _ in 0..count {
            let id = &recordings.choose(&mut self.rng).expect("there are some").record_id;
            let length =
                if self.rng.random_bool(0.8) { id.len() } else { self.rng.random_range(1..id.len()) };
            ids.push(encoded(&id[..length]));
        }
        ids.join(if self.rng.random_bool(0.5) { "," } else { "%2C" })
    }

    /// Returns an addition to a query that tries to reach another tenant's recording.
    fn smuggled_record(&mut self) -> String {
        let (ids, id) = (self.record_ids(), encoded(&self.id()));
        let other = TENANTS.choose(&mut self.rng).expect("there are some");
        match self.rng.random_range(0..12) {
            0 => format!("&x%26recordID={ids}"),
            1 => format!("&x=1%26recordID%3D{ids}"),
            2 => format!("&recordID={ids}"),
            3 => format!("&record%49D={ids}"),
            4 => format!(";recordID={ids}&RecordID={ids}"),
            5 => format!("&meta_usher-tenant={other}"),
            6 => format!("&META_Usher-Tenant={other}&meta%5fusher-tenant={other}&meta_usher-x=1"),
            7 => format!("&meta_x%3E%3Cusher-tenant%3E{other}%3C/usher-tenant%3E%3Cx=1"),
            8 => format!("&meetingID={id}&state=any&limit=100&offset=0"),
            9 => "%00&state=processing%2Cany".to_owned(),
            _ => String::new(),
        }
    }

    /// Makes one call of a tenant about recordings.
    async fn call_about_recordings(&mut self, tenant: usize) -> Result<HttpAnswer> {
        let (client, mark) = (self.clients[tenant].clone(), mark(TENANTS[tenant]));
        let (ids, more) = (self.record_ids(), self.smuggled_record());
        let about = format!("recordID={ids}{more}");
        let choice = self.rng.random_range(0..10);
        self.log.push(format!("{} recordings {choice} {about}", TENANTS[tenant]));
        match choice {
            0 => client.get("getRecordings", &about).await,
            1 => {
                let (one, other) = (encoded(&self.id()), encoded(&self.id()));
                client.get("getRecordings", &format!("meetingID={one},{other}&state=any{more}")).await
            }
            2 => client.post_form("getRecordings", &format!("{about}&state=any")).await,
            3 => {
                let publish = self.rng.random_bool(0.5);
                client.get("publishRecordings", &format!("{about}&publish={publish}")).await
            }
            4 => client.get("updateRecordings", &format!("{about}&meta_note={mark}")).await,
            5 => {
                client
                    .post_form("updateRecordings", &format!("{about}&meta_note={mark}&meta_more={mark}"))
                    .await
            }
            6 => {
                // Form fields beside a signed query.
                let call = if self.rng.random_bool(0.5) { "getRecordings" } else { "updateRecordings" };
                let beside = format!("recordID={}&meta_note={mark}&state=any", self.record_ids());
                client.post(call, &about, FORM, &beside).await
            }
            7 => client.get("getRecordingTextTracks", &about).await,
            8 => {
                let head = "Content-Disposition: form-data; name=\"file\"; filename=\"a.vtt\"";
                let body = format!("--end-of-part\r\n{head}\r\n\r\n{mark}\r\n--end-of-part--\r\n");
                let query = format!("{about}&kind=captions&lang=en&label={mark}");
                client.post("putRecordingTextTrack", &query, PARTS, &body).await
            }
            _ if self.rng.random_bool(0.2) => client.get("deleteRecordings", &about).await,
            // Parameters added by an attacker without a secret.
            _ => {
                client
                    .fetch(&format!("{}&recordID={ids}{more}", client.url("updateRecordings", &about)))
                    .await
            }
        }
    }

    /// Returns an addition to a query that tries to reach another tenant's meeting.
    fn smuggled(&mut self) -> String {
        let id = encoded(&self.id());
        let other = TENANTS.choose(&mut self.rng).expect("there are some");
        match self.rng.random_range(0..14) {
            0 => format!("&x%26meetingID={id}"),
            1 => format!("&x=1%26meetingID%3D{id}"),
            2 => format!("&meetingID={id}"),
            3 => format!("&meeting%49D={id}"),
            4 => format!("&MeetingID={id}"),
            5 => format!(";meetingID={id}"),
            6 => format!("&meta_usher-tenant={other}"),
            7 => format!("&META_Usher-Tenant={other}&meta%5fusher-tenant={other}"),
            8 => format!("&isBreakout=true&sequence=1&parentMeetingID={id}"),
            9 => "&voiceBridge=99999".to_owned(),
            10 => "%00&checksum=0".to_owned(),
            _ => String::new(),
        }
    }

    /// Makes one call of a tenant, and logs it.
    async fn call(&mut self, tenant: usize) -> Result<HttpAnswer> {
        let (client, mark) = (self.clients[tenant].clone(), mark(TENANTS[tenant]));
        let (id, more) = (encoded(&self.id()), self.smuggled());
        let create = format!(
            "name={mark}&meetingID={id}&moderatorPW={mark}&attendeePW={mark}at&record=true&meta_note={mark}{more}"
        );
        let join = format!("meetingID={id}&fullName={mark}&role=MODERATOR&userID={mark}{more}");
        let about = format!("meetingID={id}{more}");
        let choice = self.rng.random_range(0..18);
        self.log.push(format!("{} {choice} {about}", TENANTS[tenant]));
        match choice {
            0..=3 => client.get("create", &create).await,
            16..=17 => {
                // By an id that all tenants use, of a meeting of any tenant.
                let room = *ROOMS.choose(&mut self.rng).expect("there are some");
                let create = create.replacen(&format!("meetingID={id}"), &format!("meetingID={room}"), 1);
                let create = format!("{create}&isBreakout=true&sequence=1&parentMeetingID={id}");
                self.log.push(create.clone());
                client.get("create", &create).await
            }
            4..=5 => {
                let mut answer = client.get("join", &join).await?;
                if let Some(location) = answer.location.take_if(|location| location.contains("/api/join?")) {
                    let landed = client.fetch(&location).await?;
                    answer.body.push_str(&landed.body);
                    if let Some(page) = landed.location.filter(|page| page.contains("/html5client/")) {
                        client.fetch(&page).await?; // the client connects
                    }
                }
                Ok(answer)
            }
            6 => client.get("end", &format!("{about}&password={mark}")).await,
            7 => client.get("getMeetingInfo", &about).await,
            8 => client.get("isMeetingRunning", &about).await,
            9 => client.get("sendChatMessage", &format!("{about}&message={mark}")).await,
            10 => {
                let body = format!(
                    "<modules><module name=\"presentation\"><document url=\"https://x/{mark}\" \
                     filename=\"{mark}\"/></module></modules>"
                );
                client.post("insertDocument", &about, "application/xml", &body).await
            }
            11 => {
                // Form fields beside a signed query.
                let call =
                    *["create", "end", "getMeetingInfo"].choose(&mut self.rng).expect("there are some");
                client.post(call, &create, FORM, &format!("meetingID={}", encoded(&self.id()))).await
            }
            12 => client.post_form("create", &create).await,
            13 => client.get("hooks/list", &about).await,
            14 => {
                // The id belongs to another tenant, unless this tenant has just created one.
                let url = self.application.url(&format!("/{}/{mark}more", TENANTS[tenant]));
                client.get("hooks/create", &format!("callbackURL={}{more}", encoded(&url))).await?;
                // A semicolon is not a separator: the text after it belongs to the address.
                let behind = if more.starts_with(';') { decode(&more) } else { Cow::default() };
                self.addresses.insert(url + &behind);
                let id = self.hooks.iter().collect::<Vec<_>>().choose(&mut self.rng).map(|id| (*id).clone());
                let id = id.unwrap_or_default();
                let own = client.get("hooks/list", "").await?.texts("hookID").contains(&id.as_str());
                let id = if own { "none".to_owned() } else { id };
                let answer = client.get("hooks/destroy", &format!("hookID={id}")).await?;
                ensure!(answer.key() == "destroyMissingHook", "destroyed another's: {answer:?}");
                Ok(answer)
            }
            // Parameters added by an attacker without a secret.
            _ => client.fetch(&format!("{}{more}&meetingID={id}", client.url("end", &about))).await,
        }
    }

    /// Makes a call and checks its effects and its answer.
    async fn step(&mut self) -> Result<()> {
        let tenant = self.rng.random_range(0..TENANTS.len());
        let own = mark(TENANTS[tenant]);
        // A meeting that ends leaves its server a moment later, without a call, and its recording
        // appears then.
        let ending = self.meetings().into_iter().filter(|meeting| meeting.ending);
        let ending: BTreeSet<String> = ending.map(|meeting| meeting.internal_id).collect();
        let others = |world: &Self| {
            let lasting = |name: &str, instance: &str| name != own && !ending.contains(instance);
            let (mut meetings, mut recordings) = (world.meetings(), world.recordings());
            meetings.retain(|meeting| lasting(&meeting.name, &meeting.internal_id));
            recordings.retain(|recording| lasting(&recording.name, &recording.record_id));
            (meetings, recordings)
        };
        let before = others(self);
        let answer = match self.rng.random_range(0..3) {
            0 => self.call_about_recordings(tenant).await?,
            _ => self.call(tenant).await?,
        };
        let after = others(self);
        ensure!(before == after, "changed an object of another tenant:\n{before:#?}\n{after:#?}");
        // A tenant's own meetings have its own passwords, except that a breakout room cannot be
        // created again by its id.
        let is_room = self.log.last().is_some_and(|line| line.contains("isBreakout"));
        ensure!(is_room || answer.key() != "idNotUnique", "reached another tenant's meeting: {answer:?}");
        let shown = format!("{} {}", answer.body, answer.location.as_deref().unwrap_or_default());
        for other in TENANTS.iter().filter(|other| **other != TENANTS[tenant]) {
            ensure!(!shown.contains(&mark(other)), "got data of {other}: {answer:?}");
        }
        ensure!(
            !shown.contains("usher-") || self.log.last().is_some_and(|line| line.contains("sher-")),
            "{shown}"
        );
        self.list(tenant).await
    }

    /// Checks that every event for a tenant is signed with its secret and concerns only its own
    /// meetings.
    async fn received(&self) -> Result<()> {
        wait::until("every event to be delivered", || async {
            ensure!(self.usher.admin().deliveries().await?.is_empty());
            Ok(())
        })
        .await?;
        let mut of_tenants = [0; TENANTS.len()];
        for received in
            self.application.accepted().iter().filter(|received| received.path.contains("checksum="))
        {
            let (path, checksum) = received.path.split_once("?checksum=").context("has a checksum")?;
            let tenant = path.split('/').nth(1).context("names a tenant")?;
            let at = TENANTS.iter().position(|known| *known == tenant).context("is a tenant")?;
            let body = std::str::from_utf8(&received.body)?;
            let secret = if at == 0 { SECRET } else { tenant };
            // The address as registered: the requests have no fragment, and are encoded.
            let own = self.application.url(&format!("/{tenant}/"));
            let mut addresses = self.addresses.iter().filter(|address| address.starts_with(&own));
            let is_signed =
                addresses.any(|address| SigningHash::Sha1.sign(address, body, secret) == checksum);
            ensure!(is_signed, "{received:?}");
            let body = Url::parse(&format!("http://x/?{body}"))?;
            let event: String = body.query_pairs().map(|(_, value)| value.into_owned()).collect();
            for other in TENANTS.iter().filter(|other| **other != tenant) {
                ensure!(!event.contains(&mark(other)), "{tenant} received an event of {other}: {event}");
            }
            of_tenants[at] += usize::from(event.contains(&mark(tenant)));
        }
        ensure!(of_tenants.iter().all(|count| *count > 0), "a tenant received no event: {of_tenants:?}");
        Ok(())
    }

    /// Checks that a tenant sees only its own running meetings. It need not see all: of two with
    /// the same id it sees the one to which calls are routed (S9).
    async fn list(&mut self, tenant: usize) -> Result<()> {
        let own = mark(TENANTS[tenant]);
        let (client, this) = (&self.clients[tenant], &*self);
        // A meeting that has just ended may be in the list of its server for a moment longer.
        let shown = wait::until("the list to have running meetings only", || async {
            let listed = client.get("getMeetings", "").await?;
            let names = listed.texts("meetingName");
            assert!(names.iter().all(|name| *name == own), "shown to {own}: {}", listed.body);
            assert!(!listed.body.contains("usher-"), "{}", listed.body);
            let instances = listed.texts("internalMeetingID").into_iter().map(|id| id.replace("&amp;", "&"));
            let instances: BTreeSet<String> = instances.collect();
            let meetings = this.meetings();
            let running = meetings.iter().filter(|meeting| meeting.name == own && !meeting.ending);
            let running: BTreeSet<String> = running.map(|meeting| meeting.internal_id.clone()).collect();
            ensure!(instances.is_subset(&running), "listed {instances:?}, running {running:?}");
            Ok(instances.len())
        })
        .await?;
        // A meeting that ends while its tenant lists leaves a recording behind.
        wait::until("the list to have all recordings of the tenant", || async {
            let listed = client.get("getRecordings", "state=any").await?;
            assert!(listed.texts("name").iter().all(|name| *name == own), "{}", listed.body);
            assert!(!listed.body.contains("usher-"), "{}", listed.body);
            let shown: BTreeSet<String> = listed.texts("recordID").into_iter().map(str::to_owned).collect();
            let theirs = this.recordings().into_iter().filter(|recording| recording.name == own);
            let theirs: BTreeSet<String> = theirs.map(|recording| recording.record_id).collect();
            ensure!(shown == theirs, "recordings listed {shown:?}, of the tenant {theirs:?}");
            Ok(())
        })
        .await?;
        self.shown[tenant] += shown;
        Ok(())
    }
}

/// Three tenants make random calls with equal ids and smuggled parameters → no object of a tenant
/// is shown to, changed by or ended by another, and each event reaches its own tenant only.
#[tokio::test]
async fn no_object_of_a_tenant_is_seen_changed_or_ended_by_another() -> Result<()> {
    let set = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seed = set("USHER_ISOLATION_SEED").unwrap_or_else(|| rand::rng().next_u64());
    let steps = set("USHER_ISOLATION_STEPS").map_or(Ok(STEPS), usize::try_from)?;
    let mut world = Scene::start(seed).await?;
    for step in 0..steps {
        let done = world.step().await;
        done.with_context(|| {
            let last = world.log[world.log.len().saturating_sub(12)..].join("\n");
            format!("step {step} with USHER_ISOLATION_SEED={seed}, after\n{last}")
        })?;
    }
    for meeting in world.meetings() {
        let of_one = meeting.users.iter().chain(meeting.chat.iter().map(|(_, text)| text));
        for text in of_one.chain(&meeting.documents) {
            let foreign = text.contains("only-of-") && !text.contains(&meeting.name);
            assert!(!foreign, "{text} in {meeting:?}, USHER_ISOLATION_SEED={seed}");
        }
    }
    world.received().await.with_context(|| format!("USHER_ISOLATION_SEED={seed}"))?;
    for recording in world.recordings() {
        let note = recording.metadata("note").unwrap_or_default();
        let said = recording
            .tracks
            .iter()
            .map(|track| track.text.as_str())
            .chain([note, recording.metadata("more").unwrap_or_default()]);
        for text in said {
            let foreign = text.contains("only-of-") && !text.contains(&recording.name);
            assert!(!foreign, "{text} in {recording:?}, USHER_ISOLATION_SEED={seed}");
        }
    }
    assert!(world.shown.iter().all(|shown| *shown > 0), "a tenant saw no meeting: {:?}", world.shown);
    Ok(())
}
