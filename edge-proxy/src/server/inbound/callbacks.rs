//! Callbacks of BBB servers (ADR 10). A server is answered once the callback is in the store, or may call
//! again. BBB servers send an end callback again for some minutes, and other callbacks never (wire-contract
//! 6), so that the edge itself tries for as long as a server waits.

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use hyper::body::{Body as _, Incoming as Body};
use tracing::{debug, warn};
use usher_bbb::secret::Secret;
use usher_model::{
    callback::{CallbackState, HookState},
    id::ServerId,
};
use usher_runtime::repeated_warnings::RequestWarnings;

use super::{
    events::EventReceiver,
    hand_overs::HandOverShares,
    server_answer::{HandOverLimits, answer, not_taken, unopened, unread},
};
use crate::{
    control::{
        callbacks::{CallbackClient, HandOverError},
        current_table::CurrentTable,
    },
    core::{
        admission::{ByteBudget, ByteOwner, ShedReason},
        callbacks::{
            CallbackForm, CallbackRejection, CallbackRequest, ReceivedCallback, bearer, receive, sealed,
        },
    },
    metrics::RequestMetrics,
    server::{
        admission::body::{BodyError, read_small},
        callback_sealer::CallbackSealer,
        transport::HttpResponse,
    },
};

/// Takes the callbacks of servers.
#[derive(Debug)]
pub(in crate::server) struct CallbackReceiver {
    pub(in crate::server) addresses: Arc<CallbackSealer>,
    pub(in crate::server) planes: CallbackClient,
    pub(in crate::server) current: Arc<CurrentTable>,
    pub(in crate::server) events: EventReceiver,
    pub(in crate::server) limits: HandOverLimits,
    pub(in crate::server) bytes: ByteBudget,
    pub(in crate::server) shares: HandOverShares,
    pub(in crate::server) warnings: RequestWarnings,
    pub(in crate::server) metrics: RequestMetrics,
}

impl CallbackReceiver {
    /// Returns whether a path is an address of callbacks.
    pub(in crate::server) fn is_address(path: &str) -> bool {
        sealed(path).is_some()
    }

    /// Returns whether a request is a delivery of this cell itself.
    pub(super) fn is_own_delivery(&self, request: &Request<Body>) -> bool {
        self.addresses.is_own_delivery(request.headers())
    }

    /// Answers a request to an address of callbacks.
    pub(in crate::server) async fn answer(&self, request: Request<Body>) -> HttpResponse {
        let status = match self.take(request).await {
            Ok(()) => StatusCode::OK,
            Err(status) => status,
        };
        self.metrics.callback(status);
        answer(status)
    }

    async fn take(&self, request: Request<Body>) -> Result<(), StatusCode> {
        let (parts, body) = request.into_parts();
        let sealed = sealed(parts.uri.path()).ok_or(StatusCode::NOT_FOUND)?;
        if self.addresses.is_own_delivery(&parts.headers) {
            // An application has given an address of the fleet itself. If the edge took the callback, the
            // fleet would deliver it to itself again, without end.
            debug!("a callback that this fleet delivers comes back to it, and is not taken");
            return Err(StatusCode::LOOP_DETECTED);
        }
        if HookState::is_named(sealed) {
            return self.events.take(sealed, &parts, body).await;
        }
        let opened = self.addresses.opened(|key| key.open(sealed).ok());
        let state = opened.await.map_err(unopened)?;
        let (now_ms, limits) = (self.addresses.now_ms(), self.limits.body);
        if state.expires_ms < now_ms {
            return Err(StatusCode::GONE);
        }
        if body.size_hint().lower() > limits.largest {
            self.warn("a callback is larger than callbacks.max_body", &state);
            return Err(unread(BodyError::TooLarge, &self.metrics));
        }
        let mut bytes = self.bytes.holder(ByteOwner::Tenant(state.meeting.tenant.clone()));
        let body = match parts.method {
            Method::POST => {
                read_small(body, limits, &mut bytes).await.map_err(|error| unread(error, &self.metrics))?
            }
            _ => Bytes::new(),
        };
        let authorization = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let incoming = CallbackRequest {
            method: &parts.method,
            query: parts.uri.query().unwrap_or_default(),
            bearer: authorization.and_then(bearer),
            body: &body,
        };
        let received = receive(&state, incoming, &self.secrets(&state.server), now_ms).map_err(|rejected| {
            debug!(meeting = %state.meeting, kind = state.kind.name(), %rejected, "a callback is not taken");
            match rejected {
                CallbackRejection::Method => StatusCode::METHOD_NOT_ALLOWED,
                CallbackRejection::Signature => StatusCode::UNAUTHORIZED,
                CallbackRejection::Malformed => StatusCode::BAD_REQUEST,
                CallbackRejection::TooLong => {
                    self.metrics.shed.count(ShedReason::CallbackQuery);
                    StatusCode::URI_TOO_LONG
                }
            }
        })?;
        let taken = self.hand_over(sealed, &state, received).await;
        taken.map_err(|error| {
            match error {
                HandOverError::Unavailable => {
                    self.warn("no control plane takes a callback", &state);
                }
                HandOverError::NoShare => self.count_no_share(&state),
                HandOverError::Refused => {}
            }
            not_taken(error)
        })
    }

    async fn hand_over(
        &self,
        sealed: &str,
        state: &CallbackState,
        received: ReceivedCallback,
    ) -> Result<(), HandOverError> {
        let (tenant, deadline) = (&state.meeting.tenant, self.limits.deadline());
        let permit = match received.form {
            CallbackForm::Get => self.shares.begin(tenant, sealed),
            CallbackForm::SignedForm | CallbackForm::BearerJson => {
                self.shares.wait(tenant, sealed, deadline).await
            }
        };
        let _permit = permit.ok_or(HandOverError::NoShare)?;
        self.planes.accept(state, received, deadline).await
    }

    /// Counts and logs that a tenant or an address has used up its share.
    fn count_no_share(&self, state: &CallbackState) {
        self.metrics.shed.count(ShedReason::CallbackShare);
        self.warn("a callback is not taken: its tenant or address has no share left", state);
    }

    /// Logs that a callback is not taken, with pauses: each reader of an address can call it without end.
    fn warn(&self, fault: &'static str, state: &CallbackState) {
        if let Some(held_back) = self.warnings.admit(fault, &state.meeting.tenant) {
            warn!(meeting = %state.meeting, kind = state.kind.name(), held_back, "{fault}");
        }
    }

    /// Returns the secret of the server that was given the address first, then those of all others:
    /// recordings may be processed on another server than the meeting's.
    fn secrets(&self, server: &ServerId) -> Vec<Secret> {
        let Some(table) = self.current.load_full() else { return Vec::new() };
        let mut servers = table.servers();
        servers.sort_by_key(|route| route.id != *server);
        servers.iter().map(|route| route.secret.clone()).collect()
    }
}
