//! The faults of one running server: requests set and clear them, and the listener follows them.

use std::{sync::Mutex, time::Instant};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use usher_bbb::call::ApiCall;

use super::{
    SimFault,
    active::{ActiveFaults, CallEffect, ConnectionGate},
};
use crate::lock::lock;

/// The faults of one server, shared by its listener and its requests.
#[derive(Debug)]
pub(crate) struct FaultBoard {
    faults: Mutex<ActiveFaults>,
    /// Notifies the listener of changed faults.
    changed: watch::Sender<u64>,
    /// The current treatment of connections.
    gate: watch::Sender<ConnectionGate>,
    /// Cancelled to release the connections and calls that hang.
    release: Mutex<CancellationToken>,
}

impl FaultBoard {
    pub(crate) fn new() -> Self {
        Self {
            faults: Mutex::default(),
            changed: watch::Sender::new(0),
            gate: watch::Sender::new(ConnectionGate::Open),
            release: Mutex::default(),
        }
    }

    /// Sets a fault; `frozen` is the list that a frozen list repeats.
    pub(crate) fn set(&self, fault: SimFault, frozen: Option<String>) {
        lock(&self.faults).set(fault, frozen, Instant::now());
        self.changed.send_modify(|changes| *changes += 1);
    }

    /// Clears the faults of one kind, or all, and releases the connections and calls that hang.
    pub(crate) fn clear(&self, kind: Option<&str>) {
        lock(&self.faults).clear(kind);
        std::mem::take(&mut *lock(&self.release)).cancel();
        self.changed.send_modify(|changes| *changes += 1);
    }

    pub(crate) fn list(&self) -> Vec<SimFault> {
        lock(&self.faults).list(Instant::now())
    }

    pub(crate) fn effect(&self, call: Option<ApiCall>) -> CallEffect {
        lock(&self.faults).effect(call, Instant::now())
    }

    /// Returns the token that cancels the wait of hanging connections and calls.
    pub(crate) fn release(&self) -> CancellationToken {
        lock(&self.release).clone()
    }

    /// Counts one connection that was accepted and left unread.
    pub(crate) fn count_held(&self) {
        lock(&self.faults).count_held(Instant::now());
    }

    /// Returns the treatment of connections that the faults require, and when it may change without
    /// a new fault.
    pub(crate) fn wanted_gate(&self) -> (ConnectionGate, Option<Instant>) {
        lock(&self.faults).gate(Instant::now())
    }

    /// Returns the treatment of connections that the listener has applied.
    pub(crate) fn applied_gate(&self) -> ConnectionGate {
        *self.gate.borrow()
    }

    /// Notes the treatment of connections that the listener has applied.
    pub(crate) fn apply_gate(&self, gate: ConnectionGate) {
        self.gate.send_replace(gate);
    }

    /// Returns a receiver that shows each change of the faults.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Waits until the listener has applied the current faults. If the server stops, no listener is
    /// left to wait for, and the wait ends with its caller.
    pub(crate) async fn settle(&self) {
        let mut gate = self.gate.subscribe();
        let wanted = |gate: &ConnectionGate| *gate == self.wanted_gate().0;
        // `wait_for` cannot fail: `self` holds the sender.
        let _settled = gate.wait_for(wanted).await;
    }
}
