//! Installs cargo-deny, which checks licences, sources, banned crates and advisories.

use std::{path::PathBuf, process::Command};

use anyhow::Result;

use super::installed::install_crate;
use crate::shell::on_path;

const VERSION: &str = "0.20.2";

/// Returns the path of the cargo-deny binary. The first call builds it, which takes some minutes.
pub(crate) fn deny() -> Result<PathBuf> {
    if let Some(found) = on_path("cargo-deny").filter(is_pinned_version) {
        return Ok(found);
    }
    install_crate("cargo-deny", VERSION)
}

fn is_pinned_version(binary: &PathBuf) -> bool {
    let output = Command::new(binary).arg("--version").output();
    output
        .is_ok_and(|output| String::from_utf8_lossy(&output.stdout).trim() == format!("cargo-deny {VERSION}"))
}
