//! The client for callbacks: fetches the key that seals callback addresses, and hands callbacks
//! over to a control plane (ADR 10).

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::{Response, Status};
use tracing::{debug, warn};
use usher_bbb::secret::Secret;
use usher_model::{
    callback::{CallbackKey, CallbackKind, CallbackState},
    session_ticket::TicketSecret,
};
use usher_proto::v1::{self, callback_service_client::CallbackServiceClient as Client};

use usher_runtime::{
    clock,
    control_planes::{ControlPlanes, PlaneConnection},
    repeated_warnings::RequestWarnings,
};

use crate::core::callbacks::{CallbackForm, ReceivedCallback, delivery_id};

/// The longest wait until one control plane has written a callback.
const ACCEPT_TIMEOUT: Duration = Duration::from_secs(6);
/// The longest wait for the key from one control plane.
const KEY_TIMEOUT: Duration = Duration::from_secs(2);
/// The interval of fetching a known key again, because a store that was rebuilt has another key.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// The number of former keys that are kept.
const FORMER_KEYS: usize = 8;
/// The pause between two rounds of calls to all control planes.
const PAUSE: Duration = Duration::from_millis(250);
/// The longest pause between two tries while the callback has no share of the space.
const LONG_PAUSE: Duration = Duration::from_secs(4);
/// The largest callback with its envelope that a control plane accepts, in bytes.
const MAX_REQUEST: usize = 2 << 20;

/// The reason why no control plane accepted a callback.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HandOverError {
    /// No control plane accepts the callback now. The caller may try again.
    #[error("no control plane accepts it")]
    Unavailable,
    /// The tenant or the address has as many callbacks waiting as it may have.
    #[error("its tenant or its address has used up its share of the waiting callbacks")]
    NoShare,
    /// The callback is invalid, and another try does not help.
    #[error("the control plane refuses it")]
    Refused,
}

/// The client for callbacks; clones share the keys.
#[derive(Debug, Clone)]
pub struct CallbackClient {
    planes: ControlPlanes,
    keys: Arc<ArcSwap<Keys>>,
    /// The secret of session tickets, which is derived from the fleet's own key.
    tickets: Arc<watch::Sender<Option<Arc<TicketSecret>>>>,
    warnings: RequestWarnings,
}

/// The keys that this edge has received, the fleet's own first. Addresses that were sealed with a
/// lost key still open at this edge.
#[derive(Debug, Clone, Default)]
struct Keys(Vec<(Secret, Arc<CallbackKey>)>);

impl Keys {
    /// Returns the keys with this one as the fleet's own.
    fn with(&self, secret: &Secret, key: &Arc<CallbackKey>) -> Self {
        let former = self.0.iter().filter(|(known, _)| known != secret).take(FORMER_KEYS).cloned();
        Self(std::iter::once((secret.clone(), Arc::clone(key))).chain(former).collect())
    }
}

impl CallbackClient {
    /// Makes a client without keys.
    pub fn new(planes: ControlPlanes) -> Self {
        let (keys, tickets) = (Arc::default(), Arc::new(watch::Sender::new(None)));
        Self { planes, keys, tickets, warnings: RequestWarnings::default() }
    }

    /// Returns a receiver of the secret of session tickets (ADR 29).
    pub fn ticket_secrets(&self) -> watch::Receiver<Option<Arc<TicketSecret>>> {
        self.tickets.subscribe()
    }

    /// Returns the key, fetched if it is unknown; `None` if no control plane returns it.
    pub async fn key(&self) -> Option<Arc<CallbackKey>> {
        match self.known_key() {
            Some(key) => Some(key),
            None => self.fetch_key().await,
        }
    }

    /// Returns the key if it is known already.
    pub fn known_key(&self) -> Option<Arc<CallbackKey>> {
        self.keys.load().0.first().map(|(_, key)| Arc::clone(key))
    }

    /// Waits until a key is known, for at most `patience`, and returns whether one is. It makes no
    /// call: the key is fetched at the start and at intervals, so that no request of a stranger
    /// costs a call to a control plane.
    pub async fn await_key(&self, patience: Duration) -> bool {
        // The secret of session tickets is known as soon as a key is.
        let mut tickets = self.tickets.subscribe();
        let known = tickets.wait_for(Option::is_some);
        matches!(tokio::time::timeout(patience, known).await, Ok(Ok(_)))
    }

    /// Returns the first result of `open`, which is called with each key known so far until it
    /// returns one.
    pub fn by_any_key<T>(&self, mut open: impl FnMut(&CallbackKey) -> Option<T>) -> Option<T> {
        self.keys.load().0.iter().find_map(|(_, key)| open(key))
    }

    /// Fetches the key, which changes if the store was rebuilt.
    pub async fn fetch_key(&self) -> Option<Arc<CallbackKey>> {
        for index in 0..self.planes.len() {
            let mut client = self.client(index);
            let asked = client.get_callback_key(v1::GetCallbackKeyRequest {});
            match tokio::time::timeout(KEY_TIMEOUT, asked).await {
                Ok(Ok(answer)) => {
                    let secret = Secret::new(&answer.into_inner().key);
                    match CallbackKey::parse(&secret) {
                        Ok(key) => return Some(self.learn(&secret, key)),
                        Err(error) => {
                            if let Some(held_back) = self.warnings.admit("key", "") {
                                warn!(%error, held_back, "the callback key cannot be used");
                            }
                        }
                    }
                }
                Ok(Err(status)) => debug!(code = ?status.code(), "no callback key from a control plane"),
                Err(_) => debug!("no callback key in time"),
            }
        }
        None
    }

    fn learn(&self, secret: &Secret, key: CallbackKey) -> Arc<CallbackKey> {
        let key = Arc::new(key);
        let before = self.keys.rcu(|keys| keys.with(secret, &key));
        if before.0.first().is_none_or(|(known, _)| known != secret) {
            self.tickets.send_replace(Some(Arc::new(TicketSecret::derive(secret))));
        }
        if before.0.first().is_some_and(|(known, _)| known != secret) {
            warn!("the fleet has another callback key: its store has lost the one before");
        }
        key
    }

    /// Fetches the key before it is needed, and again at intervals so that an outdated key is not
    /// used for long, until `stop` is cancelled.
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        let looking = async {
            loop {
                let pause = if self.fetch_key().await.is_some() { LOOK_AGAIN } else { PAUSE * 4 };
                tokio::time::sleep(pause).await;
            }
        };
        tokio::select! {
            () = looking => Ok(()),
            () = stop.cancelled() => Ok(()),
        }
    }

    /// Hands a callback over, and tries until `deadline`. On success the callback is in the store.
    ///
    /// # Errors
    /// The callback may have been written. Handing it over again writes it only once.
    pub async fn accept(
        &self,
        state: &CallbackState,
        received: ReceivedCallback,
        deadline: Instant,
    ) -> Result<(), HandOverError> {
        // A server never repeats a callback that it signs, so the edge waits for space for as long as
        // the server waits. Other callbacks are repeated, or were made by anybody.
        let is_signed = received.form != CallbackForm::Get;
        let request = accept_request(state, received);
        let mut pause = PAUSE;
        loop {
            let mut failure = HandOverError::Unavailable;
            for index in 0..self.planes.len() {
                let left = deadline.saturating_duration_since(clock::now());
                let mut client = self.client(index);
                let asked =
                    tokio::time::timeout(left.min(ACCEPT_TIMEOUT), client.accept_callback(request.clone()));
                let answer: Result<Response<_>, Status> =
                    asked.await.unwrap_or_else(|_| Err(Status::deadline_exceeded("no answer in time")));
                match answer {
                    Ok(_) => return Ok(()),
                    Err(status) if status.code() == tonic::Code::InvalidArgument => {
                        let reason = status.message();
                        if let Some(held_back) = self.warnings.admit("refused", &state.meeting.tenant) {
                            warn!(reason, held_back, "a callback is refused");
                        }
                        return Err(HandOverError::Refused);
                    }
                    // Every replica counts the same callbacks, so no other one is asked.
                    Err(status) if status.code() == tonic::Code::ResourceExhausted => {
                        debug!(reason = status.message(), "a callback has no share");
                        failure = HandOverError::NoShare;
                        break;
                    }
                    Err(status) => debug!(code = ?status.code(), "a control plane did not take a callback"),
                }
            }
            if failure == HandOverError::NoShare {
                pause = (pause * 2).min(LONG_PAUSE);
            }
            let gives_up = failure == HandOverError::NoShare && !is_signed;
            if gives_up || clock::now() + pause >= deadline {
                return Err(failure);
            }
            tokio::time::sleep(pause).await;
        }
    }

    fn client(&self, index: usize) -> Client<PlaneConnection> {
        Client::new(self.planes.nth(index).connection.clone()).max_encoding_message_size(MAX_REQUEST)
    }
}

fn accept_request(state: &CallbackState, received: ReceivedCallback) -> v1::AcceptCallbackRequest {
    let kind = match state.kind {
        CallbackKind::Ended => v1::CallbackKind::Ended,
        CallbackKind::EndedMeta => v1::CallbackKind::EndedMeta,
        CallbackKind::RecordingReady => v1::CallbackKind::RecordingReady,
        CallbackKind::Analytics => v1::CallbackKind::Analytics,
        CallbackKind::Other => v1::CallbackKind::Other,
        CallbackKind::Webhook => v1::CallbackKind::Webhook,
    };
    let form = match received.form {
        CallbackForm::Get => v1::CallbackForm::Get,
        CallbackForm::SignedForm => v1::CallbackForm::SignedForm,
        CallbackForm::BearerJson => v1::CallbackForm::BearerJson,
    };
    v1::AcceptCallbackRequest {
        id: delivery_id(state, &received),
        key: Some((&state.meeting).into()),
        server_id: state.server.to_string(),
        kind: kind.into(),
        form: form.into(),
        url: received.url,
        body: received.body.into(),
    }
}
