//! Events that servers post to the hook of the fleet (ADR 13). A server is answered once the store has a
//! delivery for every hook of an application that gets the events.

use std::sync::Arc;

use http::{Method, StatusCode, header, request::Parts};
use hyper::body::{Body as _, Incoming as Body};
use tracing::{debug, warn};
use usher_model::callback::HookState;
use usher_runtime::repeated_warnings::RequestWarnings;

use super::server_answer::{HandOverLimits, count_unread, not_taken, unopened, unread};
use crate::{
    control::{current_table::CurrentTable, hooks::HookClient},
    core::{
        admission::{ByteBudget, ByteOwner},
        callbacks::bearer,
        hooks::posted,
    },
    metrics::RequestMetrics,
    server::{
        admission::body::{BodyError, discard, read_small},
        callback_sealer::CallbackSealer,
    },
};

/// Largest event that is read and dropped if it is larger than `callbacks.max_body`, bytes.
const DISCARD_AT_MOST: u64 = 8 << 20;

/// Takes the events of servers.
#[derive(Debug)]
pub(in crate::server) struct EventReceiver {
    pub(in crate::server) addresses: Arc<CallbackSealer>,
    pub(in crate::server) planes: HookClient,
    pub(in crate::server) current: Arc<CurrentTable>,
    pub(in crate::server) limits: HandOverLimits,
    pub(in crate::server) bytes: ByteBudget,
    pub(in crate::server) warnings: RequestWarnings,
    pub(in crate::server) metrics: RequestMetrics,
}

impl EventReceiver {
    /// Takes the events that a server has posted to the address with the state `sealed`.
    ///
    /// # Errors
    /// Returns the status for the server. It sends again after every error but 401.
    pub(super) async fn take(&self, sealed: &str, parts: &Parts, body: Body) -> Result<(), StatusCode> {
        if parts.method != Method::POST {
            return Err(StatusCode::METHOD_NOT_ALLOWED);
        }
        let opened = self.addresses.opened(|key| {
            let state = HookState::open(key, sealed)?;
            // The signature covers the address as the server was given it.
            let url = state.url(key);
            Some((state, url))
        });
        let (HookState { server, raw, .. }, url) = opened.await.map_err(unopened)?;
        let table = self.current.load_full().ok_or(StatusCode::SERVICE_UNAVAILABLE)?;
        // A server that has left the fleet removes the hook after enough answers with 404.
        let secret = table.server(&server).ok_or(StatusCode::NOT_FOUND)?.secret.clone();
        let (size, limits) = (body.size_hint().lower(), self.limits.body);
        if (limits.largest + 1..=DISCARD_AT_MOST).contains(&size) {
            // A server that is refused would send the event again for minutes, and would hold back every
            // event behind it.
            if let Some(held_back) = self.warnings.admit("large event", &server) {
                warn!(%server, size, held_back, "an event is larger than callbacks.max_body and is lost");
            }
            count_unread(BodyError::TooLarge, &self.metrics);
            return discard(body, limits.silence).await.map_err(|error| unread(error, &self.metrics));
        }
        let mut bytes = self.bytes.holder(ByteOwner::Fleet);
        let body =
            read_small(body, limits, &mut bytes).await.map_err(|error| unread(error, &self.metrics))?;
        let form = std::str::from_utf8(&body).map_err(|_| StatusCode::BAD_REQUEST)?;
        let authorization = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let query = parts.uri.query().unwrap_or_default();
        let Some(posted) = posted(&url, form, query, authorization.and_then(bearer), &secret) else {
            if let Some(held_back) = self.warnings.admit("unsigned event", &server) {
                warn!(%server, held_back, "an event is not signed with its server's secret");
            }
            return Err(StatusCode::UNAUTHORIZED);
        };
        let taken = self.planes.accept(&server, raw, posted, self.limits.deadline()).await;
        taken.map_err(|error| {
            debug!(%server, %error, "events of a server are not taken");
            not_taken(error)
        })
    }
}
