//! Runs `usher demo`: a standalone Usher in memory, simulated servers, a meeting and links to join it.

mod recording;

use std::{
    net::{SocketAddr, TcpListener},
    path::Path,
    time::Duration,
};

use anyhow::{Context as _, bail};
use tokio::time::timeout;
use usher_bbb::{
    checksum::{ChecksumAlgorithm, sign_query},
    parse::{ServerReply, create_reply},
    secret::Secret,
};
use usher_bbb_sim::{BbbSim, SimOptions};
use usher_model::{
    id::ServerId,
    settings::{Settings, StoreKind},
};
use usher_proto::v1;
use usher_runtime::{signals::StopSignals, telemetry};

use super::standalone::serve_until_stopped;
use crate::{
    admin_client::AdminClient,
    args::DemoArgs,
    core::server_list::ServerSpec,
    exit::CommandFailure,
    printer::OutputPrinter,
    standalone::{StandaloneAddresses, StandaloneUsher},
};

/// The secret of the application of the demo. It is public, so the demo listens on loopback only.
const SECRET: &str = "demo-secret";
/// The longest time that the start may take.
const START_WITHIN: Duration = Duration::from_secs(30);
/// The query of the create of the meeting, without checksum.
const CREATE: &str = "name=Demo+meeting&meetingID=demo&attendeePW=ap&moderatorPW=mp";

/// Starts the demo, prints its addresses and links, and runs until a signal stops it.
pub(super) async fn run(printer: &mut OutputPrinter, args: DemoArgs) -> Result<(), CommandFailure> {
    // The library keeps its files here until the demo ends.
    let folder = tempfile::tempdir().context("make a folder for the recordings of the demo")?;
    let settings = settings(folder.path());
    let telemetry = telemetry::init(&settings.telemetry, "usher");
    let mut signals = StopSignals::listen()?;
    let starting = async { timeout(START_WITHIN, RunningDemo::start(&settings, args.servers)).await };
    let demo = signals.or(starting).await?.context("the demo did not start in time")??;
    printer.text(&demo.text())?;
    let stopped = serve_until_stopped(&mut signals, demo.standalone).await;
    for sim in demo.sims {
        sim.stop().await;
    }
    telemetry.shutdown().await;
    stopped
}

struct RunningDemo {
    standalone: StandaloneUsher,
    sims: Vec<BbbSim>,
    /// The server on which the meeting was placed.
    server: String,
}

impl RunningDemo {
    async fn start(settings: &Settings, servers: u8) -> Result<Self, CommandFailure> {
        let (mut sims, mut specs) = (Vec::new(), Vec::new());
        for number in 1..=servers {
            let name = format!("bbb-{number}");
            let secret = format!("{name}-secret");
            let sim =
                BbbSim::start(SimOptions::new(&secret).named(&name)).await.map_err(anyhow::Error::from)?;
            specs.push(ServerSpec {
                id: ServerId::parse(&name).map_err(anyhow::Error::from)?,
                url: sim.url(),
                secret: Secret::new(&secret),
                enabled: true,
                weight: 1.0,
                tags: Vec::new(),
            });
            sims.push(sim);
        }
        let secret = specs.first().map(|spec| spec.secret.clone()).context("the demo has a server")?;
        let standalone = StandaloneUsher::start(settings, &specs).await?;
        let admin = standalone.admin().await?;
        wait_until_online(&admin).await?;
        create_meeting(standalone.addresses()).await?;
        let server = server_of_meeting(&admin).await?;
        recording::upload(&edge_address(standalone.addresses()), &secret).await?;
        Ok(Self { standalone, sims, server })
    }

    fn text(&self) -> String {
        let at = self.standalone.addresses();
        let join = |name: &str, password: &str| {
            signed_url(at, "join", &format!("fullName={name}&meetingID=demo&password={password}"))
        };
        let another =
            signed_url(at, "create", "name=Another+meeting&meetingID=another&attendeePW=ap&moderatorPW=mp");
        let endpoint = if at.control.port() == Settings::default().addresses.control.port() {
            String::new()
        } else {
            format!(" --endpoint http://{}", at.control)
        };
        format!(
            "{at}

Usher is running with {servers} simulated BigBlueButton servers.

  BBB API   {api}
  secret    {SECRET}
  control   {control}
  metrics   http://{ops}/metrics

The meeting `demo` is on server {server}. Join it in a browser:

  as moderator   {moderator}
  as attendee    {attendee}

Listen to a recording that a server has handed over to the library:

  {recording}
  curl '{recordings}'

Create another meeting and see its server:

  curl '{another}'
  usher meetings list{endpoint}

Look at the fleet:

  usher status{endpoint}
  usher servers list{endpoint}
  grpcurl -plaintext {control} list

Ctrl-C stops the demo.",
            servers = self.sims.len(),
            recording = recording::address(&edge_address(at)),
            recordings = signed_url(at, "getRecordings", ""),
            api = at.api(),
            control = at.control,
            ops = at.ops,
            server = self.server,
            moderator = join("Mona", "mp"),
            attendee = join("Alex", "ap"),
        )
    }
}

/// Returns settings for a demo: a store in memory, listeners on loopback, short intervals, and the usual ports if
/// they are free.
fn settings(folder: &Path) -> Settings {
    let mut settings = Settings::default();
    settings.store.kind = StoreKind::Embedded;
    settings.secrets = vec![Secret::new(SECRET)];
    settings.health.interval = Duration::from_secs(2);
    settings.health.deadline = Duration::from_secs(1);
    settings.health.connect_timeout = Duration::from_millis(500);
    settings.health.healthy_threshold = 1;
    settings.placement.slow_start = Duration::ZERO;
    settings.edge.shutdown_wait = Duration::ZERO;
    settings.telemetry.log = "warn".into();
    settings.recordings.library = true;
    settings.recordings.listen = free_address(settings.recordings.listen);
    settings.recordings.database = Some(folder.join("recordings.db"));
    settings.recordings.storage = Some(folder.join("recordings"));
    settings.recordings.keep_free = 0;
    let addresses = &mut settings.addresses;
    for addr in [&mut addresses.listen, &mut addresses.control, &mut addresses.ops] {
        *addr = free_address(*addr);
    }
    // Applications that try callbacks and webhooks run on this machine, as the servers do.
    settings.public_url = Some(format!("http://{}", addresses.listen));
    settings.callbacks.allow = vec!["127.0.0.0/8".to_owned(), "::1/128".to_owned()];
    settings
}

/// Returns the address, with a free port if its own port is taken.
fn free_address(addr: SocketAddr) -> SocketAddr {
    let any = SocketAddr::new(addr.ip(), 0);
    let bound = TcpListener::bind(addr).or_else(|_| TcpListener::bind(any));
    bound.and_then(|listener| listener.local_addr()).unwrap_or(any)
}

/// Polls until every server is online.
async fn wait_until_online(admin: &AdminClient) -> Result<(), CommandFailure> {
    loop {
        let polled = admin.servers().poll_server(v1::PollServerRequest { name: "servers/-".into() }).await?;
        if polled.into_inner().servers.iter().all(|server| server.health() == v1::Health::Online) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Creates the meeting as an application would.
async fn create_meeting(at: &StandaloneAddresses) -> anyhow::Result<()> {
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build()?;
    let answer = client.get(signed_url(at, "create", CREATE)).send().await?.text().await?;
    match create_reply(&answer).context("read the answer to create")? {
        ServerReply::Success(_) => Ok(()),
        ServerReply::Failed(failure) => bail!("create was refused: {failure:?}"),
    }
}

async fn server_of_meeting(admin: &AdminClient) -> Result<String, CommandFailure> {
    let meetings = admin.all_meetings().await?;
    let server = meetings.first().map(|meeting| meeting.server.trim_start_matches("servers/").to_owned());
    Ok(server.unwrap_or_else(|| "one of them".into()))
}

/// Returns the address of the edge, without a final slash.
fn edge_address(at: &StandaloneAddresses) -> String {
    format!("http://{}", at.listen)
}

fn signed_url(at: &StandaloneAddresses, call: &str, query: &str) -> String {
    let query = sign_query(ChecksumAlgorithm::Sha256, call, query.to_owned(), &Secret::new(SECRET));
    format!("{}{call}?{query}", at.api())
}
