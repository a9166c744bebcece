//! The activity of one connection, as its stream and its service see it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use usher_runtime::clock;

use super::{connection_policy::ConnectionState, request_handler::UnreadableRequest};

/// Notes of the stream and the service of one connection. Both run in the connection's task, one after
/// the other, so that relaxed atomics are enough: they only make the notes shareable.
#[derive(Debug)]
pub(super) struct ConnectionActivity {
    opened: Instant,
    /// Requests that are being answered.
    busy: AtomicU32,
    /// A part of the next request has come.
    begun: AtomicBool,
    /// A request has been received whole.
    served: AtomicBool,
    /// Time of the last change, in milliseconds from `opened`.
    since: AtomicU64,
    /// The stream is to look for bytes that have come and were not read.
    look_requested: AtomicBool,
    /// The stream has found such bytes.
    unread: AtomicBool,
    /// The reason why the last request could not be read, counted from 1; 0 if it could.
    refused: AtomicU8,
    /// Bytes for the client wait until it reads.
    unwritten: AtomicBool,
}

impl ConnectionActivity {
    /// Returns the notes about a connection that was just opened.
    pub(super) fn new() -> Self {
        Self {
            opened: clock::now(),
            busy: AtomicU32::new(0),
            begun: AtomicBool::new(false),
            served: AtomicBool::new(false),
            since: AtomicU64::new(0),
            look_requested: AtomicBool::new(false),
            unread: AtomicBool::new(false),
            refused: AtomicU8::new(0),
            unwritten: AtomicBool::new(false),
        }
    }

    /// Notes that bytes were read.
    pub(super) fn heard(&self) {
        if self.busy.load(Relaxed) == 0 && !self.begun.swap(true, Relaxed) {
            self.mark();
        }
    }

    /// Notes that a request has come, whole or with its body on the way.
    pub(super) fn request(&self) {
        self.begun.store(false, Relaxed);
        self.served.store(true, Relaxed);
    }

    /// Notes that an answer takes its time, until the returned guard is dropped.
    pub(super) fn answering(self: Arc<Self>) -> AnswerInProgress {
        self.busy.fetch_add(1, Relaxed);
        AnswerInProgress(self)
    }

    /// Notes the time of a change: an answer is ready, or a request has begun.
    pub(super) fn mark(&self) {
        let since = clock::now().saturating_duration_since(self.opened).as_millis();
        self.since.store(u64::try_from(since).unwrap_or(u64::MAX), Relaxed);
    }

    /// Returns the state of the connection, which is being closed since `closing`.
    pub(super) fn state(&self, closing: Option<Instant>) -> ConnectionState {
        ConnectionState {
            busy: self.busy.load(Relaxed) > 0,
            begun: self.begun.load(Relaxed),
            served: self.served.load(Relaxed),
            since: self.opened + Duration::from_millis(self.since.load(Relaxed)),
            closing,
        }
    }

    /// Notes why the last request could not be read and was refused.
    pub(super) fn refuse(&self, request: UnreadableRequest) {
        self.refused.store(request as u8 + 1, Relaxed);
    }

    /// Returns whether the last request could not be read.
    pub(super) fn is_refused(&self) -> bool {
        self.refused().is_some()
    }

    /// Returns why the last request could not be read; `None` if it could.
    pub(super) fn refused(&self) -> Option<UnreadableRequest> {
        let number = self.refused.load(Relaxed).checked_sub(1)?;
        UnreadableRequest::ALL.into_iter().find(|request| *request as u8 == number)
    }

    /// Notes whether bytes for the client wait until it reads.
    pub(super) fn note_unwritten(&self, unwritten: bool) {
        self.unwritten.store(unwritten, Relaxed);
    }

    /// Returns whether bytes for the client wait until it reads.
    pub(super) fn is_unwritten(&self) -> bool {
        self.unwritten.load(Relaxed)
    }

    /// Requests that the stream looks for unread bytes the next time that it is read from.
    pub(super) fn request_look(&self) {
        self.unread.store(false, Relaxed);
        self.look_requested.store(true, Relaxed);
    }

    /// Returns whether the stream is to look for unread bytes.
    pub(super) fn is_look_requested(&self) -> bool {
        self.look_requested.load(Relaxed)
    }

    /// Notes whether the stream has found unread bytes.
    pub(super) fn note_unread(&self, unread: bool) {
        self.unread.store(unread, Relaxed);
    }

    /// Returns whether the stream has found unread bytes, and withdraws the request to look.
    pub(super) fn take_unread(&self) -> bool {
        self.look_requested.store(false, Relaxed);
        self.unread.swap(false, Relaxed)
    }
}

/// A request that is being answered.
#[derive(Debug)]
pub(super) struct AnswerInProgress(Arc<ConnectionActivity>);

impl Drop for AnswerInProgress {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Relaxed);
        self.0.mark();
    }
}
