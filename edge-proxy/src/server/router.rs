//! What every request can use, and the way a request takes: method and content type, tenant,
//! checksum, parameters, route (design 7).

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use http::Request;
use hyper::body::Incoming;
use tracing::{Instrument, info_span};
use usher_bbb::{
    call::{ApiCall, CallStrategy, EveryServerList},
    reply::{CONTENT_TYPE, Refusal},
};
use usher_model::id::TenantId;
use usher_runtime::{tasks::TaskGroup, telemetry};

use super::{
    calls::join,
    calls::meeting_calls,
    inbound::callbacks::{self, Callbacks},
    inbound::dial_in::{self, DialIn},
    reply::Reply,
    request::{self, Ask},
    transport::{HttpResponse, RefusalText, RequestHandler, TransportRefusal, UnreadableRequest},
};
use crate::{
    control::{hooks::HookClient, placement::PlacementClient, table_cell::TableCell},
    core::rules::DeploymentRules,
    metrics::{Outcome, RequestMetrics},
    upstream::{ServerClient, SharedReads},
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
    pub placement: PlacementClient,
    /// The servers.
    pub upstream: ServerClient,
    /// Reads under way.
    pub reads: SharedReads,
    /// Parameter rules.
    pub rules: DeploymentRules,
    /// Callbacks of servers; none where servers do not know how to reach the edges.
    pub callbacks: Option<Callbacks>,
    /// Webhooks; none where servers do not know how to reach the edges.
    pub hooks: Option<HookClient>,
    /// Callers by telephone; none where nobody may ask for them.
    pub dial_in: Option<DialIn>,
    /// Deadlines and sizes.
    pub limits: Limits,
    /// Owner of work that must outlive its request.
    pub tasks: TaskGroup,
    /// What is counted.
    pub metrics: RequestMetrics,
}

impl RequestHandler for Gateway {
    /// Answers joins of known meetings, which need no waiting.
    fn answer_at_once(&self, request: &Request<Incoming>, received: Instant) -> Option<HttpResponse> {
        let reply = join::at_once(self, request)?;
        self.metrics.count(Some(ApiCall::Join), reply.outcome, received);
        Some(reply.response)
    }

    async fn answer(self: Arc<Self>, request: Request<Incoming>, received: Instant) -> HttpResponse {
        self.serve(request, received).await
    }

    fn refuse(
        &self,
        request: &Request<Incoming>,
        refusal: TransportRefusal,
        received: Instant,
    ) -> HttpResponse {
        let reply = match refusal {
            TransportRefusal::TooManyConnections => Reply::unavailable(),
            TransportRefusal::HeadTooLarge => Reply::refused(&unreadable(UnreadableRequest::HeadTooLarge)),
        };
        self.metrics.count(request::call_of(request.uri().path()), reply.outcome, received);
        reply.response
    }

    fn unreadable(request: UnreadableRequest) -> RefusalText {
        RefusalText { content_type: CONTENT_TYPE, body: unreadable(request).to_xml() }
    }

    fn count_unreadable(&self) {
        self.metrics.count(None, Outcome::refused, Instant::now());
    }
}

/// Returns the refusal of a request that cannot be read. BBB has no words for it, so that they are those
/// of a validation.
fn unreadable(request: UnreadableRequest) -> Refusal {
    Refusal::validation(match request {
        UnreadableRequest::HeadTooLarge => "Request head is too large",
        UnreadableRequest::AddressTooLong => "Request address is too long",
        UnreadableRequest::Malformed => "Request not recognized",
    })
}

impl Gateway {
    async fn serve(self: Arc<Self>, request: Request<Incoming>, received: Instant) -> HttpResponse {
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
        metrics.count(call, reply.outcome, received);
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
        match ask.call.strategy() {
            CallStrategy::Place => super::calls::create::create(self, ask).await,
            CallStrategy::Redirect => join::join(&self, &ask).await,
            CallStrategy::Owner(action) => meeting_calls::ask_owner(&self, ask, action).await,
            CallStrategy::EveryServer(EveryServerList::Meetings) => {
                super::calls::lists::get_meetings(&self, &ask).await
            }
            CallStrategy::EveryServer(EveryServerList::Sessions) => {
                super::calls::lists::get_sessions(&self, &ask).await
            }
            CallStrategy::Recordings(action) => super::calls::recordings::answer(&self, ask, action).await,
            CallStrategy::Hooks(action) => super::calls::hooks::answer(&self, &ask, action).await,
            // A request for one of these is answered before it is verified.
            CallStrategy::Local(_) | CallStrategy::Session | CallStrategy::Gone => {
                Reply::refused(&Refusal::UNSUPPORTED_REQUEST)
            }
        }
    }
}
