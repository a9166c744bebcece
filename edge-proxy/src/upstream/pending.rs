//! Calls under way, visible while they hang (C5).

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU8, Ordering},
    },
    time::{Duration, Instant},
};

use tokio_util::sync::CancellationToken;
use tracing::warn;
use usher_common::{bbb::call::Call, id::ServerId};

/// Age from which a call is worth a warning.
const SLOW: Duration = Duration::from_secs(2);
/// Time between two looks.
const LOOK: Duration = Duration::from_secs(1);

/// How far a call has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Connecting, sending, or waiting for the head of the answer.
    Request = 0,
    /// Reading the answer.
    Answer = 1,
}

#[derive(Debug)]
struct Entry {
    server: ServerId,
    call: Call,
    begun: Instant,
    phase: Arc<AtomicU8>,
    warned: bool,
}

#[derive(Debug, Default)]
struct Calls {
    next: u64,
    /// By number, so that the first is the oldest.
    under_way: BTreeMap<u64, Entry>,
}

/// Every call to a server that has not ended; clones are the same.
#[derive(Debug, Clone, Default)]
pub struct PendingCalls(Arc<Mutex<Calls>>);

/// One call; it is over when this is dropped.
#[derive(Debug)]
pub(super) struct Ticket {
    calls: PendingCalls,
    number: u64,
    phase: Arc<AtomicU8>,
}

impl Ticket {
    /// Notes how far the call has come.
    pub(super) fn phase(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.calls.lock().under_way.remove(&self.number);
    }
}

impl PendingCalls {
    fn lock(&self) -> MutexGuard<'_, Calls> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a call begins.
    pub(super) fn enter(&self, server: ServerId, call: Call) -> Ticket {
        let phase = Arc::new(AtomicU8::new(Phase::Request as u8));
        let mut calls = self.lock();
        let number = calls.next;
        calls.next += 1;
        let entry = Entry { server, call, begun: Instant::now(), phase: Arc::clone(&phase), warned: false };
        calls.under_way.insert(number, entry);
        Ticket { calls: self.clone(), number, phase }
    }

    /// Returns the age of the oldest call.
    pub fn oldest(&self) -> Option<Duration> {
        self.lock().under_way.values().next().map(|entry| entry.begun.elapsed())
    }

    /// Warns of each call that has become slow, once, until `stop`.
    ///
    /// # Errors
    /// None.
    pub async fn watch(self, stop: CancellationToken) -> anyhow::Result<()> {
        loop {
            tokio::select! {
                () = tokio::time::sleep(LOOK) => self.warn_of_slow(),
                () = stop.cancelled() => return Ok(()),
            }
        }
    }

    fn warn_of_slow(&self) {
        for entry in self.lock().under_way.values_mut() {
            let age = entry.begun.elapsed();
            if age < SLOW {
                return; // those that follow are younger
            }
            if !std::mem::replace(&mut entry.warned, true) {
                let answering = entry.phase.load(Ordering::Relaxed) == Phase::Answer as u8;
                let phase = if answering { "answer" } else { "request" };
                warn!(server = %entry.server, call = entry.call.name(), phase, ?age, "call is pending");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c5_calls_are_known_from_their_start_to_their_end() {
        let calls = PendingCalls::default();
        assert_eq!(calls.oldest(), None);
        let server = ServerId::parse("a").unwrap();
        let first = calls.enter(server.clone(), Call::Create);
        let second = calls.enter(server, Call::End);
        first.phase(Phase::Answer);
        let oldest = calls.lock().under_way.values().next().map(|entry| entry.call);
        assert_eq!(oldest, Some(Call::Create));
        drop(first);
        assert!(calls.oldest().is_some());
        drop(second);
        assert_eq!(calls.oldest(), None);
    }
}
