//! SIGTERM and SIGINT: the first signal requests an orderly stop, the second stops at once (style P16).

use std::{future::Future, io};

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The error of work that a signal interrupted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("stopped at once")]
pub struct StoppedAtOnce;

/// The signals that end a program.
#[derive(Debug)]
pub struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    /// Begins to listen. From now on a signal no longer ends the process automatically.
    pub fn listen() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits until the next signal arrives.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// Waits until the work ends. A signal drops the work.
    ///
    /// # Errors
    /// A signal arrives before the work ends.
    pub async fn or<T>(&mut self, work: impl Future<Output = T>) -> Result<T, StoppedAtOnce> {
        tokio::select! {
            done = work => Ok(done),
            () = self.next() => Err(StoppedAtOnce),
        }
    }
}
