//! SIGTERM and SIGINT: the first asks to stop, the second stops at once.

use std::{future::Future, io};

use tokio::signal::unix::{Signal, SignalKind, signal};

/// A signal came before the work was done.
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
    /// Begins to listen; from now on a signal ends nothing by itself.
    pub fn listen() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for the next signal.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// Waits for work to end; a signal gives it up.
    ///
    /// # Errors
    /// A signal came first.
    pub async fn or<T>(&mut self, work: impl Future<Output = T>) -> Result<T, StoppedAtOnce> {
        tokio::select! {
            done = work => Ok(done),
            () = self.next() => Err(StoppedAtOnce),
        }
    }
}
