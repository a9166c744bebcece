//! etcd, for the tests and benchmarks that are about a real one.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

use super::{debian, folder};
use crate::shell::on_path;

const WHY: &str = "etcd is not on the PATH";

/// Returns an etcd binary: `USHER_ETCD`, one on the PATH, or Debian's, unpacked.
pub(crate) fn etcd() -> Result<PathBuf> {
    if let Some(named) = env::var_os("USHER_ETCD").map(PathBuf::from) {
        if !named.is_file() {
            bail!("USHER_ETCD names {}, which is no file", named.display());
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
            "no etcd to be had: install one and put it on the PATH, or name it in USHER_ETCD \
             (Debian: etcd-server, macOS: brew install etcd)",
        )?;
    }
    Ok(binary)
}

/// Debian split the server out into `etcd-server`; older releases have all in `etcd`. Unpacked
/// rather than installed: the package would start a service on port 2379.
fn fetch(into: &Path) -> Result<()> {
    fs::create_dir_all(into)?;
    debian::unpack("etcd-server", into, WHY)
        .or_else(|first| debian::unpack("etcd", into, WHY).map_err(|_| first))
}
