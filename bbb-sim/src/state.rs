//! The state that the requests of one server share: its memory, its log of calls, its faults, its
//! callbacks and its hooks.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard},
};

use tokio::sync::Notify;

use crate::{
    callbacks::SharedCallbacks, faults::FaultBoard, hooks::SharedHooks, lock::lock, memory::ServerMemory,
    options::SimOptions, time, view::SimCall,
};

/// Most calls in the log; older ones are dropped.
const CALLS_KEPT: usize = 20_000;

/// The state of one server, apart from its sockets.
#[derive(Debug)]
pub(crate) struct ServerState {
    pub(crate) options: SimOptions,
    pub(crate) name: String,
    /// `http://host:port`, the address for browsers.
    pub(crate) base: String,
    pub(crate) faults: Arc<FaultBoard>,
    pub(crate) callbacks: Arc<SharedCallbacks>,
    pub(crate) hooks: Arc<SharedHooks>,
    /// Wakes the task that carries out ends.
    pub(crate) end_accepted: Notify,
    memory: Mutex<ServerMemory>,
    calls: Mutex<VecDeque<SimCall>>,
}

impl ServerState {
    /// Returns the state of a server that listens at `base`.
    pub(crate) fn new(
        options: SimOptions,
        base: String,
        callbacks: Arc<SharedCallbacks>,
        hooks: Arc<SharedHooks>,
    ) -> Self {
        let address = base.strip_prefix("http://").unwrap_or(&base);
        Self {
            name: options.name.clone().unwrap_or_else(|| address.to_owned()),
            memory: Mutex::new(ServerMemory::new(&options)),
            base,
            options,
            faults: Arc::new(FaultBoard::new()),
            callbacks,
            hooks,
            end_accepted: Notify::new(),
            calls: Mutex::default(),
        }
    }

    /// Locks the memory, after it has removed ended meetings and its changes were reported.
    pub(crate) fn memory(&self) -> MutexGuard<'_, ServerMemory> {
        let mut memory = lock(&self.memory);
        memory.expire(time::now_ms());
        for reported in memory.take_changes() {
            self.callbacks.report(&reported);
            self.hooks.report(&reported);
        }
        memory
    }

    /// Reports the changes that the latest use of the memory made.
    pub(crate) fn report_changes(&self) {
        if self.memory().next_end_ms().is_some() {
            self.end_accepted.notify_one();
        }
    }

    pub(crate) fn log(&self, call: SimCall) {
        let mut calls = lock(&self.calls);
        if calls.len() == CALLS_KEPT {
            calls.pop_front();
        }
        calls.push_back(call);
    }

    pub(crate) fn calls(&self) -> Vec<SimCall> {
        lock(&self.calls).iter().cloned().collect()
    }

    pub(crate) fn forget_calls(&self) {
        lock(&self.calls).clear();
    }
}
