//! `usher-edge-proxy`: serves the BBB API by the routing table of the control planes.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use anyhow::Context as _;
use clap::Parser;
use usher_common::{
    runtime::{
        config::{self, Flag, Source},
        ops::{Ops, OpsServer},
        signals::Signals,
        tasks::Tasks,
        telemetry,
    },
    settings::Settings,
};
use usher_edge_proxy::app::Edge;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Ops port where none is set: the control plane's default is the one above.
const OPS_PORT: u16 = 8081;
/// Longest time for the last tasks to end, after requests have had theirs.
const LAST_TASKS: Duration = Duration::from_secs(10);

/// The Usher edge: speaks the BBB API, sends everybody to the right server.
#[derive(Debug, Parser)]
#[command(name = "usher-edge-proxy", version)]
struct Args {
    /// Configuration file (TOML); also `USHER_CONFIG`.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Address of the BBB API.
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
    /// Address of `/live`, `/ready` and `/metrics`.
    #[arg(long, value_name = "ADDR")]
    ops: Option<String>,
    /// Print the settings that hold, secrets masked, and exit.
    #[arg(long)]
    print_config: bool,
}

impl Args {
    fn flags(&self) -> Vec<Flag> {
        let one = |name, key, value: &Option<String>| {
            value.clone().map(|value| Flag { name, key, values: vec![value] })
        };
        [one("--listen", "listen", &self.listen), one("--ops", "ops", &self.ops)]
            .into_iter()
            .flatten()
            .collect()
    }
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("usher-edge-proxy: {error:#}");
            // 2 as for arguments: starting it again changes nothing.
            if error.is::<config::Faults>() { ExitCode::from(2) } else { ExitCode::FAILURE }
        }
    }
}

fn run(args: &Args) -> anyhow::Result<()> {
    let mut base = Settings::default();
    base.addresses.ops.set_port(OPS_PORT);
    let source = Source::read(base, args.config.as_deref(), args.flags())?;
    let (settings, warnings) = config::load(&source)?;
    if args.print_config {
        print!("{}", config::print(&settings));
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let telemetry = telemetry::init(&settings.telemetry, "usher-edge-proxy");
        for warning in warnings {
            tracing::warn!("{warning}");
        }
        let served = serve(&settings).await;
        telemetry.shutdown().await;
        served
    })
}

async fn serve(settings: &Settings) -> anyhow::Result<()> {
    let (tasks, ops) = (Tasks::new(), Ops::new());
    let edge = Edge::start(settings, &ops, &tasks).await?;
    let ops_server = OpsServer::start(&ops, settings.addresses.ops, &tasks).await.context("bind ops")?;
    let ready = async {
        edge.ready().await;
        println!("ready listen={} ops={}", edge.api_addr(), ops_server.addr());
        std::future::pending::<()>().await;
    };
    let mut signals = Signals::listen()?;
    let stopping = tasks.stopping();
    tokio::select! {
        () = signals.next() => {}
        () = ready => {}
        () = stopping.cancelled() => {
            tasks.shutdown().await;
            anyhow::bail!("a part of the program has ended; see the log");
        }
    }
    tracing::info!("stopping; a second signal stops at once");
    let stopped = async {
        ops.begin_shutdown();
        edge.shutdown().await;
        tokio::time::timeout(LAST_TASKS, tasks.shutdown()).await.is_ok()
    };
    anyhow::ensure!(signals.or(stopped).await?, "some tasks did not end in time");
    Ok(())
}
