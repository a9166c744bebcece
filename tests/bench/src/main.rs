//! The benchmark of `cargo xtask bench`: the costs of joins, creates and changes, each beside the
//! limits of this machine in the same run (design 9). Only the ratios are comparable with those of
//! another machine.

mod answer_head;
mod args;
mod connections;
mod control_plane;
mod creates;
mod crowd;
mod deltas;
mod edge_program;
mod joins;
mod machine;
mod measurement;
mod report;
mod routes;
mod size;
mod synthetic;

use std::{env, process::ExitCode};

use anyhow::{Result, ensure};
use clap::Parser;
use tokio::runtime::Builder;

use crate::{
    args::{BenchArgs, BenchPart, ReportFormat},
    report::BenchReport,
};

// The allocator of the servers, so that another one does not slow the references.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match run(&BenchArgs::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("usher-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &BenchArgs) -> Result<()> {
    // Otherwise the harness would build programs for tests, whose speed is meaningless.
    ensure!(env::var_os("TEST_PROGRAMS").is_some(), "no programs to measure; run `cargo xtask bench`");
    let plan = args.plan();
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let mut report = BenchReport::default();
    if args.wants(BenchPart::Joins) {
        joins::measure(&plan, &runtime, &mut report)?;
    }
    if args.wants(BenchPart::Creates) {
        creates::measure(&plan, &runtime, &mut report)?;
    }
    if args.wants(BenchPart::Deltas) {
        runtime.block_on(deltas::measure(&plan, &mut report))?;
    }
    if args.wants(BenchPart::Crowd) {
        crowd::measure(&plan, &mut report)?;
    }
    if args.wants(BenchPart::Connections) {
        connections::measure(&plan, &runtime, &mut report)?;
    }
    if args.wants(BenchPart::Size) {
        size::measure(args, &runtime, &mut report)?;
    }
    match args.output {
        ReportFormat::Table => println!("{}", report.table()),
        ReportFormat::Json => println!("{}", report.json()?),
    }
    Ok(())
}
