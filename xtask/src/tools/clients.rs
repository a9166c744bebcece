//! Installs the BBB client libraries that the tests run against a whole cluster.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Result;

use super::{
    debian,
    installed::{folder, is_installed, set_stamp},
};
use crate::shell::{on_path, run_quietly, say};

/// Pinned, because a client library and its HTTP library together decide how a query is signed.
const PYTHON: &str = "bigbluebutton-api-python==0.0.11";
const JAVASCRIPT: &str = "bigbluebutton-js@0.2.0";

/// The paths of the client libraries.
pub(crate) struct ClientLibraries {
    /// The Python interpreter that can import `bigbluebutton_api_python`.
    pub(crate) python: PathBuf,
    /// The folder that contains `bigbluebutton-js`.
    pub(crate) node_modules: PathBuf,
}

/// Installs both libraries, and Python and Node.js if they are missing.
pub(crate) fn clients() -> Result<ClientLibraries> {
    Ok(ClientLibraries { python: python()?, node_modules: javascript()? })
}

fn python() -> Result<PathBuf> {
    let home = folder()?.join("python");
    let interpreter = home.join("bin/python");
    if is_installed(&home, PYTHON) {
        return Ok(interpreter);
    }
    if !can_make_venv() {
        debian::install(&["python3", "python3-venv"], "the client tests need Python 3 with venv")?;
    }
    say(&format!("installing {PYTHON} from PyPI"));
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
    if !is_installed(&home, JAVASCRIPT) {
        npm_install(&home, JAVASCRIPT)?;
        set_stamp(&home, JAVASCRIPT)?;
    }
    Ok(home.join("node_modules"))
}

/// Installs one npm package below the folder `home`. Its scripts do not run, because they could
/// download more.
pub(super) fn npm_install(home: &Path, package: &str) -> Result<()> {
    if on_path("node").is_none() || on_path("npm").is_none() {
        debian::install(&["nodejs", "npm"], "Node.js with npm is missing")?;
    }
    say(&format!("installing {package} from npm"));
    fs::create_dir_all(home)?;
    let npm = ["install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"];
    run_quietly(Command::new("npm").args(npm).arg(home).arg(package))
}
