//! The webhooks application of one server: its hooks, the events to send, and the requests that were
//! sent.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard},
};

use tokio::sync::mpsc;
use usher_bbb::secret::Secret;

use super::{HookRegistry, ServerEvent, SimHook, SimHookPost};
use crate::{
    lock::lock,
    memory::TimedChange,
    options::{HookOptions, SimOptions},
};

/// Most requests in the log; older ones are dropped.
const POSTS_KEPT: usize = 20_000;

/// One event for one hook.
#[derive(Debug)]
pub(crate) struct PendingEvent {
    pub(super) hook: SimHook,
    /// The id of the event.
    pub(super) event: &'static str,
    /// The event as JSON, mapped or raw as the hook requires.
    pub(super) text: String,
}

/// The receiving end of the queue of events.
pub(crate) type QueuedEvents = mpsc::UnboundedReceiver<PendingEvent>;

/// The hooks of one server, and the events that are on their way to them.
#[derive(Debug)]
pub(crate) struct SharedHooks {
    pub(super) options: HookOptions,
    pub(super) secret: Secret,
    /// `http://host:port`, the address of playbacks.
    base: String,
    registry: Mutex<HookRegistry>,
    pending: mpsc::UnboundedSender<PendingEvent>,
    posts: Mutex<VecDeque<SimHookPost>>,
}

impl SharedHooks {
    /// Returns the webhooks application of a server at `base`, and the queue of its events.
    pub(crate) fn new(options: &SimOptions, base: &str) -> (Self, QueuedEvents) {
        let (pending, queued) = mpsc::unbounded_channel();
        let hooks = Self {
            options: options.hooks.clone(),
            secret: options.secret.clone(),
            base: base.to_owned(),
            registry: Mutex::new(HookRegistry::new(&options.hooks, options.version)),
            pending,
            posts: Mutex::default(),
        };
        (hooks, queued)
    }

    /// Locks the hooks.
    pub(crate) fn registry(&self) -> MutexGuard<'_, HookRegistry> {
        lock(&self.registry)
    }

    /// Queues the event of a change for each hook that receives it.
    pub(crate) fn report(&self, reported: &TimedChange) {
        let registry = self.registry();
        if registry.hooks().is_empty() {
            return;
        }
        let event = ServerEvent::of(reported, &self.base);
        for hook in registry.receivers_of(&event) {
            let text = if hook.raw { event.raw.clone() } else { event.mapped.clone() };
            // Sending fails only while the server stops; then the event is dropped.
            let _ = self.pending.send(PendingEvent { hook: hook.clone(), event: event.id, text });
        }
    }

    /// Returns the `domain` of the server in its events.
    pub(super) fn domain(&self) -> &str {
        let address = self.base.strip_prefix("http://").unwrap_or(&self.base);
        self.options.domain.as_deref().unwrap_or(address)
    }

    /// Returns the latest requests to hooks, oldest first.
    pub(crate) fn posts(&self) -> Vec<SimHookPost> {
        lock(&self.posts).iter().cloned().collect()
    }

    pub(super) fn record(&self, post: SimHookPost) {
        let mut posts = lock(&self.posts);
        if posts.len() == POSTS_KEPT {
            posts.pop_front();
        }
        posts.push_back(post);
    }
}
