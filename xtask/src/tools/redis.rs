//! Redis, for the tests that take a Scalelite over.

use std::{
    env, fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use super::{debian, folder};
use crate::shell::on_path;

const WHY: &str = "redis-server is not on the PATH";
/// What the server is in: `redis-server` is but a link to what `redis-tools` has.
const PACKAGES: [&str; 2] = ["redis-server", "redis-tools"];
/// Wherever the folder is moved to.
const SCRIPT: &str = r#"#!/bin/sh
here=$(dirname -- "$(readlink -f -- "$0")")
LD_LIBRARY_PATH=$(echo "$here"/usr/lib/*-linux-gnu* | tr ' ' ':') exec "$here"/usr/bin/redis-server "$@"
"#;

/// Returns a redis-server: `TEST_REDIS`, one on the PATH, or Debian's, unpacked with the libraries that
/// are not installed.
pub(crate) fn redis() -> Result<PathBuf> {
    if let Some(named) = env::var_os("TEST_REDIS").map(PathBuf::from) {
        if !named.is_file() {
            bail!("TEST_REDIS names {}, which is no file", named.display());
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
            "no redis-server to be had: install one and put it on the PATH, or name it in TEST_REDIS \
             (Debian: redis-server, macOS: brew install redis)",
        )?;
    }
    Ok(program)
}

/// Unpacked rather than installed: the package would start a service on port 6379. What runs is a script
/// that says where the libraries are; it is written last, when they are all there.
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
        bail!("Debian's redis-server wants {}, which its packages do not bring", missing.join(", "));
    }
    fs::write(program, SCRIPT)?;
    fs::set_permissions(program, fs::Permissions::from_mode(0o755)).context("make the script a program")
}

/// Returns the libraries that the binary would not find.
fn missing(home: &Path, binary: &Path) -> Result<Vec<String>> {
    let said = Command::new("ldd").arg(binary).env("LD_LIBRARY_PATH", library_path(home)).output();
    let said = said.context("run ldd")?;
    let lines = String::from_utf8_lossy(&said.stdout).into_owned();
    let missing = lines.lines().filter(|line| line.contains("not found"));
    Ok(missing.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect())
}

/// Returns the folders of unpacked libraries, as `LD_LIBRARY_PATH` has them: one per platform, of which
/// there is one.
fn library_path(home: &Path) -> String {
    let platforms =
        fs::read_dir(home.join("usr/lib")).map_or_else(|_| Vec::new(), |folder| folder.flatten().collect());
    let folders: Vec<_> = platforms.iter().map(|platform| platform.path().display().to_string()).collect();
    folders.join(":")
}
