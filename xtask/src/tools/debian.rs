//! Installs Debian packages if the user is root, or only unpacks them if that is enough.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result, bail};

use crate::shell::{on_path, run_quietly, say};

/// Installs packages for the whole system.
///
/// # Errors
/// If the user is not root or the system has no `apt-get`; the error names the packages.
pub(super) fn install(packages: &[&str], why: &str) -> Result<()> {
    let names = packages.join(" ");
    if on_path("apt-get").is_none() || !is_root() {
        bail!("{why}; install it and run this again (on Debian: sudo apt-get install {names})");
    }
    say(&format!("{why}: installing Debian's {names}"));
    update_if_never_done()?;
    run_quietly(
        Command::new("apt-get")
            .env("DEBIAN_FRONTEND", "noninteractive")
            .args(["install", "--yes", "--quiet", "--no-install-recommends"])
            .args(packages),
    )
}

/// Downloads one package and unpacks it below the folder `into`. An installation would need root and
/// might start a service.
pub(super) fn unpack(package: &str, into: &Path, why: &str) -> Result<()> {
    if on_path("apt-get").is_none() || on_path("dpkg").is_none() {
        bail!("{why}, and without apt-get Debian's {package} cannot be fetched");
    }
    say(&format!("{why}: fetching Debian's {package}"));
    update_if_never_done()?;
    let downloads = into.join("download");
    fs::create_dir_all(&downloads)?;
    run_quietly(Command::new("apt-get").args(["download", "--quiet", package]).current_dir(&downloads))
        .with_context(|| format!("fetch {package}; `apt-get update` may have to be run first, as root"))?;
    for entry in fs::read_dir(&downloads)? {
        run_quietly(Command::new("dpkg").arg("-x").arg(entry?.path()).arg(into))?;
    }
    fs::remove_dir_all(&downloads).context("remove the downloaded package")
}

/// Returns the names of the libraries that a package depends on, without the C library.
pub(super) fn libraries_of(package: &str) -> Result<Vec<String>> {
    let all = dependencies_of(package)?.into_iter();
    Ok(all.filter(|name| name.starts_with("lib") && name != "libc6").collect())
}

/// Returns the first package with this beginning that a package depends on: the version behind a general name.
pub(super) fn dependency_of(package: &str, beginning: &str) -> Result<String> {
    let mut all = dependencies_of(package)?.into_iter();
    all.find(|name| name.starts_with(beginning)).with_context(|| format!("Debian has no package {package}"))
}

fn dependencies_of(package: &str) -> Result<Vec<String>> {
    update_if_never_done()?;
    let output = Command::new("apt-cache").args(["depends", package]).output().context("run apt-cache")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let named = text.lines().filter_map(|line| line.trim().strip_prefix("Depends: "));
    Ok(named.map(str::to_owned).collect())
}

/// Fetches the package lists if the system has none, as in a fresh container.
fn update_if_never_done() -> Result<()> {
    let lists = fs::read_dir("/var/lib/apt/lists")
        .map(|dir| dir.flatten().any(|entry| entry.file_name().to_string_lossy().contains("Packages")));
    if lists.unwrap_or(false) || !is_root() {
        return Ok(());
    }
    say("no package lists: running apt-get update");
    run_quietly(Command::new("apt-get").args(["update", "--quiet"]))
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.is_ok_and(|id| id.stdout.trim_ascii() == b"0")
}
