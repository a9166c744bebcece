//! The tools a build or a run needs, each brought into `target/tools` once, in a pinned version.

mod buf;
mod clients;
mod debian;
mod deny;
mod etcd;
mod faketime;
mod protoc;
mod redis;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

pub(crate) use {
    buf::buf, clients::clients, deny::deny, etcd::etcd, faketime::faketime, protoc::protoc, redis::redis,
};

use crate::shell;

/// Brings every tool that any command needs.
pub(crate) fn everything() -> Result<Vec<PathBuf>> {
    protoc()?;
    let clients = clients()?;
    Ok(vec![etcd()?, redis()?, faketime()?, buf()?, deny()?, clients.python, clients.node_modules])
}

/// Returns the folder of the tools, making it if need be.
fn folder() -> Result<PathBuf> {
    let folder = shell::root().join("target/tools");
    fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
    Ok(folder)
}

/// Returns whether `what`, at this version, has been brought before: the last step of bringing a
/// tool leaves a stamp, so that half a tool is never taken for a whole one.
fn stands(what: &Path, version: &str) -> bool {
    fs::read_to_string(stamp(what)).is_ok_and(|stamped| stamped == version) && what.exists()
}

fn set_stamp(what: &Path, version: &str) -> Result<()> {
    fs::write(stamp(what), version).with_context(|| format!("stamp {}", what.display()))
}

fn stamp(what: &Path) -> PathBuf {
    what.with_extension("version")
}
