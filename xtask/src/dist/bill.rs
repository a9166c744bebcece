//! Writes the bill of materials of each program: its dependencies with versions, licences and
//! checksums, as CycloneDX in JSON.

use std::{fs, path::Path, process::Command};

use anyhow::{Result, bail};
use usher_rules::files;

use crate::{
    programs::RELEASED,
    shell::{root, run_quietly},
};

/// Name of the files that the tool writes beside the manifest of each crate of the workspace: a name
/// that no file of the repository has.
const WRITTEN: &str = "xtask-dist-bill";

/// Writes `PROGRAM.cdx.json` into `folder` for each program.
pub(super) fn write(tool: &Path, folder: &Path, commit_time: &str) -> Result<()> {
    fs::create_dir_all(folder)?;
    let mut command = Command::new(tool);
    command
        .args(["cyclonedx", "--quiet", "--format", "json", "--spec-version", "1.5", "--all"])
        .args(["--override-filename", WRITTEN])
        .current_dir(root())
        // The tool then leaves out the random serial number, too.
        .env("SOURCE_DATE_EPOCH", commit_time);
    let done = run_quietly(&mut command);
    let mut missing = RELEASED.to_vec();
    let is_written = |path: &&String| path.ends_with(&format!("/{WRITTEN}.json"));
    for path in files(&["."]).iter().filter(is_written) {
        let written = root().join(path);
        // A bill names the crates of the workspace by their folders, which differ between machines.
        let text = fs::read_to_string(&written)?.replace(&root().display().to_string(), "/usher");
        fs::remove_file(&written)?;
        if let Some(at) = missing.iter().position(|program| is_about(&text, program)) {
            fs::write(folder.join(format!("{}.cdx.json", missing.remove(at))), text)?;
        }
    }
    done?;
    if !missing.is_empty() {
        bail!("cargo-cyclonedx wrote no bill of {}", missing.join(", "));
    }
    Ok(())
}

/// Returns whether a bill describes this program: it names the tool first, and then the program.
fn is_about(bill: &str, program: &str) -> bool {
    let named = bill.split("\"name\": \"").nth(2);
    named.is_some_and(|rest| rest.split('"').next() == Some(program))
}
