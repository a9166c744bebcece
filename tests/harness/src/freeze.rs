//! Stopping a child process without ending it.

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

/// Stops a child without ending it, and returns after it has stopped: the signal alone takes effect
/// later, and on a loaded machine the process runs on for a moment.
///
/// # Errors
/// The child had ended before, or does not stop.
pub(crate) fn freeze(child: Pid) -> Result<()> {
    kill(child, Signal::SIGSTOP).with_context(|| format!("stop {child}"))?;
    // WNOWAIT leaves the state change readable, so that other code that waits for the child misses
    // no event.
    let look = WaitPidFlag::WSTOPPED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    let deadline = Instant::now() + DEADLINE;
    while !matches!(waitid(Id::Pid(child), look)?, WaitStatus::Stopped(..)) {
        ensure!(Instant::now() < deadline, "{child} does not stop");
        std::thread::yield_now();
    }
    Ok(())
}
