//! Calls to BBB servers: pooled connections, a deadline for each call, and an outcome that says how
//! certain it is that the server did not act (design 11).

mod fair_compute;
mod fair_turns;
mod large_request_turns;
mod passive_reports;
mod refusal_warnings;
mod server_answer;
mod shared_lists;
mod shared_reads;
mod upload_body;

use std::{sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioTimer},
};
use tokio::time::Instant;
use tracing::instrument;
use usher_bbb::{
    call::{ApiCall, CallStrategy},
    parse,
};
use usher_model::{
    id::{ServerId, TenantId},
    routing::ServerRoute,
};
use usher_runtime::{
    clock,
    pending::PendingCalls,
    repeated_warnings::RequestWarnings,
    server_connector::{ConnectorError, ServerConnector},
    telemetry,
};

use large_request_turns::LargeRequestTurns;
use refusal_warnings::RefusalWarnings;
use upload_body::{PayloadError, in_memory};

pub use fair_compute::{ComputeRefusal, FairCompute};
pub use fair_turns::{FairTurn, FairTurns, TooManyWait};
pub use passive_reports::PassiveReports;
pub use server_answer::{AnswerBytes, ServerAnswer, ServerCallError, is_our_fault};
pub use shared_lists::{ListPart, SharedLists};
pub use shared_reads::SharedReads;
pub use upload_body::{RequestPayload, UploadBody, payload};

use crate::{
    core::{
        admission::{ByteBudget, ByteHolder, ByteOwner, OverByteBudget, ServerLane, ServerLanes, ShedReason},
        evidence::{CallOrigin, FailureKind},
        resign::OutgoingCall,
        server_refusal::ServerRefusal,
    },
    metrics::ShedCounters,
};

/// The largest answer that is read, in bytes.
const ANSWER_MAX: usize = 32 << 20;
/// The time after which idle connections are closed, shorter than that of a server's own front end.
const POOL_IDLE: Duration = Duration::from_secs(20);
/// The limit of idle connections to one server.
const POOL_PER_SERVER: usize = 64;

/// The `Content-Type` of documents.
const XML: HeaderValue = HeaderValue::from_static("application/xml");

/// The client for BBB servers; clones share its connections.
#[derive(Clone, Debug)]
pub struct ServerClient {
    client: Client<ServerConnector, RequestPayload>,
    pending: PendingCalls,
    passive: PassiveReports,
    warnings: Arc<RefusalWarnings>,
    failures: RequestWarnings,
    large_requests: LargeRequestTurns,
    budgets: CallBudgets,
}

/// The budgets of calls to servers; clones share them.
#[derive(Debug, Clone)]
pub struct CallBudgets {
    /// The calls under way at each server.
    pub lanes: ServerLanes,
    /// The bytes of answers in memory.
    pub bytes: ByteBudget,
    /// The threads that read large answers, in turns of the tenants.
    pub compute: FairCompute,
    /// Counts the calls and answers that were refused.
    pub shed: ShedCounters,
}

impl ServerClient {
    /// Makes a client without connections.
    ///
    /// # Errors
    /// The system's certificates cannot be used.
    pub fn new(
        connect_timeout: Duration,
        pending: PendingCalls,
        passive: PassiveReports,
        budgets: CallBudgets,
    ) -> Result<Self, ConnectorError> {
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(POOL_IDLE)
            .pool_max_idle_per_host(POOL_PER_SERVER)
            .pool_timer(TokioTimer::new())
            .build(ServerConnector::new(connect_timeout)?);
        Ok(Self {
            client,
            pending,
            passive,
            warnings: Arc::default(),
            failures: RequestWarnings::default(),
            large_requests: LargeRequestTurns::default(),
            budgets,
        })
    }

    /// Calls a server and reads its answer, both before `deadline`. A failure is reported to the
    /// control plane, with `caller` as its origin.
    ///
    /// # Errors
    /// There is no readable answer. The error says whether the server may have acted.
    #[instrument(name = "call", level = "info", skip_all, fields(call = call.name(), server = %server.id))]
    pub async fn call(
        &self,
        server: &ServerRoute,
        call: ApiCall,
        outgoing: OutgoingCall,
        upload: UploadBody,
        caller: &CallOrigin,
        deadline: Instant,
    ) -> Result<ServerAnswer, ServerCallError> {
        let Some(_place) = self.budgets.lanes.enter(&server.id, call, &caller.tenant) else {
            self.count_busy();
            return Err(ServerCallError::ServerBusy);
        };
        let size = upload.size_in_memory() + outgoing.form.as_ref().map_or(0, String::len);
        let Ok(turn) = self.large_requests.turn(&server.id, &caller.tenant, size, deadline).await else {
            self.count_busy();
            return Err(ServerCallError::ServerBusy);
        };
        let brings_documents = caller.brings_documents || !matches!(upload, UploadBody::None);
        let bytes = self.budgets.bytes.holder(byte_owner(call, caller));
        let exchange = self.bounded(server, (call, caller), outgoing, upload, bytes, deadline);
        let outcome = large_request_turns::during(turn, exchange).await;
        if outcome == Err(ServerCallError::OverByteBudget) {
            self.budgets.shed.count(ShedReason::ByteBudget);
        }
        match &outcome {
            Ok(answer) if is_our_fault(answer) => {}
            Ok(_) => self.passive.succeeded(&server.id, call),
            // A tenant can cause any number of these: they must not fill the log.
            Err(ServerCallError::Refused(ServerRefusal { status, .. })) => {
                if let Some(silent) = self.warnings.due(&server.id, *status, clock::now()) {
                    let status = status.as_u16();
                    tracing::warn!(server = %server.id, call = call.name(), status, silent, "a server refuses requests");
                }
            }
            Err(error) => {
                if let Some(kind) = error.kind() {
                    if let Some(held_back) = self.failures.admit(call.name(), &server.id) {
                        let server = &server.id;
                        tracing::warn!(%server, call = call.name(), %error, held_back, "call to a server failed");
                    }
                    let caller = CallOrigin { brings_documents, ..caller.clone() };
                    self.passive.failed(&server.id, kind, call, &caller);
                }
            }
        }
        outcome
    }

    /// Returns the servers at which a tenant has as many calls under way as it may have, so that a further call
    /// like `call` would be refused.
    pub fn busy_for(&self, call: ApiCall, tenant: &TenantId) -> Vec<ServerId> {
        self.budgets.lanes.full_for(ServerLane::of(call), tenant)
    }

    /// Counts a call that is refused because each of its servers is busy.
    pub fn count_busy(&self) {
        self.budgets.shed.count(ShedReason::ServerConcurrency);
    }

    /// Reports a failure that only the reader of the answer can see, such as a wrong secret.
    pub fn report(&self, server: &ServerId, kind: FailureKind, call: ApiCall, caller: &CallOrigin) {
        self.passive.failed(server, kind, call, caller);
    }

    async fn bounded(
        &self,
        server: &ServerRoute,
        (call, caller): (ApiCall, &CallOrigin),
        outgoing: OutgoingCall,
        upload: UploadBody,
        bytes: ByteHolder,
        deadline: Instant,
    ) -> Result<ServerAnswer, ServerCallError> {
        let address_bytes = outgoing.url.len();
        let request = request(outgoing, upload).ok_or(ServerCallError::NotSendable)?;
        let ticket = self.pending.enter(format!("server {}", server.id), call.name());
        let exchange = async {
            let response = self.client.request(request).await.map_err(|e| server_answer::of_client(&e))?;
            ticket.phase("answer");
            let status = response.status();
            if status.is_client_error() {
                return Err(ServerCallError::Refused(ServerRefusal { status, address_bytes }));
            }
            self.read((call, caller), status, response.into_body(), bytes).await
        };
        tokio::time::timeout_at(deadline, exchange)
            .await
            .unwrap_or(Err(ServerCallError::Unknown(FailureKind::Timeout)))
    }

    async fn read(
        &self,
        (call, caller): (ApiCall, &CallOrigin),
        status: StatusCode,
        body: Incoming,
        mut bytes: ByteHolder,
    ) -> Result<ServerAnswer, ServerCallError> {
        if !status.is_success() {
            return Err(ServerCallError::Unknown(FailureKind::ServerError));
        }
        let unreadable = || ServerCallError::Unknown(FailureKind::BadAnswer);
        let body = collect(body, &mut bytes).await.map_err(|error| match error.downcast_ref() {
            Some(OverByteBudget) => ServerCallError::OverByteBudget,
            None => unreadable(),
        })?;
        let (size, compute) = (body.len(), &self.budgets.compute);
        // All tenants share the lists of servers, so that no tenant's turn pays for them.
        let owner = (!matches!(call.strategy(), CallStrategy::EveryServer(_))).then_some(&caller.tenant);
        match compute.run(owner, size, move || answer(call, body, bytes)).await {
            Ok(answer) => answer.ok_or_else(unreadable),
            Err(ComputeRefusal::Full) => Err(ServerCallError::Unread),
            Err(ComputeRefusal::Failed) => Err(unreadable()),
        }
    }
}

/// Builds the request. Returns `None` if the URL is invalid or too long.
fn request(outgoing: OutgoingCall, upload: UploadBody) -> Option<Request<RequestPayload>> {
    let (method, kind, body) = match (upload, outgoing.form) {
        (UploadBody::HeldXml(body), _) => (Method::POST, Some(XML), in_memory(body)),
        (UploadBody::Xml(body), _) => (Method::POST, Some(XML), body),
        (UploadBody::Multipart(body, kind), _) => (Method::POST, Some(kind), body),
        (UploadBody::None, Some(form)) => {
            let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
            (Method::POST, Some(kind), in_memory(Bytes::from(form)))
        }
        (UploadBody::None, None) => (Method::GET, None, in_memory(Bytes::new())),
    };
    let mut request = Request::builder()
        .method(method)
        .uri(outgoing.url)
        .header(header::ACCEPT, "*/*")
        .header(header::USER_AGENT, concat!("usher/", env!("CARGO_PKG_VERSION")))
        .body(body)
        .ok()?;
    if let Some(kind) = kind {
        request.headers_mut().insert(header::CONTENT_TYPE, kind);
    }
    telemetry::inject(request.headers_mut());
    Some(request)
}

/// Reads the answer in a body. Returns `None` if it cannot be read.
fn answer(call: ApiCall, body: Bytes, bytes: ByteHolder) -> Option<ServerAnswer> {
    let text = String::from_utf8(body.into()).ok()?;
    let is_json = call.answers_json() && text.trim_start().starts_with('{');
    let outcome = if is_json { parse::json_outcome(&text) } else { parse::outcome(&text) };
    Some(ServerAnswer { outcome: outcome.ok()?, text, bytes: bytes.into() })
}

/// Reads a body. Its bytes are taken from the budget as they come, before they are kept.
async fn collect(body: Incoming, bytes: &mut ByteHolder) -> Result<Bytes, PayloadError> {
    let (mut body, mut whole) = (Limited::new(body, ANSWER_MAX), BytesMut::new());
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            bytes.add(data.len())?;
            whole.extend_from_slice(&data);
        }
    }
    Ok(whole.freeze())
}

/// Returns the owner of an answer: all tenants share the lists of servers.
fn byte_owner(call: ApiCall, caller: &CallOrigin) -> ByteOwner {
    match call.strategy() {
        CallStrategy::EveryServer(_) => ByteOwner::Fleet,
        _ => ByteOwner::Tenant(caller.tenant.clone()),
    }
}

/// Returns whether reading a body failed because the body exceeds its limit.
pub fn is_too_large(error: &(dyn std::error::Error + 'static)) -> bool {
    error.is::<LengthLimitError>()
}

/// An answer that several requests share.
pub type SharedAnswer = Arc<ServerAnswer>;
