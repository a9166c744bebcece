//! What every request can use, and the way a request takes: method and content type, tenant,
//! checksum, parameters, route (design 7).

use std::{
    future::Ready,
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::future::Either;
use http::{HeaderValue, Request, Version, header};
use hyper::body::Incoming;
use tracing::{Instrument, info_span};
use usher_bbb::{
    call::{ApiCall, CallStrategy},
    reply::Refusal,
};
use usher_model::id::TenantId;
use usher_runtime::{tasks::Tasks, telemetry};

use super::{
    calls::join,
    calls::meeting_calls,
    inbound::callbacks::{self, Callbacks},
    inbound::dial_in::{self, DialIn},
    reply::{Reply, Response},
    request::{self, Ask},
    transport::{Life, Pulse},
};
use crate::{
    control::{cell::TableCell, hooks::HookPlanes, placement::Placement},
    core::rules::Rules,
    metrics::RequestMetrics,
    upstream::{SharedReads, Upstream},
};

/// How long and how large.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Longest time a create may take, second tries included.
    pub create: Duration,
    /// Longest time any other call may take.
    pub call: Duration,
    /// Longest time a call that brings a document may take, the document's way included.
    pub upload: Duration,
    /// Largest request body, bytes.
    pub body: u64,
    /// Longest silence of a client that sends a body.
    pub client: Duration,
    /// Answer `getMeetings` with an empty list, asking nobody.
    pub get_meetings_disabled: bool,
}

/// Serves requests.
#[derive(Debug)]
pub struct Gateway {
    /// The routing table.
    pub cell: Arc<TableCell>,
    /// The control planes.
    pub placement: Placement,
    /// The servers.
    pub upstream: Upstream,
    /// Reads under way.
    pub reads: SharedReads,
    /// Parameter rules.
    pub rules: Rules,
    /// Callbacks of servers; none where servers do not know how to reach the edges.
    pub callbacks: Option<Callbacks>,
    /// Webhooks; none where servers do not know how to reach the edges.
    pub hooks: Option<HookPlanes>,
    /// Callers by telephone; none where nobody may ask for them.
    pub dial_in: Option<DialIn>,
    /// Deadlines and sizes.
    pub limits: Limits,
    /// Owner of work that must outlive its request.
    pub tasks: Tasks,
    /// What is counted.
    pub metrics: RequestMetrics,
}

/// A request under way.
type InFlight = Pin<Box<dyn Future<Output = Result<Response, std::convert::Infallible>> + Send>>;

/// Whether the requests of a connection are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    /// They are.
    Served,
    /// There are too many connections: they are told to come again (F13).
    Shed,
}

/// One connection's way into the gateway.
#[derive(Debug, Clone)]
pub(super) struct Service {
    pub(super) gateway: Arc<Gateway>,
    pub(super) admission: Admission,
    pub(super) life: Life,
    pub(super) pulse: Arc<Pulse>,
    /// Largest request head, bytes.
    pub(super) head_max: usize,
}

impl hyper::service::Service<Request<Incoming>> for Service {
    type Response = Response;
    type Error = std::convert::Infallible;
    type Future = Either<Ready<Result<Response, Self::Error>>, InFlight>;

    /// Joins of known meetings are answered on the spot; everything else takes its time.
    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let begun = Instant::now();
        self.pulse.request();
        let version = request.version();
        if let Some((call, reply)) = self.at_once(&request) {
            self.gateway.metrics.count(call, reply.outcome, begun);
            self.pulse.mark();
            return Either::Left(std::future::ready(Ok(self.parting(version, reply.response))));
        }
        let (service, answering) = (self.clone(), Arc::clone(&self.pulse).answering());
        Either::Right(Box::pin(async move {
            let response = Arc::clone(&service.gateway).serve(request, begun).await;
            drop(answering);
            Ok(service.parting(version, response))
        }))
    }
}

impl Service {
    fn at_once(&self, request: &Request<Incoming>) -> Option<(Option<ApiCall>, Reply)> {
        if self.admission == Admission::Shed {
            return Some((request::call_of(request.uri().path()), Reply::unavailable()));
        }
        if request.version() == Version::HTTP_2 && request::head_size(request) > self.head_max {
            let refusal = Refusal::validation("Request head is too large");
            return Some((request::call_of(request.uri().path()), Reply::refused(&refusal)));
        }
        join::at_once(&self.gateway, request).map(|reply| (Some(ApiCall::Join), reply))
    }

    /// Says in the last answer of a connection that it is: the client then sends its next request
    /// elsewhere, and none into a connection that is being closed (S16).
    fn parting(&self, version: Version, mut response: Response) -> Response {
        if version < Version::HTTP_2 && (self.life.is_leaving() || self.admission == Admission::Shed) {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

impl Gateway {
    async fn serve(self: Arc<Self>, request: Request<Incoming>, begun: Instant) -> Response {
        let request = match callbacks::serve(&self, request).await {
            Ok(response) => return response,
            Err(request) => request,
        };
        let request = match dial_in::serve(&self, request).await {
            Ok(response) => return response,
            Err(request) => request,
        };
        let call = request::call_of(request.uri().path());
        let span = info_span!("request", call = call.map_or("unknown", ApiCall::name));
        telemetry::extract(request.headers(), &span);
        let metrics = self.metrics.clone();
        let reply = async move {
            match request::admit(&self, request).await {
                Ok(ask) => self.answer(ask).await,
                Err(reply) => *reply,
            }
        }
        .instrument(span)
        .await;
        metrics.count(call, reply.outcome, begun);
        reply.response
    }

    /// Returns a server's answer with the addresses of callbacks that the application had given.
    pub(super) fn own_addresses(&self, tenant: &TenantId, xml: String) -> String {
        match &self.callbacks {
            Some(callbacks) => callbacks.restored(tenant, xml),
            None => xml,
        }
    }

    async fn answer(self: Arc<Self>, ask: Ask) -> Reply {
        match ask.call {
            ApiCall::Create => super::calls::create::create(self, ask).await,
            ApiCall::Join => join::join(&self, &ask).await,
            ApiCall::GetMeetings => super::calls::lists::get_meetings(&self, &ask).await,
            ApiCall::GetSessions => super::calls::lists::get_sessions(&self, &ask).await,
            call if call.strategy() == CallStrategy::Hooks => super::calls::hooks::answer(&self, &ask).await,
            call if call.strategy() == CallStrategy::Recordings => {
                super::calls::recordings::answer(&self, ask).await
            }
            _ => meeting_calls::ask_owner(&self, ask).await,
        }
    }
}
