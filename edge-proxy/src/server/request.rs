//! From a request to what it asks, checked in the order of design 7: method and content type,
//! tenant, checksum, parameters.

use std::{borrow::Cow, sync::Arc, time::Duration};

use http::{HeaderMap, HeaderValue, Method, Request, header, request::Parts};
use http_body::Body as _;
use hyper::body::Incoming;
use usher_bbb::{
    call::{ApiCall, BodyKind, CallSigning, CallStrategy, ChecksumProblem, LocalAnswer},
    parse::unscoped,
    query::{rewrite, url_safe},
    reply::{self, Refusal},
};
use usher_model::{
    id::{MeetingId, TenantId},
    meeting::MeetingKey,
    routing::TenantRoute,
    scope::{SERVER_ID_MAX, TenantScope},
};

use super::{
    admission::body::{BodyError, Document, read_small},
    admission::multipart,
    calls::join,
    fleet::locate::Owner,
    reply::Reply,
    router::Gateway,
};
use crate::{
    control::{
        meetings::TenantMeetings,
        table::{LiveTable, TenantIndex, TenantSlot},
    },
    core::{
        authenticate::{authenticate, leaves_room_for_form},
        document_body::{BodyFault, DocumentBody},
        evidence::CallOrigin,
        request_target::{RequestTarget, host_name, target},
        validate,
    },
    metrics::Outcome,
};

/// Longest wait of a request for the edge's first table (S16).
const FIRST_TABLE: Duration = Duration::from_secs(2);

/// What a request asks, verified.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) call: ApiCall,
    pub(super) tenant: TenantId,
    pub(super) table: Arc<LiveTable>,
    /// The tenant as the table had it.
    pub(super) route: Arc<TenantRoute>,
    pub(super) slot: TenantSlot,
    /// The tenant's meetings in the table.
    pub(super) meetings: Arc<TenantMeetings>,
    /// The signed parameters, without the checksum, as a URL may hold them.
    pub(super) parameters: String,
    /// The meeting it concerns, as the caller wrote it; calls about none have none.
    pub(super) meeting: Option<MeetingId>,
    pub(super) document: Document,
    /// Of the document.
    pub(super) content_type: Option<HeaderValue>,
}

impl Ask {
    /// Names the meeting in the parameters as its server knows it.
    pub(super) fn name_for_server(&mut self, owner: &Owner) {
        let given = self.meeting.as_ref().map_or("", |id| id.as_str());
        if let Some(edit) = owner.edit(given) {
            self.parameters = rewrite(&self.parameters, &[edit]);
        }
    }

    /// Returns a server's answer with the tenant's own ids in it.
    pub(super) fn own_ids<'x>(&self, xml: &'x str) -> Cow<'x, str> {
        unscoped(xml, self.meetings.scope().prefix())
    }

    /// Returns whose call it is, as far as that says something about a server that fails it.
    pub(super) fn caller(&self) -> CallOrigin {
        CallOrigin {
            tenant: self.tenant.clone(),
            meeting: self.meeting.clone(),
            brings_documents: !self.document.is_empty(),
        }
    }

    /// Returns the meeting it concerns.
    pub(super) fn key(&self) -> Option<MeetingKey> {
        self.meeting.clone().map(|meeting| MeetingKey::new(self.tenant.clone(), meeting))
    }
}

/// Returns the call that a path names, if it is one that is served.
pub(super) fn call_of(path: &str) -> Option<ApiCall> {
    ApiCall::parse(target(path)?.call).filter(|call| call.is_served())
}

/// Tells whether a call takes a method; HEAD is a GET where nothing is changed by it.
pub(super) fn accepts(call: ApiCall, method: &Method) -> bool {
    if *method == Method::HEAD {
        return call.is_read() || call == ApiCall::Join;
    }
    call.accepts_method(method)
}

/// Finds whose request it is: by path, by host, else `default`.
pub(super) fn tenant_of<'t>(
    tenants: &'t TenantIndex,
    target: RequestTarget<'_>,
    headers: &HeaderMap,
    authority: Option<&str>,
) -> Option<&'t TenantSlot> {
    if let Some(name) = target.tenant {
        return tenants.by_id(name);
    }
    if tenants.has_hosts() {
        let host = authority.or_else(|| headers.get(header::HOST)?.to_str().ok());
        if let Some(slot) = host.and_then(|host| tenants.by_host(&host_name(host))) {
            return Some(slot);
        }
    }
    tenants.by_id(TenantId::DEFAULT)
}

/// Checks a request.
///
/// # Errors
/// The answer, where no more is needed for one: mostly a refusal.
pub(super) async fn admit(gateway: &Gateway, request: Request<Incoming>) -> Result<Ask, Box<Reply>> {
    let (parts, body) = request.into_parts();
    let unsupported = || Box::new(Reply::refused(&Refusal::UNSUPPORTED_REQUEST));
    let target = target(parts.uri.path()).ok_or_else(unsupported)?;
    let call = call_of(parts.uri.path()).filter(|call| accepts(*call, &parts.method));
    let call = call.ok_or_else(unsupported)?;
    if call.is_of_webhooks() && gateway.hooks.is_none() {
        return Err(unsupported());
    }
    if call.strategy() == CallStrategy::Local(LocalAnswer::Ping) {
        return Err(Box::new(Reply::text(reply::PING)));
    }
    let kind = body_kind(call, &parts, &body)?;
    if body.size_hint().lower() > gateway.limits.body {
        return Err(refused(call, &too_large()));
    }
    if call.strategy() == CallStrategy::Local(LocalAnswer::Version) {
        let asks_json =
            parts.headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind == "application/json");
        return Err(Box::new(if asks_json {
            Reply::json(reply::root_json(), Outcome::success)
        } else {
            Reply::success(reply::root())
        }));
    }
    if gateway.cell.revision().is_none() {
        // An edge that was just started has its table in a moment.
        let _ = tokio::time::timeout(FIRST_TABLE, gateway.cell.ready()).await;
    }
    let Some(table) = gateway.cell.load_full() else { return Err(Box::new(Reply::unavailable())) };
    let tenants = table.tenants();
    let authority = parts.uri.authority().map(http::uri::Authority::as_str);
    let slot = tenant_of(&tenants, target, &parts.headers, authority).cloned();
    drop(tenants);
    let slot = slot.and_then(|slot| Some((slot.route.clone()?, slot)));
    let (route, slot) = match slot {
        Some(found) => found,
        _ if target.tenant.is_some() => return Err(unsupported()),
        // There is no tenant `default`: no secret makes any checksum right.
        _ => return Err(Box::new(Reply::checksum(call, ChecksumProblem::Mismatch))),
    };
    let query = parts.uri.query().unwrap_or_default();
    let mut body = Some(body);
    // The parts of a text track are its file, which goes to a server as it is.
    let is_form = kind == Some(BodyKind::Form)
        || (kind == Some(BodyKind::Multipart) && call != ApiCall::PutRecordingTextTrack);
    let form = match body.take_if(|_| is_form && leaves_room_for_form(query)) {
        Some(body) => Some(read_form(call, gateway, &parts, body).await?),
        None => None,
    };
    let parameters = authenticate(call, query, form.as_deref(), &route.secrets)
        .map_err(|problem| unsigned(call, problem, form.as_deref().unwrap_or(query), &parts.headers))?;
    // A form may hold what no URL can, and mostly leaves as one.
    let parameters = url_safe(&parameters).into_owned();
    if !route.enabled {
        return Err(refused(call, &not_enabled()));
    }
    let meeting = match validate::check(call, &parameters) {
        Ok(Some(id))
            if call == ApiCall::Create && slot.meetings.scope().scoped(&id).chars() > SERVER_ID_MAX =>
        {
            return Err(refused(call, &too_long(slot.meetings.scope())));
        }
        Ok(id) => id
            .map(|id| MeetingId::parse(&id))
            .transpose()
            .map_err(|_| refused(call, &Refusal::MEETING_ID_LENGTH))?,
        Err(refusal) if call == ApiCall::Join => return Err(Box::new(join::refuse(&parameters, &refusal))),
        Err(refusal) => return Err(refused(call, &refusal)),
    };
    let is_upload = kind == Some(BodyKind::Xml) || call == ApiCall::PutRecordingTextTrack;
    let check = (kind == Some(BodyKind::Xml)).then(DocumentBody::default);
    let document = match body.filter(|_| kind.is_some() && is_upload) {
        Some(body) => Document::take(body, check, gateway.limits.body, gateway.limits.client)
            .await
            .map_err(|error| refused_body(call, &error))?,
        None => Document::None,
    };
    let (tenant, meetings) = (route.id.clone(), Arc::clone(&slot.meetings));
    let content_type = parts.headers.get(header::CONTENT_TYPE).cloned();
    Ok(Ask { call, tenant, table, route, slot, meetings, parameters, meeting, document, content_type })
}

/// Refuses a request that nobody signed. Recording calls look at their parameters before they compare the
/// checksum.
fn unsigned(call: ApiCall, problem: ChecksumProblem, given: &str, headers: &HeaderMap) -> Box<Reply> {
    if problem == ChecksumProblem::Mismatch && call.signing() == CallSigning::Recording {
        if let Err(refusal) = validate::check(call, given) {
            return refused(call, &refusal);
        }
        let wants_json = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
        if call.answers_json() && wants_json.is_some_and(|accept| accept.contains("application/json")) {
            let refusal = call.checksum_refusal(problem);
            return Box::new(Reply { outcome: Outcome::checksum, ..Reply::refused_to(call, &refusal) });
        }
    }
    Box::new(Reply::checksum(call, problem))
}

/// Reads the parameters of a body, as a form holds them.
async fn read_form(
    call: ApiCall,
    gateway: &Gateway,
    parts: &Parts,
    body: Incoming,
) -> Result<String, Box<Reply>> {
    let kind =
        parts.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let boundary = match BodyKind::parse(kind) {
        Some(BodyKind::Multipart) => {
            Some(multipart::boundary(kind).ok_or_else(|| refused(call, &Refusal::UNSUPPORTED_CONTENT_TYPE))?)
        }
        _ => None,
    };
    let read = async {
        let body = read_small(body, gateway.limits.body, gateway.limits.client).await?;
        match boundary {
            Some(boundary) => multipart::as_form(body, boundary).await,
            None => String::from_utf8(body.into()).map_err(|_| BodyError::Broken),
        }
    };
    read.await.map_err(|error| refused_body(call, &error))
}

/// Returns the kind of a body that the call takes. GETs have none, whatever their headers say.
fn body_kind(call: ApiCall, parts: &Parts, body: &Incoming) -> Result<Option<BodyKind>, Box<Reply>> {
    if parts.method != Method::POST || body.is_end_stream() {
        return Ok(None);
    }
    let kind = parts.headers.get(header::CONTENT_TYPE).and_then(|kind| BodyKind::parse(kind.to_str().ok()?));
    match kind.filter(|kind| call.accepts_body(*kind)) {
        Some(kind) => Ok(Some(kind)),
        None => Err(refused(call, &Refusal::UNSUPPORTED_CONTENT_TYPE)),
    }
}

fn refused(call: ApiCall, refusal: &Refusal) -> Box<Reply> {
    Box::new(Reply::refused_to(call, refusal))
}

fn refused_body(call: ApiCall, error: &BodyError) -> Box<Reply> {
    refused(
        call,
        &match error {
            BodyError::TooLarge => too_large(),
            BodyError::Slow => Refusal::validation("Request body took too long"),
            BodyError::Broken => Refusal::validation("Request not recognized"),
            BodyError::Faulty(fault) => faulty(*fault),
        },
    )
}

/// A server would answer with HTTP 500 and a page, and a client is never to see one (design 7).
pub(super) fn faulty(fault: BodyFault) -> Refusal {
    Refusal::validation(fault.to_string())
}

/// A tenant's ids are longer on servers than the tenant wrote them.
fn too_long(scope: &TenantScope) -> Refusal {
    Refusal::validation(format!("Meeting ID must be between 2 and {} characters", scope.id_max()))
}

fn too_large() -> Refusal {
    Refusal::validation("Request body is too large")
}

/// What BBB says where its API is switched off.
pub(super) fn not_enabled() -> Refusal {
    Refusal::new(
        "apiNotEnabled",
        "The API service and/or controller is not enabled on this server. To use it, you must first enable it.",
    )
}
