//! Runs the commands: one file for each noun. All output goes through the printer.

mod alarms;
mod bbb_sim;
mod confirm;
mod deliveries;
mod demo;
mod edges;
mod hooks;
mod known_names;
mod meetings;
mod migrate;
mod removed;
mod replicas;
mod servers;
mod standalone;
mod status;
mod tenants;
mod watching;
mod zombies;

use clap::CommandFactory;
use usher_recordings::uploads::UPLOAD_SCRIPT;

use crate::{
    admin_client::AdminClient,
    args::{CommandLine, RecordingsCommand, UsherCommand},
    exit::CommandFailure,
    printer::OutputPrinter,
};

/// Runs the command that was typed and writes its data to `printer`.
///
/// # Errors
/// The command was refused or failed; the variant of the failure decides the exit code.
pub async fn run(cli: CommandLine, printer: &mut OutputPrinter) -> Result<(), CommandFailure> {
    let global = &cli.global;
    match cli.command {
        UsherCommand::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut CommandLine::command(), "usher", &mut script);
            printer.text(&String::from_utf8_lossy(&script))
        }
        UsherCommand::Status { watch, every } => status::run(global, printer, watch.then_some(every)).await,
        UsherCommand::Servers(command) => servers::run(global, printer, command).await,
        UsherCommand::Tenants(command) => tenants::run(global, printer, command).await,
        UsherCommand::Meetings(command) => meetings::run(global, printer, command).await,
        UsherCommand::Deliveries(command) => deliveries::run(global, printer, command).await,
        UsherCommand::Hooks(command) => hooks::run(global, printer, command).await,
        UsherCommand::Zombies(command) => zombies::run(global, printer, command).await,
        UsherCommand::Edges(command) => edges::run(global, printer, command).await,
        UsherCommand::Alarms(_) => alarms::watch(&AdminClient::connect(global).await?, printer).await,
        UsherCommand::Replicas(_) => replicas::list(&AdminClient::connect(global).await?, printer).await,
        UsherCommand::Migrate(command) => migrate::run(global, printer, command).await,
        // In boxes: no other command needs the room for the parts of a whole Usher.
        UsherCommand::Standalone(args) => Box::pin(standalone::run(printer, args)).await,
        UsherCommand::Demo(args) => Box::pin(demo::run(printer, args)).await,
        UsherCommand::Recordings(RecordingsCommand::Script) => printer.text(UPLOAD_SCRIPT),
        UsherCommand::BbbSim(args) => bbb_sim::run(printer, args).await,
    }
}
