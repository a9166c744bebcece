//! Callbacks of BBB servers. Whoever calls is answered once the callback is in the store, or told to
//! come again; what BBB servers do then is theirs: they send an end callback again for some minutes,
//! and the others never (wire-contract 6), so that the edge itself tries for as long as they wait.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::Full;
use hyper::body::{Body as _, Incoming as Body};
use tracing::{debug, warn};
use usher_bbb::secret::Secret;
use usher_model::{
    callback::{CallbackKey, HookState, MARK_HEADER},
    id::{ServerId, TenantId},
    meeting::MeetingKey,
    settings::CallbackSettings,
};
use usher_runtime::clock::WallClock;

use crate::server::{
    admission::body::{BodyError, read_small},
    router::Gateway,
    transport::HttpResponse,
};
use crate::{
    control::{
        callbacks::{CallbackClient, HandOverError},
        table::LiveTable,
    },
    core::callbacks::{
        AddressBinding, CallbackAddresses, CallbackRejection, CallbackRequest, bearer, receive, restore,
        sealed,
    },
};

/// What an edge that servers can reach has for callbacks.
#[derive(Debug)]
pub struct Callbacks {
    addresses: CallbackAddresses,
    planes: CallbackClient,
    wall: WallClock,
    address_ttl: Duration,
    /// How long a callback is offered to the control planes. A server's own patience is 60 s.
    offer_for: Duration,
    max_body: u64,
}

impl Callbacks {
    /// Gives out addresses below `public_url`.
    pub fn new(public_url: &str, settings: &CallbackSettings, planes: CallbackClient) -> Self {
        Self {
            addresses: CallbackAddresses::new(public_url),
            planes,
            wall: WallClock::system(),
            address_ttl: settings.address_ttl,
            offer_for: settings.accept_timeout,
            max_body: settings.max_body,
        }
    }

    /// Returns the parameters of a create as this server gets them.
    pub(in crate::server) async fn rewritten(
        &self,
        parameters: &str,
        table: &LiveTable,
        meeting: &MeetingKey,
        server: &ServerId,
    ) -> String {
        let Some(key) = self.planes.key().await else {
            // No control plane: this is a create of a meeting that runs, whose addresses stand.
            warn!("a create goes on without addresses of ours: no control plane tells their key");
            return parameters.to_owned();
        };
        let ttl = i64::try_from(self.address_ttl.as_millis()).unwrap_or(i64::MAX);
        let expires_ms = self.wall.now_ms().saturating_add(ttl);
        let given = AddressBinding { meeting, server, expires_ms };
        let is_tenants = |host: &str| table.tenants().by_host(host).is_some();
        let rewritten = self.addresses.rewrite(&key, parameters, given, is_tenants, rand::random);
        if rewritten.dropped > 0 {
            let dropped = rewritten.dropped;
            warn!(%meeting, dropped, "a create asks for callbacks to Usher's own address, which nobody will get");
        }
        rewritten.parameters
    }

    /// Returns an answer to a tenant with its application's own addresses in it.
    pub(in crate::server) fn restored(&self, tenant: &TenantId, xml: String) -> String {
        let open = |sealed: &str| self.planes.by_any_key(|key| key.open(sealed).ok());
        restore(tenant, open, &xml).into_owned()
    }

    /// Tells whether a request is a delivery of this fleet's own.
    fn is_own_delivery(&self, headers: &HeaderMap) -> bool {
        let marks = headers.get_all(MARK_HEADER).into_iter().filter_map(|mark| mark.to_str().ok());
        marks
            .into_iter()
            .any(|mark| self.planes.by_any_key(|key| (key.mark() == mark).then_some(())).is_some())
    }

    /// Opens an address for webhooks; returns it too, as the server was given it.
    pub(in crate::server) async fn open_hook(&self, sealed: &str) -> Option<(HookState, String)> {
        self.opened(|key| {
            let state = HookState::open(key, sealed)?;
            let url = state.url(key);
            Some((state, url))
        })
        .await
    }

    /// Returns the largest callback, bytes.
    pub(in crate::server) fn max_body(&self) -> u64 {
        self.max_body
    }

    /// Returns until when a server that calls now is kept waiting.
    pub(in crate::server) fn patience(&self) -> Instant {
        Instant::now() + self.offer_for
    }

    async fn opened<T>(&self, open: impl Fn(&CallbackKey) -> Option<T>) -> Option<T> {
        if let Some(state) = self.planes.by_any_key(&open) {
            return Some(state);
        }
        // Not ours, or the store was made anew a moment ago.
        self.planes.fetch_key().await.and_then(|key| open(&key))
    }
}

/// Serves a request to an address of ours; none if it is to none.
pub(in crate::server) async fn serve(
    gateway: &Gateway,
    request: Request<Body>,
) -> Result<HttpResponse, Request<Body>> {
    let Some(callbacks) = gateway.callbacks.as_ref().filter(|_| sealed(request.uri().path()).is_some())
    else {
        return Err(request);
    };
    let status = match take(gateway, callbacks, request).await {
        Ok(()) => StatusCode::OK,
        Err(status) => status,
    };
    gateway.metrics.callback(status);
    Ok(answer(status))
}

async fn take(gateway: &Gateway, callbacks: &Callbacks, request: Request<Body>) -> Result<(), StatusCode> {
    let (parts, body) = request.into_parts();
    let sealed = sealed(parts.uri.path()).ok_or(StatusCode::NOT_FOUND)?;
    if callbacks.is_own_delivery(&parts.headers) {
        // An application sends us to ourselves: taken, it would be delivered once more, and so on.
        debug!("a callback that this fleet delivers comes back to it, and is not taken");
        return Err(StatusCode::LOOP_DETECTED);
    }
    if HookState::is_named(sealed) {
        return crate::server::calls::hooks::take(gateway, callbacks, sealed, &parts, body).await;
    }
    let state = callbacks.opened(|key| key.open(sealed).ok()).await.ok_or(StatusCode::NOT_FOUND)?;
    let now_ms = callbacks.wall.now_ms();
    if state.expires_ms < now_ms {
        return Err(StatusCode::GONE);
    }
    if body.size_hint().lower() > callbacks.max_body {
        warn!(meeting = %state.meeting, kind = state.kind.name(), "a callback is larger than callbacks.max_body");
        return Err(StatusCode::PAYLOAD_TOO_LARGE);
    }
    let body = match parts.method {
        Method::POST => read_small(body, callbacks.max_body, gateway.limits.client).await.map_err(fault)?,
        _ => Bytes::new(),
    };
    let authorization = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let incoming = CallbackRequest {
        method: &parts.method,
        query: parts.uri.query().unwrap_or_default(),
        bearer: authorization.and_then(bearer),
        body: &body,
    };
    let secrets = secrets(gateway, &state.server);
    let received = receive(&state, incoming, &secrets, now_ms).map_err(|rejected| {
        debug!(meeting = %state.meeting, kind = state.kind.name(), %rejected, "a callback is not taken");
        match rejected {
            CallbackRejection::Method => StatusCode::METHOD_NOT_ALLOWED,
            CallbackRejection::Signature => StatusCode::UNAUTHORIZED,
            CallbackRejection::Malformed => StatusCode::BAD_REQUEST,
        }
    })?;
    let taken = callbacks.planes.accept(&state, received, callbacks.patience()).await;
    taken.map_err(|error| {
        if error == HandOverError::Unavailable {
            warn!(meeting = %state.meeting, kind = state.kind.name(), "no control plane takes a callback");
        }
        refusal(error)
    })
}

/// What a server is answered whose call nobody took.
pub(in crate::server) fn refusal(error: HandOverError) -> StatusCode {
    match error {
        HandOverError::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        HandOverError::Refused => StatusCode::BAD_REQUEST,
    }
}

/// The secret of the server that was given the address first; then the others', as recordings may be
/// processed elsewhere than where the meeting was.
fn secrets(gateway: &Gateway, server: &ServerId) -> Vec<Secret> {
    let Some(table) = gateway.cell.load_full() else { return Vec::new() };
    let mut servers = table.servers();
    servers.sort_by_key(|route| route.id != *server);
    servers.iter().map(|route| route.secret.clone()).collect()
}

pub(in crate::server) fn fault(error: BodyError) -> StatusCode {
    match error {
        BodyError::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        BodyError::Slow => StatusCode::REQUEST_TIMEOUT,
        BodyError::Broken | BodyError::Faulty(_) => StatusCode::BAD_REQUEST,
    }
}

fn answer(status: StatusCode) -> HttpResponse {
    let mut response = HttpResponse::new(Full::default());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("30"));
    }
    response
}
