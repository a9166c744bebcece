//! What a connection is doing, as its stream and its service see it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use super::connection_policy::Seen;

/// Kept by the stream and the service of one connection, which take turns in one task: nothing here
/// orders anything.
#[derive(Debug)]
pub(in crate::server) struct Pulse {
    opened: Instant,
    busy: AtomicU32,
    begun: AtomicBool,
    served: AtomicBool,
    /// Milliseconds from `opened`.
    since: AtomicU64,
    /// The stream is to look whether something has come that was not read.
    asked: AtomicBool,
    unread: AtomicBool,
    refused: AtomicBool,
}

impl Pulse {
    pub(super) fn new() -> Self {
        Self {
            opened: Instant::now(),
            busy: AtomicU32::new(0),
            begun: AtomicBool::new(false),
            served: AtomicBool::new(false),
            since: AtomicU64::new(0),
            asked: AtomicBool::new(false),
            unread: AtomicBool::new(false),
            refused: AtomicBool::new(false),
        }
    }

    /// Notes that bytes were read.
    pub(super) fn heard(&self) {
        if self.busy.load(Relaxed) == 0 && !self.begun.swap(true, Relaxed) {
            self.mark();
        }
    }

    /// Notes that a request is there, whole or with its body on the way.
    pub(in crate::server) fn request(&self) {
        self.begun.store(false, Relaxed);
        self.served.store(true, Relaxed);
    }

    /// Notes that an answer takes its time; it is over when what is returned is dropped.
    pub(in crate::server) fn answering(self: Arc<Self>) -> Answering {
        self.busy.fetch_add(1, Relaxed);
        Answering(self)
    }

    /// Notes that an answer is there.
    pub(in crate::server) fn mark(&self) {
        let since = self.opened.elapsed().as_millis();
        self.since.store(u64::try_from(since).unwrap_or(u64::MAX), Relaxed);
    }

    pub(super) fn seen(&self, closing: Option<Instant>) -> Seen {
        Seen {
            busy: self.busy.load(Relaxed) > 0,
            begun: self.begun.load(Relaxed),
            served: self.served.load(Relaxed),
            since: self.opened + Duration::from_millis(self.since.load(Relaxed)),
            closing,
        }
    }

    /// Notes that the last request could not be read, and that its client was told so.
    pub(super) fn refuse(&self) {
        self.refused.store(true, Relaxed);
    }

    pub(super) fn is_refused(&self) -> bool {
        self.refused.load(Relaxed)
    }

    /// Asks the stream to look, the next time it is read from, for what has come and was not read.
    pub(super) fn ask(&self) {
        self.unread.store(false, Relaxed);
        self.asked.store(true, Relaxed);
    }

    pub(super) fn is_asked(&self) -> bool {
        self.asked.load(Relaxed)
    }

    pub(super) fn answer(&self, unread: bool) {
        self.unread.store(unread, Relaxed);
    }

    /// Returns what the stream found.
    pub(super) fn take_unread(&self) -> bool {
        self.asked.store(false, Relaxed);
        self.unread.swap(false, Relaxed)
    }
}

/// A request that is being answered.
#[derive(Debug)]
pub(in crate::server) struct Answering(Arc<Pulse>);

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Relaxed);
        self.0.mark();
    }
}
