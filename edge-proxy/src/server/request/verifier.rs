//! Verifies whole requests: the checks of [`CallHead`], and between them the body.

use std::{sync::Arc, time::Duration};

use http::{Request, header, request::Parts};
use http_body::Body as _;
use hyper::body::Incoming;
use usher_bbb::{
    call::{ApiCall, BodyKind, CallStrategy, LocalAnswer},
    reply::{self, Refusal},
};
use usher_model::id::MeetingId;

use super::{
    checks::{CallHead, named_call},
    tenant_search::{LocatedTenant, find_tenant},
    verified_request::VerifiedRequest,
};
use crate::{
    control::cell_directory::CellDirectory,
    core::{
        admission::{ByteBudget, ByteHolder, ByteOwner},
        document_body::DocumentBody,
        limits,
    },
    metrics::RequestOutcome,
    server::{
        admission::{
            TenantBudget,
            body::{BodyError, BodyLimits, read_small},
            document::RequestDocument,
            multipart,
        },
        reply::CallReply,
    },
};

/// Verifies requests by the routing table.
#[derive(Debug)]
pub(in crate::server) struct RequestVerifier {
    /// The cells, with their routing tables.
    pub(in crate::server) cells: Arc<CellDirectory>,
    /// The budget of calls under way.
    pub(in crate::server) budget: TenantBudget,
    /// The budget of bytes in memory.
    pub(in crate::server) bytes: ByteBudget,
    /// The limits of request bodies.
    pub(in crate::server) bodies: BodyLimits,
    /// Longest time in which a document, as far as it is held in memory, has to come.
    pub(in crate::server) documents: Duration,
    /// Whether calls of bbb-webhooks are served.
    pub(in crate::server) serves_hooks: bool,
}

impl RequestVerifier {
    /// Verifies a request, and reads its body as far as its parameters are in it.
    ///
    /// # Errors
    /// Returns the answer if none of the calls has to give it: mostly a refusal, and for the root of
    /// the API and `hooks/ping` the answer itself.
    pub(in crate::server) async fn verify(
        &self,
        request: Request<Incoming>,
    ) -> Result<VerifiedRequest, Box<CallReply>> {
        let (parts, body) = request.into_parts();
        let unsupported = || Box::new(CallReply::unsupported(named_call(parts.uri.path())));
        let head = CallHead::read(&parts.method, &parts.uri, &parts.headers).ok_or_else(unsupported)?;
        let call = head.call();
        if call.is_of_webhooks() && !self.serves_hooks {
            return Err(unsupported());
        }
        if call.strategy() == CallStrategy::Local(LocalAnswer::Ping) {
            return Err(Box::new(CallReply::text(reply::PING)));
        }
        let kind = body_kind(call, &parts, &body)?;
        // A body that is not read has no limit: the join at once never looks at one either.
        if kind.is_some() && body.size_hint().lower() > self.bodies.largest {
            return Err(Box::new(CallReply::unread(call, BodyError::TooLarge)));
        }
        if call.strategy() == CallStrategy::Local(LocalAnswer::Version) {
            return Err(version(&parts));
        }
        let found = find_tenant(&self.cells, &head).await?;
        let tenant = &found.route.id;
        let mut body = Some(body);
        // The parts of a text track are its file, which goes to a server as it is.
        let is_form = kind == Some(BodyKind::Form)
            || (kind == Some(BodyKind::Multipart) && call != ApiCall::PutRecordingTextTrack);
        let query = head.query();
        let mut form_bytes = self.bytes.holder(ByteOwner::Claimed(tenant.clone()));
        let mut document_bytes = self.bytes.holder(ByteOwner::Tenant(tenant.clone()));
        // Beside signed parameters in the query, those of a body do not count.
        let form = match body.take_if(|_| is_form && query.is_bare()) {
            Some(body) => Some(self.read_form(call, &parts, body, &mut form_bytes).await?),
            None => None,
        };
        let signed = head.signed(found.tenant(), query, form.map(limits::parsed));
        let signed = signed.map_err(|refusal| found.judged(call, refusal))?.into_url_safe();
        let meeting = signed.meeting_id()?.map(|id| MeetingId::parse(&id)).transpose();
        let meeting = meeting.map_err(|_| refused(call, &Refusal::MEETING_ID_LENGTH))?;
        // Only now: a share that anybody could take in a tenant's name would be none.
        let share = self.budget.admit(call, &found.route, self.cells.tenants());
        let share = share.map_err(|reason| Box::new(CallReply::shed(call, reason)))?;
        let is_upload = kind == Some(BodyKind::Xml) || call == ApiCall::PutRecordingTextTrack;
        let check = (kind == Some(BodyKind::Xml)).then(DocumentBody::default);
        let document = match body.filter(|_| kind.is_some() && is_upload) {
            Some(body) => {
                RequestDocument::take(body, check, self.bodies, self.documents, &mut document_bytes)
                    .await
                    .map_err(|error| Box::new(CallReply::unread(call, error)))?
            }
            None => RequestDocument::None,
        };
        let parameters = signed.into_list();
        let content_type = parts.headers.get(header::CONTENT_TYPE).cloned();
        let found = found.answering(&self.cells, call, meeting.as_ref())?;
        let LocatedTenant { cell, table, slot, route, .. } = found;
        let (tenant, meetings) = (route.id.clone(), Arc::clone(&slot.meetings));
        Ok(VerifiedRequest {
            call,
            cell,
            tenant,
            table,
            route,
            slot,
            meetings,
            parameters,
            meeting,
            document,
            content_type,
            _share: share,
            _bytes: [form_bytes, document_bytes],
        })
    }

    /// Reads the parameters in a body, as a form holds them.
    async fn read_form(
        &self,
        call: ApiCall,
        parts: &Parts,
        body: Incoming,
        bytes: &mut ByteHolder,
    ) -> Result<String, Box<CallReply>> {
        let kind =
            parts.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let boundary = match BodyKind::parse(kind) {
            Some(BodyKind::Multipart) => Some(
                multipart::boundary(kind).ok_or_else(|| refused(call, &Refusal::UNSUPPORTED_CONTENT_TYPE))?,
            ),
            _ => None,
        };
        let read = async {
            let body = read_small(body, self.bodies, bytes).await?;
            match boundary {
                Some(boundary) => multipart::as_form(body, boundary).await,
                None => String::from_utf8(body.into()).map_err(|_| BodyError::Broken),
            }
        };
        read.await.map_err(|error| Box::new(CallReply::unread(call, error)))
    }
}

/// Returns the answer of the API's root: the version, as JSON if the request is of that type.
fn version(parts: &Parts) -> Box<CallReply> {
    let is_json = parts.headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind == "application/json");
    Box::new(if is_json {
        CallReply::json(reply::root_json(), RequestOutcome::success)
    } else {
        CallReply::success(reply::root())
    })
}

/// Returns the kind of the body if the call accepts it, and `None` if the request has no body that is read. BBB
/// reads the modules of a create at any method. Every other body of a GET is ignored, as a form is by BBB.
fn body_kind(call: ApiCall, parts: &Parts, body: &Incoming) -> Result<Option<BodyKind>, Box<CallReply>> {
    if body.is_end_stream() {
        return Ok(None);
    }
    let kind = parts.headers.get(header::CONTENT_TYPE).and_then(|kind| BodyKind::parse(kind.to_str().ok()?));
    let kind = kind.filter(|kind| call.accepts_body(*kind));
    if parts.method != http::Method::POST {
        return Ok(kind.filter(|kind| *kind == BodyKind::Xml));
    }
    match kind {
        Some(kind) => Ok(Some(kind)),
        None => Err(refused(call, &Refusal::UNSUPPORTED_CONTENT_TYPE)),
    }
}

fn refused(call: ApiCall, refusal: &Refusal) -> Box<CallReply> {
    Box::new(CallReply::refused_to(call, refusal))
}
