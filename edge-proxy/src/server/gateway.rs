//! What every request can use, and the way a request takes: method and content type, tenant,
//! checksum, parameters, route (design 7).

use std::{
    future::Ready,
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::future::Either;
use http::Request;
use hyper::body::Incoming;
use tracing::{Instrument, info_span};
use usher_common::{
    bbb::call::Call,
    runtime::{tasks::Tasks, telemetry},
};

use super::{
    join, owner,
    reply::{Reply, Response},
    request::{self, Ask},
};
use crate::{
    control::{cell::TableCell, placement::Placement},
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
    /// Deadlines and sizes.
    pub limits: Limits,
    /// Owner of work that must outlive its request.
    pub tasks: Tasks,
    /// What is counted.
    pub metrics: RequestMetrics,
}

/// A request under way.
type InFlight = Pin<Box<dyn Future<Output = Result<Response, std::convert::Infallible>> + Send>>;

/// One connection's way into the gateway.
#[derive(Debug, Clone)]
pub(super) struct Service(pub(super) Arc<Gateway>);

impl hyper::service::Service<Request<Incoming>> for Service {
    type Response = Response;
    type Error = std::convert::Infallible;
    type Future = Either<Ready<Result<Response, Self::Error>>, InFlight>;

    /// Joins of known meetings are answered on the spot; everything else takes its time.
    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let begun = Instant::now();
        if let Some(reply) = join::at_once(&self.0, &request) {
            self.0.metrics.count(Some(Call::Join), reply.outcome, begun);
            return Either::Left(std::future::ready(Ok(reply.response)));
        }
        let gateway = Arc::clone(&self.0);
        Either::Right(Box::pin(async move { Ok(gateway.serve(request, begun).await) }))
    }
}

impl Gateway {
    async fn serve(self: Arc<Self>, request: Request<Incoming>, begun: Instant) -> Response {
        let call = request::call_of(request.uri().path());
        let span = info_span!("request", call = call.map_or("unknown", Call::name));
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

    async fn answer(self: Arc<Self>, ask: Ask) -> Reply {
        match ask.call {
            Call::Create => super::create::create(self, ask).await,
            Call::Join => join::join(&self, &ask).await,
            Call::GetMeetings => super::lists::get_meetings(&self, &ask).await,
            _ => owner::ask_owner(&self, ask).await,
        }
    }
}
