//! The router: it knows every handler and gives each request to one of them. No handler knows the router.

use std::{net::IpAddr, pin::pin, sync::Arc, time::Instant};

use http::Request;
use http_body::Body as _;
use hyper::body::Incoming;
use tracing::{Instrument, info_span};
use usher_bbb::{
    call::{ApiCall, CallStrategy},
    reply::{CONTENT_TYPE, Refusal},
};
use usher_model::settings::Settings;
use usher_runtime::{clock, repeated_warnings::RequestWarnings, tasks::TaskGroup, telemetry};

use super::{
    admission::{
        AddressLimits, BodyLimits, CallTimeouts, ClientAddress, RequestTurns, TenantBudget, answer_bytes,
    },
    callback_sealer::CallbackSealer,
    calls::{
        create::{CreateCalls, CreatePorts},
        hooks::HookCalls,
        join::JoinCalls,
        lists::ListCalls,
        meeting_calls::MeetingCalls,
        recordings::RecordingCalls,
    },
    fleet::{meeting_locator::MeetingLocator, server_calls::ServerCalls, survey::FleetSurvey},
    inbound::{CallbackReceiver, DialInReceiver, EventReceiver, HandOverLimits, HandOverShares},
    reply::CallReply,
    request::{RequestVerifier, VerifiedRequest, named_call, served_call},
    transport::{HttpResponse, RefusalText, RequestHandler, TransportRefusal, UnreadableRequest},
};
use crate::{
    control::{
        callbacks::CallbackClient, current_table::CurrentTable, hooks::HookClient,
        meeting_lookups::MeetingLookups, placement::PlacementClient,
    },
    core::{
        admission::{AddressGroup, ByteBudget, ByteHolder, ByteOwner, ShedReason, is_prompt},
        rules::DeploymentRules,
    },
    metrics::{RequestMetrics, RequestOutcome},
    upstream::{FairCompute, ServerClient, SharedLists, SharedReads},
};

/// The ports of the edge, from which the router gives each handler those that it needs.
#[derive(Debug)]
pub(crate) struct EdgePorts {
    /// The routing table.
    pub(crate) current: Arc<CurrentTable>,
    /// The control planes, for records of meetings.
    pub(crate) placement: PlacementClient,
    /// The control planes, for callbacks and hooks; `None` if servers have no address of the edges.
    pub(crate) callbacks: Option<CallbackPorts>,
    /// The servers.
    pub(crate) upstream: ServerClient,
    /// The reads in progress, which requests share.
    pub(crate) reads: SharedReads,
    /// The lists of servers, which requests of all tenants share.
    pub(crate) lists: SharedLists,
    /// The budget of bytes in memory.
    pub(crate) bytes: ByteBudget,
    /// The threads for long work.
    pub(crate) compute: FairCompute,
    /// The owner of work that must outlive its request.
    pub(crate) tasks: TaskGroup,
    /// The counters of requests.
    pub(crate) metrics: RequestMetrics,
}

/// The ports for requests of servers.
#[derive(Debug)]
pub(crate) struct CallbackPorts {
    /// The address of the edges, as servers reach them.
    pub(crate) public_url: String,
    /// The client for callbacks.
    pub(crate) callbacks: CallbackClient,
    /// The client for hooks and events.
    pub(crate) hooks: HookClient,
}

/// Gives each request to its handler.
#[derive(Debug)]
pub(crate) struct RequestRouter {
    verifier: RequestVerifier,
    joins: JoinCalls,
    creates: CreateCalls,
    meetings: Arc<MeetingCalls>,
    lists: ListCalls,
    recordings: RecordingCalls,
    /// `None` if servers have no address to which they could send events.
    hooks: Option<HookCalls>,
    callbacks: Option<CallbackReceiver>,
    /// `None` if the settings have no password for `FreeSWITCH`.
    dial_in: Option<DialInReceiver>,
    addresses: AddressLimits,
    turns: RequestTurns,
    bytes: ByteBudget,
    metrics: RequestMetrics,
}

impl RequestRouter {
    /// Builds every handler from `ports`, with the limits of `settings`.
    pub(crate) fn new(settings: &Settings, ports: EdgePorts) -> Self {
        let EdgePorts {
            current,
            placement,
            callbacks,
            upstream,
            reads,
            lists,
            bytes,
            compute,
            tasks,
            metrics,
        } = ports;
        let timeouts = CallTimeouts {
            create: settings.meetings.create_timeout,
            call: settings.meetings.call_timeout,
            recordings: settings.meetings.recordings_timeout,
            upload: settings.meetings.upload_timeout,
        };
        let silence = settings.edge.client_timeout;
        let rules = Arc::new(DeploymentRules::new(&settings.meetings));
        let servers = ServerCalls::new(upstream, (reads, lists), compute.clone());
        let lookups = MeetingLookups::new(placement.clone(), tasks.clone(), metrics.shared_lookups.clone());
        let locator = MeetingLocator::new(lookups);
        let warnings = RequestWarnings::default();
        let addresses = callbacks.as_ref().map(|ports| {
            let planes = ports.callbacks.clone();
            Arc::new(CallbackSealer::new(&ports.public_url, &settings.callbacks, planes, warnings.clone()))
        });
        let survey = FleetSurvey {
            timeout: timeouts.call,
            partial_lists: metrics.partial_lists.clone(),
            refused_lists: metrics.refused_lists.clone(),
            addresses: addresses.clone(),
            compute,
            warnings: warnings.clone(),
        };
        let recordings_survey =
            FleetSurvey { timeout: settings.meetings.recordings_timeout, ..survey.clone() };
        let create_ports = Arc::new(CreatePorts {
            placement: placement.clone(),
            current: Arc::clone(&current),
            servers: servers.clone(),
            addresses: addresses.clone(),
            timeouts,
            tasks: tasks.clone(),
            warnings: warnings.clone(),
            second_tries: metrics.second_tries.clone(),
        });
        let hooks = callbacks.as_ref().map(|ports| ports.hooks.clone());
        let receiver = callbacks.zip(addresses.clone()).map(|(ports, addresses)| {
            let body = BodyLimits { largest: settings.callbacks.max_body, silence };
            let limits = HandOverLimits { body, offer_for: settings.callbacks.accept_timeout };
            CallbackReceiver {
                events: EventReceiver {
                    addresses: Arc::clone(&addresses),
                    planes: ports.hooks,
                    current: Arc::clone(&current),
                    limits,
                    bytes: bytes.clone(),
                    warnings: warnings.clone(),
                    metrics: metrics.clone(),
                },
                addresses,
                planes: ports.callbacks,
                current: Arc::clone(&current),
                limits,
                bytes: bytes.clone(),
                shares: HandOverShares::default(),
                warnings: warnings.clone(),
                metrics: metrics.clone(),
            }
        });
        Self {
            verifier: RequestVerifier {
                current: Arc::clone(&current),
                budget: TenantBudget::new(settings.edge.max_cost),
                bytes: bytes.clone(),
                bodies: BodyLimits { largest: settings.edge.max_body, silence },
                documents: timeouts.upload,
                serves_hooks: hooks.is_some(),
            },
            joins: JoinCalls {
                current: Arc::clone(&current),
                locator: locator.clone(),
                rules: Arc::clone(&rules),
            },
            creates: CreateCalls {
                rules,
                locator: locator.clone(),
                tasks: tasks.clone(),
                ports: create_ports,
            },
            lists: ListCalls {
                servers: servers.clone(),
                survey,
                get_meetings_disabled: settings.meetings.get_meetings_disabled,
            },
            recordings: RecordingCalls {
                servers: servers.clone(),
                survey: recordings_survey,
                timeouts,
                tasks: tasks.clone(),
                warnings: warnings.clone(),
            },
            hooks: hooks.map(|planes| HookCalls { planes, timeout: timeouts.call }),
            dial_in: DialInReceiver::new(
                &settings.voice,
                Arc::clone(&current),
                silence,
                bytes.clone(),
                metrics.clone(),
            ),
            meetings: Arc::new(MeetingCalls {
                locator,
                servers,
                placement,
                current,
                addresses,
                timeouts,
                tasks,
                warnings,
            }),
            callbacks: receiver,
            addresses: AddressLimits::new(&settings.edge),
            turns: RequestTurns::new(),
            bytes,
            metrics,
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

    /// Gives a verified request to the handler of its call.
    async fn dispatch(&self, request: VerifiedRequest) -> CallReply {
        match request.call.strategy() {
            CallStrategy::Place => self.creates.answer(request).await,
            CallStrategy::Redirect => self.joins.answer(&request).await,
            CallStrategy::Owner(action) => self.meetings.answer(request, action).await,
            CallStrategy::EveryServer(list) => self.lists.answer(&request, list).await,
            CallStrategy::Recordings(action) => self.recordings.answer(request, action).await,
            CallStrategy::Hooks(action) => match &self.hooks {
                Some(hooks) => hooks.answer(&request, action).await,
                None => CallReply::unsupported(Some(request.call)),
            },
            // The verifier has answered or refused these calls.
            CallStrategy::Local(_) | CallStrategy::Session | CallStrategy::Gone => {
                CallReply::unsupported(Some(request.call))
            }
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
        let reply = self.joins.answer_at_once(request)?;
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
