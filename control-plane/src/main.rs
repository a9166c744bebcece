//! `usher-control-plane`: serves gRPC and ops HTTP, and leads when it can.

use std::{path::PathBuf, process::ExitCode, sync::Arc};

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
use usher_control_plane::{app::ControlPlane, store};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The Usher control plane: places meetings, polls servers, streams routing tables.
#[derive(Debug, Parser)]
#[command(name = "usher-control-plane", version)]
struct Args {
    /// Configuration file (TOML); also `USHER_CONFIG`.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Address of the gRPC port.
    #[arg(long, value_name = "ADDR")]
    control: Option<String>,
    /// Address of `/live`, `/ready` and `/metrics`.
    #[arg(long, value_name = "ADDR")]
    ops: Option<String>,
    /// Directory of the embedded store, where `store.kind` is `embedded`.
    #[arg(long, value_name = "DIR")]
    data: Option<String>,
    /// Secret of the tenant `default`; repeatable.
    #[arg(long = "secret", value_name = "SECRET")]
    secrets: Vec<String>,
    /// Print the settings that hold, secrets masked, and exit.
    #[arg(long)]
    print_config: bool,
}

impl Args {
    fn flags(&self) -> Vec<Flag> {
        let one = |name, key, value: &Option<String>| {
            value.clone().map(|value| Flag { name, key, values: vec![value] })
        };
        let secrets = (!self.secrets.is_empty()).then(|| self.secrets.clone());
        [
            one("--control", "control", &self.control),
            one("--ops", "ops", &self.ops),
            one("--data", "data", &self.data),
            secrets.map(|values| Flag { name: "--secret", key: "secrets", values }),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("usher-control-plane: {error:#}");
            // 2 as for arguments: starting it again changes nothing.
            if error.is::<config::Faults>() { ExitCode::from(2) } else { ExitCode::FAILURE }
        }
    }
}

fn run(args: &Args) -> anyhow::Result<()> {
    let source = Source::read(Settings::default(), args.config.as_deref(), args.flags())?;
    let (settings, warnings) = config::load(&source)?;
    if args.print_config {
        print!("{}", config::print(&settings));
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let telemetry = telemetry::init(&settings.telemetry, "usher-control-plane");
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
    let store = store::open(&settings.store, settings.data.as_deref()).context("open the store")?;
    let plane = ControlPlane::start(settings, Arc::clone(&store), &ops, &tasks).await?;
    let ops_server = OpsServer::start(&ops, settings.addresses.ops, &tasks).await.context("bind ops")?;
    let ready = async {
        plane.ready().await;
        println!("ready control={} ops={}", plane.grpc_addr(), ops_server.addr());
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
        plane.shutdown().await;
        tasks.shutdown().await;
    };
    Ok(signals.or(stopped).await?)
}
