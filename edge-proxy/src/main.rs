//! `usher-edge-proxy`: serves the BBB API by the routing table of the control planes.

use std::{path::PathBuf, process::ExitCode};

use clap::Parser;
use usher_edge_proxy::app::Edge;
use usher_model::settings::Settings;
use usher_runtime::{
    config::CommandLineFlag,
    program::{self, ProgramLaunch},
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Default port of the ops address. The control plane's default is another one, so that both run on one
/// host without settings.
const OPS_PORT: u16 = 8081;

/// The Usher edge: speaks the BBB API and sends every request to the right server.
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
    fn flags(&self) -> Vec<CommandLineFlag> {
        let one = |name, key, value: &Option<String>| {
            value.clone().map(|value| CommandLineFlag { name, key, values: vec![value] })
        };
        [one("--listen", "listen", &self.listen), one("--ops", "ops", &self.ops)]
            .into_iter()
            .flatten()
            .collect()
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    let mut base = Settings::default();
    base.addresses.ops.set_port(OPS_PORT);
    let launch = ProgramLaunch {
        name: "usher-edge-proxy",
        base,
        flags: args.flags(),
        config: args.config,
        print_config: args.print_config,
    };
    program::run(launch, async |settings, ops, tasks| Ok(Edge::start(settings, ops, tasks).await?))
}
