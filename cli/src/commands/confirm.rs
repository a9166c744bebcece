//! Asks before harm is done.

use std::io::{BufRead, IsTerminal};

use crate::{args::Global, exit::Failure};

/// Returns once a person, or `--yes`, agreed. `deed` is what would be done, as in "remove server x".
pub(super) fn harm(global: &Global, deed: &str) -> Result<(), Failure> {
    if global.yes {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        return Err(Failure::Usage(format!("to {deed} without being asked, add --yes")));
    }
    eprint!("About to {deed}. Go on? [y/N] ");
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    match answer.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Failure::Refused("nothing was done".into())),
    }
}
