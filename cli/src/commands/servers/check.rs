//! Runs `usher servers check`: polls a server from this machine, as the control plane does, and reports its faults.

use std::time::Duration;

use serde::Serialize;
use usher_bbb::{checksum::ChecksumAlgorithm, secret::Secret};
use usher_control_plane::{
    bbb_client::BbbClient,
    ports::{BbbCallError, BbbServers},
};
use usher_model::{
    id::ServerId,
    server::{AdminState, Server, base_url},
    settings::Settings,
};
use usher_proto::v1;
use usher_runtime::pending::PendingCalls;

use crate::{
    admin_client::AdminClient,
    args::{GlobalOptions, ServerCheckArgs},
    exit::CommandFailure,
    printer::{OutputPrinter, TableRow},
};

/// The result of one check.
#[derive(Serialize)]
struct CheckFinding {
    check: &'static str,
    passed: bool,
    detail: String,
}

impl TableRow for CheckFinding {
    const COLUMNS: &'static [&'static str] = &["CHECK", "RESULT", "DETAIL"];

    fn cells(&self) -> Vec<String> {
        let result = if self.passed { "ok" } else { "failed" };
        vec![self.check.to_owned(), result.to_owned(), self.detail.clone()]
    }
}

/// Checks a server of the fleet, or any server by its URL and secret.
pub(super) async fn run(
    global: &GlobalOptions,
    printer: &mut OutputPrinter,
    args: ServerCheckArgs,
) -> Result<(), CommandFailure> {
    let server = target(global, args).await?;
    let findings = check(&server, global.timeout).await?;
    printer.list(&findings, "no check was made")?;
    if findings.iter().all(|finding| finding.passed) {
        Ok(())
    } else {
        Err(CommandFailure::Refused(format!("server {} does not pass its check", server.url)))
    }
}

async fn target(global: &GlobalOptions, args: ServerCheckArgs) -> Result<Server, CommandFailure> {
    let secret_wanted = "with a URL, add --secret; `bbb-conf --secret` on the server prints it";
    let (url, secret, algorithm) = if args.server.contains("://") {
        let secret = args.secret.ok_or_else(|| CommandFailure::Usage(secret_wanted.into()))?;
        (args.server, secret, ChecksumAlgorithm::default())
    } else {
        let admin = AdminClient::connect(global).await?;
        let known = admin.server(&args.server, v1::ServerView::RevealSecret).await?;
        let algorithm = known.checksum_algorithm().into();
        (known.url, args.secret.unwrap_or_else(|| Secret::new(&known.secret)), algorithm)
    };
    let url = base_url(&url).map_err(|error| CommandFailure::Usage(format!("{url}: {error}")))?;
    Ok(Server {
        id: ServerId::parse("checked").map_err(|error| CommandFailure::Usage(error.to_string()))?,
        url,
        secret,
        weight: 1.0,
        tags: Vec::new(),
        admin: AdminState::Enabled,
        algorithm,
        created_at_ms: 0,
        former_of: None,
        created_by: None,
    })
}

async fn check(server: &Server, timeout: Duration) -> Result<Vec<CheckFinding>, CommandFailure> {
    let mut settings = Settings::default();
    settings.health.deadline = timeout;
    settings.health.connect_timeout = timeout.min(Duration::from_secs(5));
    let client = BbbClient::new(&settings, PendingCalls::default()).map_err(anyhow::Error::from)?;
    let started = usher_runtime::clock::now();
    let sample = match client.poll(server, 0).await {
        Ok(sample) => sample,
        Err(error) => return Ok(diagnose(&client, server, &error).await),
    };
    let took = crate::printer::span(usher_runtime::clock::now() - started);
    let version = if sample.bbb_version.is_empty() { "unknown" } else { &sample.bbb_version };
    let users: u32 = sample.meetings.iter().map(|meeting| meeting.participants).sum();
    Ok(vec![
        CheckFinding { check: "reach", passed: true, detail: format!("{} answered in {took}", server.url) },
        CheckFinding {
            check: "secret",
            passed: true,
            detail: format!("accepted, signed with {}", server.algorithm),
        },
        CheckFinding {
            check: "getMeetings",
            passed: true,
            detail: format!("{} meetings with {users} users, version {version}", sample.meetings.len()),
        },
    ])
}

/// Returns the first failure with its remedy, after the checks that passed.
async fn diagnose(client: &BbbClient, server: &Server, error: &BbbCallError) -> Vec<CheckFinding> {
    let reached = CheckFinding { check: "reach", passed: true, detail: format!("{} answers", server.url) };
    let failed = |check, detail: String| CheckFinding { check, passed: false, detail };
    match error {
        BbbCallError::Connect(why) => {
            vec![failed(
                "reach",
                format!("{why}; is the host right, and does its firewall admit this machine?"),
            )]
        }
        BbbCallError::Timeout(limit) => vec![failed("reach", format!("no answer within {limit:?}"))],
        BbbCallError::Broken(why) => vec![failed("reach", format!("the connection broke: {why}"))],
        BbbCallError::Status(404) => {
            vec![failed("reach", "HTTP 404: there is no BigBlueButton API at this address".into())]
        }
        BbbCallError::Status(status) => {
            vec![failed("reach", format!("HTTP {status}: is BigBlueButton (bbb-web) running there?"))]
        }
        BbbCallError::Unreadable(why) => {
            vec![reached, failed("getMeetings", format!("the answer is not BigBlueButton's: {why}"))]
        }
        BbbCallError::Failed(key) if key.starts_with("checksumError") => {
            let detail = match accepted(client, server).await {
                Some(other) => format!(
                    "not accepted when signed with {}, accepted with {other}: use --algorithm {other}",
                    server.algorithm
                ),
                None => "not accepted; `bbb-conf --secret` on the server prints the right one".into(),
            };
            vec![reached, failed("secret", detail)]
        }
        BbbCallError::Failed(key) => {
            vec![reached, failed("getMeetings", format!("the server refused: {key}"))]
        }
    }
}

/// Returns another hash with which the server accepts the secret: BBB can restrict
/// `supportedChecksumAlgorithms` (wire-contract 1).
async fn accepted(client: &BbbClient, server: &Server) -> Option<ChecksumAlgorithm> {
    for algorithm in ChecksumAlgorithm::ALL.into_iter().filter(|algorithm| *algorithm != server.algorithm) {
        if client.poll(&Server { algorithm, ..server.clone() }, 0).await.is_ok() {
            return Some(algorithm);
        }
    }
    None
}
