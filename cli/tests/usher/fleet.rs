//! A standalone Usher in this process with simulated servers, and the commands that tests run against it.

use std::{
    future::Future,
    io::Write,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use clap::Parser;
use usher::{
    args::CommandLine, commands, exit::CommandFailure, printer::OutputPrinter, standalone::StandaloneUsher,
};
use usher_bbb::{
    checksum::{ChecksumAlgorithm, sign_query},
    secret::Secret,
};
use usher_bbb_sim::{BbbSim, SimOptions};
use usher_model::settings::{Settings, StoreKind};

/// The secret of the application in these tests.
pub(crate) const SECRET: &str = "application-secret";

/// A standalone Usher and its simulated servers.
pub(crate) struct TestFleet {
    pub(crate) standalone: StandaloneUsher,
    pub(crate) sims: Vec<BbbSim>,
}

/// The exit code and the output of a command.
#[derive(Debug)]
pub(crate) struct CommandOutput {
    pub(crate) code: u8,
    pub(crate) out: String,
    pub(crate) error: String,
}

impl CommandOutput {
    /// Returns its standard output, read as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Returns settings with short intervals and free ports.
pub(crate) fn settings() -> Settings {
    let mut settings = Settings::default();
    for addr in [&mut settings.addresses.listen, &mut settings.addresses.control, &mut settings.addresses.ops]
    {
        addr.set_port(0);
    }
    settings.store.kind = StoreKind::Embedded;
    settings.secrets = vec![Secret::new(SECRET)];
    settings.health.interval = Duration::from_millis(400);
    settings.health.deadline = Duration::from_millis(300);
    settings.health.connect_timeout = Duration::from_millis(200);
    settings.health.healthy_threshold = 1;
    settings.edge.shutdown_wait = Duration::ZERO;
    settings
}

impl TestFleet {
    /// Starts an Usher and simulated servers, none of which is added to the fleet yet.
    pub(crate) async fn start(sims: usize, settings: &Settings) -> Self {
        let standalone = StandaloneUsher::start(settings, &[]).await.expect("starts");
        let mut fleet = Self { standalone, sims: Vec::new() };
        for number in 0..sims {
            let options = SimOptions::new(&format!("server-secret-{number}"));
            fleet.sims.push(BbbSim::start(options).await.expect("starts"));
        }
        fleet
    }

    /// Runs `usher LINE` against this Usher.
    pub(crate) async fn usher(&self, line: &str) -> CommandOutput {
        let endpoint = format!("--endpoint http://{} {line}", self.standalone.addresses().control);
        usher(&endpoint).await
    }

    /// Adds a simulated server and waits until it is online.
    pub(crate) async fn add(&self, number: usize) {
        let (url, secret) = (self.sims[number].url(), self.sims[number].secret().expose().to_owned());
        let said =
            self.usher(&format!("servers add {url} --secret {secret} --id bbb-{number} --enable")).await;
        assert_eq!(said.code, 0, "{said:?}");
        until("the server is online", async || {
            let said = self.usher("servers poll -o json").await;
            let all = said.json();
            let server = all.as_array().into_iter().flatten().find(|s| s["id"] == format!("bbb-{number}"))?;
            (server["health"] == "online").then_some(())
        })
        .await;
    }

    /// Makes a signed call as an application does, and returns the answer.
    pub(crate) async fn call(&self, call: &str, query: &str) -> String {
        let signed = sign_query(ChecksumAlgorithm::Sha256, call, query.to_owned(), &Secret::new(SECRET));
        let url = format!("{}{call}?{signed}", self.standalone.addresses().api());
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .expect("is built");
        client.get(url).send().await.expect("is answered").text().await.expect("is text")
    }

    /// Stops Usher and all simulated servers.
    pub(crate) async fn stop(self) {
        self.standalone.stop().await;
        for sim in self.sims {
            sim.stop().await;
        }
    }
}

/// Runs `usher LINE` in this process.
pub(crate) async fn usher(line: &str) -> CommandOutput {
    let cli = match CommandLine::try_parse_from(std::iter::once("usher").chain(line.split_whitespace())) {
        Ok(cli) => cli,
        Err(error) => return CommandOutput { code: 2, out: String::new(), error: error.to_string() },
    };
    let buffer = SharedBuffer::default();
    let mut printer = OutputPrinter::to(cli.global.output, Box::new(buffer.clone()));
    let done = commands::run(cli, &mut printer).await;
    let bytes = buffer.0.lock().expect("is not poisoned").clone();
    CommandOutput {
        code: done.as_ref().err().map_or(0, CommandFailure::code),
        out: String::from_utf8(bytes).expect("is text"),
        error: done.err().map(|failure| failure.to_string()).unwrap_or_default(),
    }
}

/// Calls `attempt` until it returns a value, for ten seconds at most.
pub(crate) async fn until<T, F: Future<Output = Option<T>>>(
    condition: &str,
    mut attempt: impl FnMut() -> F,
) -> T {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        if let Some(answer) = attempt().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "not in time: {condition}");
        tokio::task::yield_now().await;
    }
}

#[derive(Clone, Default)]
struct SharedBuffer(Arc<Mutex<Vec<u8>>>);

impl Write for SharedBuffer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("is not poisoned").write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
