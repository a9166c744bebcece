//! `usher-control-plane`: serves gRPC and ops HTTP, and leads when it can.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use clap::Parser;
use usher_control_plane::{app::RunningControlPlane, store};
use usher_model::settings::Settings;
use usher_runtime::{
    config::CommandLineFlag,
    program::{self, ProgramLaunch},
};

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
    fn flags(&self) -> Vec<CommandLineFlag> {
        let one = |name, key, value: &Option<String>| {
            value.clone().map(|value| CommandLineFlag { name, key, values: vec![value] })
        };
        let secrets = (!self.secrets.is_empty()).then(|| self.secrets.clone());
        [
            one("--control", "control", &self.control),
            one("--ops", "ops", &self.ops),
            one("--data", "data", &self.data),
            secrets.map(|values| CommandLineFlag { name: "--secret", key: "secrets", values }),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    let launch = ProgramLaunch {
        name: "usher-control-plane",
        base: Settings::default(),
        flags: args.flags(),
        config: args.config,
        print_config: args.print_config,
    };
    program::run(launch, async |settings, ops, tasks| {
        let store = store::open(&settings.store, settings.data.as_deref()).context("open the store")?;
        RunningControlPlane::start(settings, store, ops, tasks).await
    })
}
