//! One noun per file; output only through the printer.

mod confirm;
mod edges;
mod meetings;
mod servers;
mod status;
mod zombies;

use clap::CommandFactory;

use crate::{
    args::{Cli, Command},
    client::Admin,
    exit::Failure,
    printer::Printer,
};

/// Does what was typed.
pub async fn run(cli: Cli) -> Result<(), Failure> {
    let global = &cli.global;
    let mut printer = Printer::new(global.output);
    match cli.command {
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "usher", &mut script);
            printer.text(&String::from_utf8_lossy(&script))
        }
        Command::Status { watch, every } => status::run(global, &mut printer, watch.then_some(every)).await,
        Command::Servers(command) => servers::run(global, &mut printer, command).await,
        Command::Meetings(command) => meetings::run(global, &mut printer, command).await,
        Command::Zombies(_) => zombies::list(&Admin::connect(global).await?, &mut printer).await,
        Command::Edges(_) => edges::list(&Admin::connect(global).await?, &mut printer).await,
        Command::Demo(_) | Command::Standalone(_) | Command::BbbSim(_) => {
            Err(Failure::Refused("not part of this build".into()))
        }
    }
}
