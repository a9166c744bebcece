//! Observes the history: the commits of the store, the meetings of every server, and the answers to
//! every client. It keeps the trace of the history and passes the observations to the checker.

mod checker;
mod creations;
mod figures;
mod health_changes;
mod instances;
mod joins;
mod rest;
mod store_fold;
mod trace;

use std::sync::{Mutex, MutexGuard, PoisonError};

use usher_control_plane::{core::policy::Policy, ports::ChangeBatch};
use usher_model::{
    id::{InternalMeetingId, ServerId},
    meeting::MeetingKey,
};

pub(crate) use self::{
    checker::{InvariantChecker, Violation, ViolationKind},
    creations::{CreateAnswer, mark_of},
    figures::HistoryFigures,
    instances::EndCause,
    trace::HistoryTrace,
};

pub(crate) struct HistoryWitness {
    checker: Mutex<InvariantChecker>,
    trace: Mutex<HistoryTrace>,
}

impl HistoryWitness {
    /// Returns a witness of a history whose replicas follow `policy`; it keeps `kept` lines of the
    /// trace.
    pub(crate) fn new(policy: Policy, kept: usize) -> Self {
        Self {
            checker: Mutex::new(InvariantChecker::new(policy)),
            trace: Mutex::new(HistoryTrace::new(kept)),
        }
    }

    pub(crate) fn checker(&self) -> MutexGuard<'_, InvariantChecker> {
        self.checker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn trace(&self) -> MutexGuard<'_, HistoryTrace> {
        self.trace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes a line into the trace.
    pub(crate) fn note(&self, line: &str) {
        self.trace().note(line);
    }

    /// Returns a number that is equal for equal histories, and the number of trace lines.
    pub(crate) fn fingerprint(&self) -> (u64, u64) {
        self.trace().fingerprint()
    }

    /// Returns the last lines before a violation, and a few after it: those that concern its
    /// meeting, and the faults around it.
    pub(crate) fn story(&self, violation: &Violation, most: usize) -> String {
        let id = violation.meeting.as_ref().map(|key| key.meeting.as_str());
        self.trace().story(id, violation.at, most)
    }

    pub(crate) fn committed(&self, batch: &ChangeBatch) {
        let lines = self.checker().committed(batch);
        let mut trace = self.trace();
        for line in &lines {
            trace.note(line);
        }
    }

    pub(crate) fn store_lost(&self) {
        self.note("! the store has lost everything");
        self.checker().store_lost();
    }

    pub(crate) fn instance_created(&self, key: &MeetingKey, server: &ServerId, internal: &InternalMeetingId) {
        self.note(&format!("{internal} runs"));
        self.checker().instance_created(key, server, internal);
    }

    pub(crate) fn instance_ended(&self, internal: &InternalMeetingId, cause: &EndCause) {
        self.note(&format!("{internal} is over: {cause:?}"));
        self.checker().instance_ended(internal, cause);
    }

    /// Records that a call to a server, or a poll, has failed.
    pub(crate) fn call_failed(&self, server: &ServerId) {
        self.checker().call_failed(server);
    }

    /// Records that a client's create was answered with success.
    pub(crate) fn acknowledged(&self, key: &MeetingKey, internal: &InternalMeetingId) {
        self.note(&format!("{key}: a client has {internal}"));
        self.checker().acknowledged(internal);
    }

    /// Judges the final answer to a tool's request to create the resource at `key`.
    pub(crate) fn create_answered(&self, key: &str, tool: u64, answer: &CreateAnswer) {
        self.note(&format!("{key}: tool {tool} is told {answer:?}"));
        let mut checker = self.checker();
        if let Err(text) = checker.creations.judge(key, tool, answer) {
            checker.fail(ViolationKind::Lie, None, text);
        }
    }

    /// Records that an application requests the end of a meeting. Until the request has ended, it
    /// may concern any instance of the id that begins meanwhile.
    pub(crate) fn end_requested(&self, key: &MeetingKey) -> PendingEndRequest<'_> {
        self.note(&format!("{key}: a client requests its end"));
        self.checker().end_requested(key);
        PendingEndRequest { witness: self, key: key.clone() }
    }

    /// Records that an operator frees an id.
    pub(crate) fn operator_supersedes(&self, key: &MeetingKey) {
        self.note(&format!("{key}: an operator supersedes it"));
        self.checker().operator_supersedes(key);
    }

    /// Records that a replica begins to end an instance; `leader` is the leader by the state of the
    /// store.
    pub(crate) fn end_sent(&self, by: &str, leader: Option<(String, String)>, internal: &InternalMeetingId) {
        self.note(&format!("{internal}: {by} ends it"));
        let leads = leader.is_some_and(|(candidate, _)| candidate == by);
        self.checker().end_sent(by, leads, internal);
    }
}

/// An application's `end` that is in progress.
pub(crate) struct PendingEndRequest<'a> {
    witness: &'a HistoryWitness,
    key: MeetingKey,
}

impl PendingEndRequest<'_> {
    /// Records that the client's `end` was answered with SUCCESS.
    pub(crate) fn acknowledged(&self) {
        self.witness.note(&format!("{}: a client's end was acknowledged", self.key));
        self.witness.checker().end_acknowledged(&self.key);
    }
}

impl Drop for PendingEndRequest<'_> {
    fn drop(&mut self) {
        self.witness.checker().end_request_finished(&self.key);
    }
}
