//! The outside of notifications: the applications, and the webhooks of BBB servers.

use async_trait::async_trait;
use bytes::Bytes;
use usher_bbb::{parse::ListedHook, secret::Secret};
use usher_model::server::Server;

use super::rules::delivery::{DeliveryForm, TryOutcome};
use crate::ports::BbbCallError;

/// A callback as it goes to its application.
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
    /// By which the fleet knows its own deliveries; empty where the key it is made of is not known.
    pub mark: String,
}

impl std::fmt::Debug for OutgoingCallback {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parcel").field("form", &self.form).finish_non_exhaustive()
    }
}

/// Result of one attempt to deliver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryResult {
    /// Outcome, by which the queue decides.
    pub outcome: TryOutcome,
    /// Why, where it was not taken; never a secret or an address.
    pub reason: String,
}

/// The applications, as far as callbacks go.
#[async_trait]
pub trait ApplicationCalls: Send + Sync + 'static {
    /// Tries to deliver a callback, once, by a deadline of its own.
    async fn deliver(&self, parcel: &OutgoingCallback) -> DeliveryResult;
}

/// The webhooks of BBB servers.
#[async_trait]
pub trait ServerHooks: Send + Sync + 'static {
    /// Asks for every hook, ours and others' (`hooks/list`).
    async fn hooks(&self, server: &Server) -> Result<Vec<ListedHook>, BbbCallError>;

    /// Registers an address for all meetings; one that has a hook keeps that.
    async fn create_hook(&self, server: &Server, url: &str, raw: bool) -> Result<(), BbbCallError>;

    /// Takes a hook out by its id there; one that is gone is taken out.
    async fn destroy_hook(&self, server: &Server, id: &str) -> Result<(), BbbCallError>;
}
