//! Puts threads and processes on cores, so that a server and its load do not share one.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use nix::{
    sched::{CpuSet, sched_setaffinity},
    unistd::Pid,
};

/// Where the server under load runs.
pub(crate) const SERVER_CORE: usize = 0;
/// Where the load comes from.
pub(crate) const LOAD_CORE: usize = 1;

/// Puts the calling thread on one core; where there is only one, it stays.
pub(crate) fn this_thread(core: usize) -> Result<()> {
    if std::thread::available_parallelism()?.get() <= core {
        return Ok(());
    }
    let mut set = CpuSet::new();
    set.set(core).context("name the core")?;
    sched_setaffinity(Pid::from_raw(0), &set).context("pin a thread to a core")
}

/// Puts every thread of a process on one core.
pub(crate) fn process(pid: u32, core: usize) -> Result<()> {
    let (core, pid) = (core.to_string(), pid.to_string());
    let arguments = ["--all-tasks", "--cpu-list", "--pid", &core, &pid];
    let status = Command::new("taskset").args(arguments).stdout(Stdio::null()).status();
    ensure!(status.context("start taskset, of util-linux")?.success(), "taskset failed");
    Ok(())
}
