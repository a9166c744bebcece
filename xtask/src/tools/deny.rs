//! Installs cargo-deny, which checks licences, sources, banned crates and advisories.

use std::{path::PathBuf, process::Command};

use anyhow::Result;

use super::installed::{folder, is_installed, set_stamp};
use crate::shell::{cargo, on_path, run, say};

const VERSION: &str = "0.20.2";

/// Returns the path of the cargo-deny binary. The first call builds it, which takes some minutes.
pub(crate) fn deny() -> Result<PathBuf> {
    if let Some(found) = on_path("cargo-deny").filter(is_pinned_version) {
        return Ok(found);
    }
    let folder = folder()?;
    let binary = folder.join("bin/cargo-deny");
    if !is_installed(&binary, VERSION) {
        say("building cargo-deny from crates.io (some minutes, once)");
        run(cargo()
            .args(["install", "--quiet", "--locked", "--force", "cargo-deny", "--version", VERSION])
            .arg("--root")
            .arg(&folder))?;
        set_stamp(&binary, VERSION)?;
    }
    Ok(binary)
}

fn is_pinned_version(binary: &PathBuf) -> bool {
    let output = Command::new(binary).arg("--version").output();
    output
        .is_ok_and(|output| String::from_utf8_lossy(&output.stdout).trim() == format!("cargo-deny {VERSION}"))
}
