//! Finds or fetches Redis, for the tests that migrate from Scalelite.

use std::{
    env, fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use super::{debian, installed::folder};
use crate::shell::on_path;

const WHY: &str = "redis-server is not on the PATH";
/// The packages of the server: in `redis-server` it is a link to the binary in `redis-tools`.
const PACKAGES: [&str; 2] = ["redis-server", "redis-tools"];
/// Finds its libraries by its own path, so that the folder can be moved.
const SCRIPT: &str = r#"#!/bin/sh
here=$(dirname -- "$(readlink -f -- "$0")")
LD_LIBRARY_PATH=$(echo "$here"/usr/lib/*-linux-gnu* | tr ' ' ':') exec "$here"/usr/bin/redis-server "$@"
"#;

/// Returns the path of a redis-server: of `TEST_REDIS`, on the PATH, or of Debian's package, unpacked
/// together with the libraries that are not installed.
pub(crate) fn redis() -> Result<PathBuf> {
    if let Some(named) = env::var_os("TEST_REDIS").map(PathBuf::from) {
        if !named.is_file() {
            bail!("TEST_REDIS names {}, which is not a file", named.display());
        }
        return Ok(named);
    }
    if let Some(found) = on_path("redis-server") {
        return Ok(found);
    }
    let home = folder()?.join("redis");
    let program = home.join("redis-server");
    if !program.is_file() {
        fetch(&home, &program).context(
            "no redis-server found: install one and put it on the PATH, or name it in TEST_REDIS \
             (Debian: redis-server, macOS: brew install redis)",
        )?;
    }
    Ok(program)
}

/// Unpacks the packages, because an installation would start a service on port 6379. The tests run a
/// script that sets the path of the libraries; it is written last, when the libraries are complete.
fn fetch(home: &Path, program: &Path) -> Result<()> {
    fs::create_dir_all(home)?;
    for package in PACKAGES {
        debian::unpack(package, home, WHY)?;
    }
    let binary = home.join("usr/bin/redis-server");
    if !missing(home, &binary)?.is_empty() {
        for library in debian::libraries_of(PACKAGES[1])? {
            debian::unpack(&library, home, "redis-server needs libraries")?;
        }
    }
    let missing = missing(home, &binary)?;
    if !missing.is_empty() {
        bail!("Debian's redis-server needs {}, which its packages do not contain", missing.join(", "));
    }
    fs::write(program, SCRIPT)?;
    fs::set_permissions(program, fs::Permissions::from_mode(0o755)).context("make the script a program")
}

/// Returns the names of the libraries that the binary would not find.
fn missing(home: &Path, binary: &Path) -> Result<Vec<String>> {
    let output = Command::new("ldd").arg(binary).env("LD_LIBRARY_PATH", library_path(home)).output();
    let output = output.context("run ldd")?;
    let lines = String::from_utf8_lossy(&output.stdout).into_owned();
    let missing = lines.lines().filter(|line| line.contains("not found"));
    Ok(missing.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect())
}

/// Returns the folders of the unpacked libraries, one per platform, in the form of `LD_LIBRARY_PATH`.
fn library_path(home: &Path) -> String {
    let platforms =
        fs::read_dir(home.join("usr/lib")).map_or_else(|_| Vec::new(), |folder| folder.flatten().collect());
    let folders: Vec<_> = platforms.iter().map(|platform| platform.path().display().to_string()).collect();
    folders.join(":")
}
