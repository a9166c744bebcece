//! The ports of notifications: the applications, and the webhooks of BBB servers.

use async_trait::async_trait;
use bytes::Bytes;
use usher_bbb::{parse::ListedHook, secret::Secret};
use usher_model::server::Server;

use super::rules::delivery::{DeliveryForm, TryOutcome};
use crate::ports::BbbCallError;

/// A callback as it is sent to its application.
#[derive(Clone)]
pub struct OutgoingCallback {
    /// Address of the application, with its query.
    pub url: String,
    /// Form of the request.
    pub form: DeliveryForm,
    /// Body, as the form needs it.
    pub body: Bytes,
    /// Secrets of the tenant that may sign it, in the order of preference.
    pub secrets: Vec<Secret>,
    /// Wall clock, milliseconds since 1970.
    pub now_ms: i64,
    /// The mark by which the fleet recognizes its own deliveries; empty while the callback key is
    /// unknown.
    pub mark: String,
}

impl std::fmt::Debug for OutgoingCallback {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parcel").field("form", &self.form).finish_non_exhaustive()
    }
}

/// The result of one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryResult {
    /// The meaning of the result for the delivery.
    pub outcome: TryOutcome,
    /// The reason of a failure; never contains a secret or an address.
    pub reason: String,
}

/// Calls to applications.
#[async_trait]
pub trait ApplicationCalls: Send + Sync + 'static {
    /// Attempts to deliver a callback once, with a deadline of its own.
    async fn deliver(&self, parcel: &OutgoingCallback) -> DeliveryResult;
}

/// The webhooks of BBB servers.
#[async_trait]
pub trait ServerHooks: Send + Sync + 'static {
    /// Lists every hook of a server, also hooks of other programs (`hooks/list`).
    async fn hooks(&self, server: &Server) -> Result<Vec<ListedHook>, BbbCallError>;

    /// Registers an address for all meetings; the hook of a registered address remains.
    async fn create_hook(&self, server: &Server, url: &str, raw: bool) -> Result<(), BbbCallError>;

    /// Removes a hook by its id on the server. A missing hook counts as removed.
    async fn destroy_hook(&self, server: &Server, id: &str) -> Result<(), BbbCallError>;
}
