//! One noun per file; output only through the printer.

mod bbb_sim;
mod confirm;
mod deliveries;
mod demo;
mod edges;
mod hooks;
mod meetings;
mod migrate;
mod servers;
mod standalone;
mod status;
mod tenants;
mod zombies;

use clap::CommandFactory;

use crate::{
    args::{Cli, Command},
    client::Admin,
    exit::Failure,
    printer::Printer,
};

/// Does what was typed; the answer goes to the printer.
pub async fn run(cli: Cli, printer: &mut Printer) -> Result<(), Failure> {
    let global = &cli.global;
    match cli.command {
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "usher", &mut script);
            printer.text(&String::from_utf8_lossy(&script))
        }
        Command::Status { watch, every } => status::run(global, printer, watch.then_some(every)).await,
        Command::Servers(command) => servers::run(global, printer, command).await,
        Command::Tenants(command) => tenants::run(global, printer, command).await,
        Command::Meetings(command) => meetings::run(global, printer, command).await,
        Command::Deliveries(command) => deliveries::run(global, printer, command).await,
        Command::Hooks(command) => hooks::run(global, printer, command).await,
        Command::Zombies(command) => zombies::run(global, printer, command).await,
        Command::Edges(_) => edges::list(&Admin::connect(global).await?, printer).await,
        Command::Migrate(command) => migrate::run(global, printer, command).await,
        Command::Standalone(args) => standalone::run(printer, args).await,
        Command::Demo(args) => demo::run(printer, args).await,
        Command::BbbSim(args) => bbb_sim::run(printer, args).await,
    }
}
