//! Asks the operator to confirm a destructive command.

use std::io::{BufRead, IsTerminal};

use crate::{args::GlobalOptions, core::shrink::FleetShrinkage, exit::CommandFailure};

/// Returns `Ok` if the operator or `--yes` confirms. `action` completes "to …", as in "remove server x".
///
/// # Errors
/// The operator declines, or no terminal is there to ask and `--yes` is missing.
pub(super) fn harm(global: &GlobalOptions, action: &str) -> Result<(), CommandFailure> {
    if global.yes {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        return Err(CommandFailure::Usage(format!("to {action} without confirmation, add --yes")));
    }
    match ask(&format!("About to {action}. Continue? [y/N] "))?.to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(CommandFailure::Refused("no change was made".into())),
    }
}

/// Returns `Ok` if the operator types the number of servers that go out of use. `--yes` is no confirmation here:
/// scripts always pass it, also when their list was rendered wrongly (S10).
///
/// # Errors
/// The operator types another text, `--yes` is given, or no terminal is there to ask.
pub(super) fn shrink(global: &GlobalOptions, shrinkage: &FleetShrinkage) -> Result<(), CommandFailure> {
    let hit = shrinkage.hit.len().to_string();
    if global.yes || !std::io::stdin().is_terminal() {
        return Err(CommandFailure::Refused(format!(
            "no change was made: {shrinkage}. If the list is right, add --allow-shrink {}",
            shrinkage.needed()
        )));
    }
    match ask("Is the list right? To continue, type the number of servers that go out of use: ")? {
        typed if typed == hit => Ok(()),
        _ => Err(CommandFailure::Refused("no change was made".into())),
    }
}

fn ask(question: &str) -> Result<String, CommandFailure> {
    eprint!("{question}");
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(answer.trim().to_owned())
}
