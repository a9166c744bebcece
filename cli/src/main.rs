//! The `usher` program: parses the arguments, runs the command and returns its exit code.

use std::process::ExitCode;

use clap::Parser;
use usher::{args::CommandLine, commands, exit::CommandFailure, printer::OutputPrinter};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = CommandLine::parse();
    let mut printer = OutputPrinter::new(cli.global.output);
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return CommandFailure::Output(error).report(),
    };
    match runtime.block_on(commands::run(cli, &mut printer)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
