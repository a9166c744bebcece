//! Stopping a process that one has started.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use nix::{
    sys::{
        signal::{Signal, kill},
        wait::{Id, WaitPidFlag, WaitStatus, waitid},
    },
    unistd::Pid,
};

use crate::wait::DEADLINE;

/// Stops a child without ending it. It has stopped when this returns: a signal alone is only on its way, and
/// on a loaded machine the process goes on for a moment.
///
/// # Errors
/// It had ended before, or does not stop.
pub(crate) fn freeze(child: Pid) -> Result<()> {
    kill(child, Signal::SIGSTOP).with_context(|| format!("stop {child}"))?;
    // What is seen is left to be seen again, so that nobody else who waits for the child misses anything.
    let look = WaitPidFlag::WSTOPPED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    let deadline = Instant::now() + DEADLINE;
    while !matches!(waitid(Id::Pid(child), look)?, WaitStatus::Stopped(..)) {
        ensure!(Instant::now() < deadline, "{child} does not stop");
        std::thread::yield_now();
    }
    Ok(())
}
