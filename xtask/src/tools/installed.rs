//! The folder of the tools, and which of them are complete.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use crate::shell::{self, cargo, run, say};

/// Returns the folder `target/tools`, and creates it if it is missing.
pub(super) fn folder() -> Result<PathBuf> {
    let folder = shell::root().join("target/tools");
    fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
    Ok(folder)
}

/// Returns whether a tool is installed in this version. The last step of each installation writes a
/// stamp, so that an interrupted installation is never used.
pub(super) fn is_installed(tool: &Path, version: &str) -> bool {
    fs::read_to_string(stamp(tool)).is_ok_and(|stamped| stamped == version) && tool.exists()
}

/// Returns the path of a program from crates.io, which cargo builds unless it is installed in this
/// version.
pub(super) fn install_crate(name: &str, version: &str) -> Result<PathBuf> {
    let folder = folder()?;
    let binary = folder.join("bin").join(name);
    if !is_installed(&binary, version) {
        say(&format!("building {name} from crates.io (some minutes, once)"));
        run(cargo()
            .args(["install", "--quiet", "--locked", "--force", name, "--version", version])
            .arg("--root")
            .arg(&folder))?;
        set_stamp(&binary, version)?;
    }
    Ok(binary)
}

/// Writes the stamp of a tool.
pub(super) fn set_stamp(tool: &Path, version: &str) -> Result<()> {
    fs::write(stamp(tool), version).with_context(|| format!("stamp {}", tool.display()))
}

fn stamp(tool: &Path) -> PathBuf {
    tool.with_extension("version")
}
