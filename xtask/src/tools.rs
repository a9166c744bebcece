//! The tools that a build or a run needs. Each is installed in `target/tools` once, in a pinned
//! version.

mod buf;
mod clients;
mod cyclonedx;
mod debian;
mod deny;
mod etcd;
mod etcd_versions;
mod faketime;
mod installed;
mod protoc;
mod redis;
mod ruby;

use std::path::PathBuf;

use anyhow::Result;

pub(crate) use {
    buf::buf, clients::clients, cyclonedx::cyclonedx, deny::deny, etcd::etcd, etcd_versions::etcd_versions,
    faketime::faketime, protoc::protoc, redis::redis, ruby::ruby,
};

/// Installs the tools of all commands, and returns where they are.
pub(crate) fn everything() -> Result<Vec<PathBuf>> {
    protoc()?;
    let clients = clients()?;
    Ok(vec![etcd()?, redis()?, ruby()?, faketime()?, buf()?, deny()?, clients.python, clients.node_modules])
}
