//! Entry of the `usher` command.

use std::process::ExitCode;

use clap::Parser;
use usher::{args::Cli, commands, exit::Failure, printer::Printer};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let mut printer = Printer::new(cli.global.output);
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return Failure::Output(error).report(),
    };
    match runtime.block_on(commands::run(cli, &mut printer)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
