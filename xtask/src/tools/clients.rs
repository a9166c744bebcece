//! Real BBB client libraries, which the tests drive against a whole cluster.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Result;

use super::{debian, folder, set_stamp, stands};
use crate::shell::{on_path, run_quietly, say};

/// Pinned with what it pulls in, because a client's HTTP library is part of how it signs.
const PYTHON: &str = "bigbluebutton-api-python==0.0.11";
const JAVASCRIPT: &str = "bigbluebutton-js@0.2.0";

/// Where the client libraries are.
pub(crate) struct Clients {
    /// A Python interpreter that can import `bigbluebutton_api_python`.
    pub(crate) python: PathBuf,
    /// A folder with `bigbluebutton-js` in it.
    pub(crate) node_modules: PathBuf,
}

/// Brings both libraries, and Python and Node.js where they are missing.
pub(crate) fn clients() -> Result<Clients> {
    Ok(Clients { python: python()?, node_modules: javascript()? })
}

fn python() -> Result<PathBuf> {
    let home = folder()?.join("python");
    let interpreter = home.join("bin/python");
    if stands(&home, PYTHON) {
        return Ok(interpreter);
    }
    if !can_make_venv() {
        debian::install(&["python3", "python3-venv"], "the client tests need Python 3 with venv")?;
    }
    say(&format!("bringing {PYTHON}, from PyPI"));
    run_quietly(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&home))?;
    run_quietly(Command::new(&interpreter).args(["-m", "pip", "install", "--quiet", PYTHON]))?;
    set_stamp(&home, PYTHON)?;
    Ok(interpreter)
}

fn can_make_venv() -> bool {
    let check = Command::new("python3").args(["-c", "import ensurepip, venv"]).output();
    check.is_ok_and(|check| check.status.success())
}

fn javascript() -> Result<PathBuf> {
    let home = folder()?.join("javascript");
    if !stands(&home, JAVASCRIPT) {
        npm_install(&home, JAVASCRIPT)?;
        set_stamp(&home, JAVASCRIPT)?;
    }
    Ok(home.join("node_modules"))
}

/// Installs one npm package under `home`, running none of its scripts.
pub(super) fn npm_install(home: &Path, package: &str) -> Result<()> {
    if on_path("node").is_none() || on_path("npm").is_none() {
        debian::install(&["nodejs", "npm"], "Node.js with npm is missing")?;
    }
    say(&format!("bringing {package}, from npm"));
    fs::create_dir_all(home)?;
    let npm = ["install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"];
    run_quietly(Command::new("npm").args(npm).arg(home).arg(package))
}
