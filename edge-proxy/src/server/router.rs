//! The router: it knows the cells and gives each request to the handlers of one of them. No handler knows the
//! router.

use std::{net::IpAddr, pin::pin, sync::Arc, time::Instant};

use http::Request;
use http_body::Body as _;
use hyper::body::Incoming;
use tracing::{Instrument, info_span};
use usher_bbb::{
    call::ApiCall,
    reply::{CONTENT_TYPE, Refusal},
};
use usher_model::settings::Settings;
use usher_runtime::{clock, server_connector::ConnectorError, telemetry};

use super::{
    admission::{AddressLimits, BodyLimits, ClientAddress, RequestTurns, TenantBudget, answer_bytes},
    calls::join::JoinCalls,
    cell_calls::{CellCalls, CellPorts, SharedPorts},
    inbound::{CallbackCells, CallbackReceiver, DialInReceiver, RecordingUploads},
    playback::PlaybackSite,
    reply::CallReply,
    request::{RequestVerifier, VerifiedRequest, named_call, served_call},
    transport::{HttpResponse, RefusalText, RequestHandler, TransportRefusal, UnreadableRequest},
};
use crate::{
    control::cell_directory::CellDirectory,
    core::{
        admission::{AddressGroup, ByteBudget, ByteHolder, ByteOwner, ShedReason, is_prompt},
        cell_routes::CellChoice,
    },
    metrics::{RequestMetrics, RequestOutcome},
};

/// The ports of the edge, from which the router gives each handler those that it needs.
#[derive(Debug)]
pub(crate) struct EdgePorts {
    /// The cells, with their routing tables.
    pub(crate) directory: Arc<CellDirectory>,
    /// The ports of each cell, in the order of the directory.
    pub(crate) cells: Vec<CellPorts>,
    /// The parts that all cells share.
    pub(crate) shared: SharedPorts,
}

/// The handlers of the recordings library's own addresses.
#[derive(Debug)]
struct RecordingSite {
    playback: PlaybackSite,
    uploads: RecordingUploads,
}

impl RecordingSite {
    /// Builds the handlers, if a cell has a library.
    fn new(
        settings: &Settings,
        cells: &[CellPorts],
        (bytes, metrics): (&ByteBudget, &RequestMetrics),
    ) -> Result<Option<Self>, ConnectorError> {
        let libraries: Vec<_> = cells.iter().filter_map(|cell| cell.library.clone()).collect();
        if libraries.is_empty() {
            return Ok(None);
        }
        let player = settings.recordings.player.clone();
        let playback = PlaybackSite::new(libraries.clone(), player, bytes.clone(), metrics.clone());
        Ok(Some(Self {
            playback,
            uploads: RecordingUploads::new(libraries, settings.edge.client_timeout, metrics.clone())?,
        }))
    }
}

/// Gives each request to its handler.
#[derive(Debug)]
pub(crate) struct RequestRouter {
    verifier: RequestVerifier,
    directory: Arc<CellDirectory>,
    /// The handlers of each cell, in the order of the directory.
    cells: Vec<CellCalls>,
    /// `None` if servers have no address to which they could send callbacks.
    callbacks: Option<CallbackCells>,
    /// `None` if the settings have no password for `FreeSWITCH`.
    dial_in: Option<DialInReceiver>,
    /// `None` if recordings stay on the servers.
    recordings: Option<RecordingSite>,
    addresses: AddressLimits,
    turns: RequestTurns,
    bytes: ByteBudget,
    metrics: RequestMetrics,
}

impl RequestRouter {
    /// Builds every handler from `ports`, with the limits of `settings`.
    ///
    /// # Errors
    /// The client of the recordings library cannot be made.
    pub(crate) fn new(settings: &Settings, ports: EdgePorts) -> Result<Self, ConnectorError> {
        let EdgePorts { directory, cells, shared } = ports;
        let SharedPorts { bytes, metrics, .. } = &shared;
        let silence = settings.edge.client_timeout;
        let verifier = RequestVerifier {
            cells: Arc::clone(&directory),
            budget: TenantBudget::new(settings.edge.max_cost),
            bytes: bytes.clone(),
            bodies: BodyLimits { largest: settings.edge.max_body, silence },
            documents: settings.meetings.upload_timeout,
            serves_hooks: cells.iter().any(|cell| cell.callbacks.is_some()),
        };
        let dial_in = DialInReceiver::new(
            &settings.voice,
            Arc::clone(&directory),
            silence,
            bytes.clone(),
            metrics.clone(),
        );
        let recordings = RecordingSite::new(settings, &cells, (bytes, metrics))?;
        let (cells, receivers): (Vec<_>, Vec<_>) =
            cells.into_iter().map(|ports| CellCalls::new(settings, ports, &shared)).unzip();
        Ok(Self {
            verifier,
            directory,
            cells,
            callbacks: CallbackCells::new(receivers.into_iter().flatten().collect()),
            dial_in,
            recordings,
            addresses: AddressLimits::new(&settings.edge),
            turns: RequestTurns::new(),
            bytes: shared.bytes,
            metrics: shared.metrics,
        })
    }

    /// Returns the answer to a join that the tables alone decide.
    fn join_at_once(&self, request: &Request<Incoming>) -> Option<CallReply> {
        let head = JoinCalls::head(request)?;
        if let [only] = &*self.cells {
            return only.joins.answer_at_once(&head);
        }
        let routes = self.directory.routes();
        let path = head.path_tenant();
        let host = if path.is_none() && routes.need_host() { head.host() } else { None };
        match routes.choose(path, host.as_deref()) {
            CellChoice::Claimed { tenant, cells: [cell], certain } => {
                let reply = self.cells.get(*cell)?.joins.answer_tenants(&head, tenant)?;
                // The verifier knows what a wrong checksum means where another tenant may be meant.
                (certain || reply.outcome != RequestOutcome::checksum).then_some(reply)
            }
            _ => None,
        }
    }

    /// Counts an answer to a request that was received at `received`, and returns it.
    fn counted(&self, call: Option<ApiCall>, reply: CallReply, received: Instant) -> HttpResponse {
        self.metrics.count(call, reply.outcome, received);
        if let Some(reason) = reply.shed {
            self.metrics.shed.count(reason);
        }
        reply.response
    }

    fn answer_bytes(&self, request: &VerifiedRequest) -> ByteHolder {
        self.bytes.holder(ByteOwner::Tenant(request.tenant.clone()))
    }

    /// Answers a call of the API.
    async fn answer_api(
        &self,
        call: Option<ApiCall>,
        request: Request<Incoming>,
        received: Instant,
    ) -> HttpResponse {
        let span = info_span!("request", call = call.map_or("unknown", ApiCall::name));
        telemetry::extract(request.headers(), &span);
        let reply = async {
            match self.verifier.verify(request).await {
                Ok(request) => {
                    let (call, bytes) = (request.call, self.answer_bytes(&request));
                    held(call, self.dispatch(request).await, bytes)
                }
                Err(reply) => *reply,
            }
        };
        let reply = reply.instrument(span).await;
        self.counted(call, reply, received)
    }

    /// Gives a verified request to the handlers of its cell.
    async fn dispatch(&self, request: VerifiedRequest) -> CallReply {
        match self.cells.get(request.cell) {
            Some(cell) => cell.answer(request).await,
            None => CallReply::unavailable_to(request.call),
        }
    }
}

impl RequestHandler for RequestRouter {
    type Client = ClientAddress;
    type ClientGroup = AddressGroup;

    fn connect(&self, address: IpAddr, all: usize) -> Option<ClientAddress> {
        let client = self.addresses.connect(address, all);
        if client.is_none() {
            self.metrics.shed.count(ShedReason::AddressConnections);
        }
        client
    }

    fn admits_request(&self, client: &ClientAddress, received: Instant) -> bool {
        client.admits_request(received)
    }

    /// Answers joins of known meetings.
    fn answer_at_once(&self, request: &Request<Incoming>, received: Instant) -> Option<HttpResponse> {
        let reply = self.join_at_once(request)?;
        Some(self.counted(Some(ApiCall::Join), reply, received))
    }

    fn group(client: &ClientAddress) -> AddressGroup {
        client.group()
    }

    /// Answers a request, in turns with those of other clients unless it is prompt.
    async fn answer(
        self: Arc<Self>,
        from: Option<AddressGroup>,
        request: Request<Incoming>,
        received: Instant,
    ) -> HttpResponse {
        if let Some(dial_in) = &self.dial_in
            && DialInReceiver::is_question(&request)
        {
            return dial_in.answer(request).await;
        }
        let path = request.uri().path();
        if let Some(recordings) = &self.recordings {
            if PlaybackSite::is_address(path) {
                return recordings.playback.answer(&request).await;
            }
            if RecordingUploads::is_address(path) {
                return recordings.uploads.answer(request).await;
            }
        }
        let (call, named) = (served_call(path), named_call(path).unwrap_or(ApiCall::Root));
        let body = request.body().size_hint().exact();
        let size = body.map(|body| body.saturating_add(request.uri().query().map_or(0, str::len) as u64));
        if is_prompt(call, size) {
            return self.answer_api(call, request, received).await;
        }
        let work = pin!(async {
            match &self.callbacks {
                Some(callbacks) if CallbackReceiver::is_address(request.uri().path()) => {
                    callbacks.answer(request).await
                }
                _ => self.answer_api(call, request, received).await,
            }
        });
        match self.turns.take(from, work).await {
            Ok(response) => response,
            Err(reason) => self.counted(call, CallReply::shed(named, reason), received),
        }
    }

    fn refuse(
        &self,
        request: &Request<Incoming>,
        refusal: TransportRefusal,
        received: Instant,
    ) -> HttpResponse {
        let path = request.uri().path();
        let (call, named) = (served_call(path), named_call(path).unwrap_or(ApiCall::Root));
        let reply = match refusal {
            // The connection was counted when it was accepted.
            TransportRefusal::TooManyConnections => CallReply::unavailable_to(named),
            TransportRefusal::TooManyRequests => CallReply::shed(named, ShedReason::AddressRequests),
            TransportRefusal::HeadTooLarge => {
                let refusal = unreadable(UnreadableRequest::HeadTooLarge);
                CallReply::refused_to(named, &refusal).over(ShedReason::HeadSize)
            }
        };
        self.counted(call, reply, received)
    }

    fn unreadable(request: UnreadableRequest) -> RefusalText {
        RefusalText { content_type: CONTENT_TYPE, body: unreadable(request).to_xml() }
    }

    fn count_unreadable(&self, request: UnreadableRequest) {
        if request != UnreadableRequest::Malformed {
            self.metrics.shed.count(ShedReason::HeadSize);
        }
        self.metrics.count(None, RequestOutcome::refused, clock::now());
    }

    fn count_http2_flood(&self) {
        self.metrics.shed.count(ShedReason::Http2Flood);
    }
}

/// Takes the bytes of an answer from the budget until its client has read it. Only answers that can be had
/// again are refused for it; no other is long.
fn held(call: ApiCall, reply: CallReply, bytes: ByteHolder) -> CallReply {
    if !call.is_read() {
        return reply;
    }
    match answer_bytes::held(reply.response, bytes) {
        Ok(response) => CallReply { response, ..reply },
        Err(_) => CallReply::shed(call, ShedReason::ByteBudget),
    }
}

/// Returns the refusal of a request that cannot be read. BBB has no words for it, so that they are those of a
/// validation.
fn unreadable(request: UnreadableRequest) -> Refusal {
    Refusal::validation(match request {
        UnreadableRequest::HeadTooLarge => "Request head is too large",
        UnreadableRequest::AddressTooLong => "Request address is too long",
        UnreadableRequest::Malformed => "Request not recognized",
    })
}
