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

/// The limit of the bytes of remembered bodies: a crowd of large documents must not fill the memory.
const BODY_BYTES_KEPT: usize = 16 << 20;

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
    calls: Mutex<RecentCalls>,
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
        lock(&self.calls).push(call);
    }

    pub(crate) fn calls(&self) -> Vec<SimCall> {
        lock(&self.calls).calls.iter().cloned().collect()
    }

    pub(crate) fn forget_calls(&self) {
        *lock(&self.calls) = RecentCalls::default();
    }
}

/// The latest calls, with a limit of their number and of the bytes of their bodies.
#[derive(Debug, Default)]
struct RecentCalls {
    calls: VecDeque<SimCall>,
    body_bytes: usize,
}

impl RecentCalls {
    fn push(&mut self, call: SimCall) {
        self.body_bytes += call.body.len();
        self.calls.push_back(call);
        // The latest call is kept, also if it alone exceeds the limit.
        while self.calls.len() > CALLS_KEPT || (self.body_bytes > BODY_BYTES_KEPT && self.calls.len() > 1) {
            self.body_bytes -= self.calls.pop_front().map_or(0, |oldest| oldest.body.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn call(bytes: usize) -> SimCall {
        SimCall {
            name: "create".to_owned(),
            method: "POST".to_owned(),
            query: String::new(),
            headers: http::HeaderMap::new(),
            body: Bytes::from(vec![0; bytes]),
            at_ms: 0,
        }
    }

    #[test]
    fn large_bodies_are_forgotten_before_they_fill_the_memory() {
        let mut recent = RecentCalls::default();
        for _ in 0..40 {
            recent.push(call(1 << 20));
        }
        assert_eq!((recent.calls.len(), recent.body_bytes), (16, BODY_BYTES_KEPT));
        recent.push(call(BODY_BYTES_KEPT + 1));
        assert_eq!(recent.calls.len(), 1, "the latest call is kept");
        for _ in 0..=CALLS_KEPT {
            recent.push(call(0));
        }
        assert_eq!((recent.calls.len(), recent.body_bytes), (CALLS_KEPT, 0));
    }
}
