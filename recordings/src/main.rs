//! `usher-recordings`: the recordings library of a fleet.

use std::{path::PathBuf, process::ExitCode};

use clap::Parser;
use usher_model::settings::Settings;
use usher_recordings::app::RunningLibrary;
use usher_runtime::program::{self, ProgramLaunch};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Default port of the ops address. The defaults of the other programs differ, so that all run on one host without
/// settings.
const OPS_PORT: u16 = 9093;

/// The recordings library of Usher: takes recordings off the BBB servers, lists and keeps them.
#[derive(Debug, Parser)]
#[command(name = "usher-recordings", version)]
struct Args {
    /// Configuration file (TOML); also `USHER_CONFIG`.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print the settings that hold, secrets masked, and exit.
    #[arg(long)]
    print_config: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let mut base = Settings::default();
    base.addresses.ops.set_port(OPS_PORT);
    let launch = ProgramLaunch {
        name: "usher-recordings",
        base,
        flags: Vec::new(),
        config: args.config,
        print_config: args.print_config,
    };
    program::run(launch, async |settings, ops, tasks| RunningLibrary::start(settings, ops, tasks).await)
}
