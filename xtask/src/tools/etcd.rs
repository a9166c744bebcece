//! Finds or fetches etcd, for the tests and benchmarks with a real one.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

use super::{debian, installed::folder};
use crate::shell::on_path;

const WHY: &str = "etcd is not on the PATH";

/// Returns the path of an etcd binary: of `USHER_ETCD`, on the PATH, or of Debian's package.
pub(crate) fn etcd() -> Result<PathBuf> {
    if let Some(named) = env::var_os("USHER_ETCD").map(PathBuf::from) {
        if !named.is_file() {
            bail!("USHER_ETCD names {}, which is not a file", named.display());
        }
        return Ok(named);
    }
    if let Some(found) = on_path("etcd") {
        return Ok(found);
    }
    let unpacked = folder()?.join("etcd");
    let binary = unpacked.join("usr/bin/etcd");
    if !binary.is_file() {
        fetch(&unpacked).context(
            "no etcd found: install one and put it on the PATH, or name it in USHER_ETCD \
             (Debian: etcd-server, macOS: brew install etcd)",
        )?;
    }
    Ok(binary)
}

/// Unpacks Debian's `etcd-server`, or `etcd`, which contains the server in older releases. The
/// package is not installed, because it would start a service on port 2379.
fn fetch(into: &Path) -> Result<()> {
    fs::create_dir_all(into)?;
    debian::unpack("etcd-server", into, WHY)
        .or_else(|first| debian::unpack("etcd", into, WHY).map_err(|_| first))
}
