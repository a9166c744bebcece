//! Asks before harm is done.

use std::io::{BufRead, IsTerminal};

use crate::{args::GlobalOptions, core::shrink::FleetShrinkage, exit::CommandFailure};

/// Returns once a person, or `--yes`, agreed. `action` is what would be done, as in "remove server x".
pub(super) fn harm(global: &GlobalOptions, action: &str) -> Result<(), CommandFailure> {
    if global.yes {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        return Err(CommandFailure::Usage(format!("to {action} without being asked, add --yes")));
    }
    match ask(&format!("About to {action}. Go on? [y/N] "))?.to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(CommandFailure::Refused("nothing was done".into())),
    }
}

/// Returns once a person typed how many servers are hit. `--yes` is no such word: scripts carry it for the
/// days on which their list is right.
pub(super) fn shrink(global: &GlobalOptions, shrinkage: &FleetShrinkage) -> Result<(), CommandFailure> {
    let hit = shrinkage.hit.len().to_string();
    if global.yes || !std::io::stdin().is_terminal() {
        return Err(CommandFailure::Refused(format!(
            "nothing was done: {shrinkage}. If the list is right, add --allow-shrink {}",
            shrinkage.needed()
        )));
    }
    match ask("Is the list right? To go on, type the number of servers that go out of use: ")? {
        typed if typed == hit => Ok(()),
        _ => Err(CommandFailure::Refused("nothing was done".into())),
    }
}

fn ask(question: &str) -> Result<String, CommandFailure> {
    eprint!("{question}");
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(answer.trim().to_owned())
}
