//! cargo-deny, which checks licences, sources and banned crates.

use std::{path::PathBuf, process::Command};

use anyhow::Result;

use super::{folder, set_stamp, stands};
use crate::shell::{cargo, on_path, run, say};

const VERSION: &str = "0.20.2";

/// Returns the cargo-deny binary; building it takes some minutes once.
pub(crate) fn deny() -> Result<PathBuf> {
    if let Some(found) = on_path("cargo-deny").filter(is_pinned_version) {
        return Ok(found);
    }
    let folder = folder()?;
    let binary = folder.join("bin/cargo-deny");
    if !stands(&binary, VERSION) {
        say("bringing cargo-deny: building it from crates.io, some minutes once");
        run(cargo()
            .args(["install", "--quiet", "--locked", "--force", "cargo-deny", "--version", VERSION])
            .arg("--root")
            .arg(&folder))?;
        set_stamp(&binary, VERSION)?;
    }
    Ok(binary)
}

fn is_pinned_version(binary: &PathBuf) -> bool {
    let version = Command::new(binary).arg("--version").output();
    version.is_ok_and(|said| String::from_utf8_lossy(&said.stdout).trim() == format!("cargo-deny {VERSION}"))
}
