//! The state that the parts of one server share: its memory, its log of calls and its faults.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use usher_bbb::call::ApiCall;

use crate::{
    callbacks::{PendingCallback, SimCallback},
    calls::{self, ApiAnswer, CallContext},
    faults::{ActiveFaults, CallEffect, ConnectionGate, FaultKind, SimFault},
    hooks::{HookRegistry, HooksVersion, PendingEvent, SimHook, SimHookPost},
    memory::ServerMemory,
    options::SimOptions,
    request::ApiRequest,
    time,
    view::SimCall,
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
    memory: Mutex<ServerMemory>,
    calls: Mutex<VecDeque<SimCall>>,
    faults: Mutex<ActiveFaults>,
    /// Notifies the listener of changed faults.
    pub(crate) faults_changed: watch::Sender<u64>,
    /// The current treatment of connections.
    pub(crate) gate: watch::Sender<ConnectionGate>,
    /// Cancelled to release the connections and calls that hang.
    release: Mutex<CancellationToken>,
    pending_callbacks: mpsc::UnboundedSender<PendingCallback>,
    callbacks: Mutex<Vec<SimCallback>>,
    hooks: Mutex<HookRegistry>,
    pending_events: mpsc::UnboundedSender<PendingEvent>,
    posts: Mutex<Vec<SimHookPost>>,
}

impl ServerState {
    pub(crate) fn new(
        options: SimOptions,
        address: std::net::SocketAddr,
        pending_callbacks: mpsc::UnboundedSender<PendingCallback>,
        pending_events: mpsc::UnboundedSender<PendingEvent>,
    ) -> Self {
        let base = format!("http://{address}");
        Self {
            name: options.name.clone().unwrap_or_else(|| address.to_string()),
            memory: Mutex::new(ServerMemory::new(&options, &base)),
            base,
            hooks: Mutex::new(HookRegistry::new(&options.hooks, options.version)),
            pending_events,
            posts: Mutex::default(),
            options,
            calls: Mutex::default(),
            faults: Mutex::default(),
            faults_changed: watch::Sender::new(0),
            gate: watch::Sender::new(ConnectionGate::Open),
            release: Mutex::default(),
            pending_callbacks,
            callbacks: Mutex::default(),
        }
    }

    /// Locks the memory, after it has removed ended meetings and queued their callbacks and events.
    pub(crate) fn memory(&self) -> MutexGuard<'_, ServerMemory> {
        let mut memory = lock(&self.memory);
        memory.expire(time::now_ms());
        for callback in memory.take_callbacks() {
            // Sending fails only while the server stops; then the callback is dropped.
            let _ = self.pending_callbacks.send(callback);
        }
        let events = memory.take_events();
        if !events.is_empty() {
            let hooks = lock(&self.hooks);
            for event in &events {
                for hook in hooks.receivers_of(event) {
                    let text = if hook.raw { event.raw.clone() } else { event.mapped.clone() };
                    // Sending fails only while the server stops; then the event is dropped.
                    let _ =
                        self.pending_events.send(PendingEvent { hook: hook.clone(), event: event.id, text });
                }
            }
        }
        memory
    }

    pub(crate) fn hooks(&self) -> Vec<SimHook> {
        lock(&self.hooks).hooks().to_vec()
    }

    pub(crate) fn has_hook(&self, id: &str) -> bool {
        lock(&self.hooks).knows(id)
    }

    pub(crate) fn remove_hook(&self, id: &str) {
        lock(&self.hooks).destroy(id);
    }

    pub(crate) fn forget_hooks(&self) {
        lock(&self.hooks).forget();
    }

    pub(crate) fn hooks_version(&self) -> HooksVersion {
        lock(&self.hooks).version()
    }

    /// Returns the `domain` of this server in the events of its webhooks.
    pub(crate) fn hooks_domain(&self) -> &str {
        let address = self.base.strip_prefix("http://").unwrap_or(&self.base);
        self.options.hooks.domain.as_deref().unwrap_or(address)
    }

    pub(crate) fn record_post(&self, post: SimHookPost) {
        lock(&self.posts).push(post);
    }

    pub(crate) fn hook_posts(&self) -> Vec<SimHookPost> {
        drop(self.memory()); // the lock first queues what is due
        lock(&self.posts).clone()
    }

    pub(crate) fn record_callback(&self, callback: SimCallback) {
        lock(&self.callbacks).push(callback);
    }

    pub(crate) fn callbacks(&self) -> Vec<SimCallback> {
        drop(self.memory()); // the lock first queues what is due
        lock(&self.callbacks).clone()
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

    /// Carries out a request and returns its answer.
    pub(crate) fn answer(&self, request: &ApiRequest) -> ApiAnswer {
        let answer = calls::answer(
            &mut CallContext {
                memory: &mut self.memory(),
                hooks: &mut lock(&self.hooks),
                options: &self.options,
                base: &self.base,
                now_ms: time::now_ms(),
            },
            request,
        );
        drop(self.memory()); // queues the callbacks and events of the request
        answer
    }

    pub(crate) fn set_fault(&self, fault: SimFault) {
        let frozen = (fault.kind == FaultKind::FrozenList).then(|| calls::meetings(&self.memory()));
        lock(&self.faults).set(fault, frozen, Instant::now());
        self.faults_changed.send_modify(|changes| *changes += 1);
    }

    /// Clears the faults of one kind, or all, and releases the connections and calls that hang.
    pub(crate) fn clear_faults(&self, kind: Option<&str>) {
        lock(&self.faults).clear(kind);
        std::mem::take(&mut *lock(&self.release)).cancel();
        self.faults_changed.send_modify(|changes| *changes += 1);
    }

    pub(crate) fn faults(&self) -> Vec<SimFault> {
        lock(&self.faults).list(Instant::now())
    }

    pub(crate) fn effect(&self, call: Option<ApiCall>) -> CallEffect {
        lock(&self.faults).effect(call, Instant::now())
    }

    pub(crate) fn wanted_gate(&self) -> (ConnectionGate, Option<Instant>) {
        lock(&self.faults).gate(Instant::now())
    }

    pub(crate) fn count_held(&self) {
        lock(&self.faults).count_held(Instant::now());
    }

    /// Returns the token that cancels the wait of hanging connections and calls.
    pub(crate) fn release(&self) -> CancellationToken {
        lock(&self.release).clone()
    }
}

/// Locks a mutex, poisoned or not: each change under these locks is one statement, so a panic
/// leaves the data whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
