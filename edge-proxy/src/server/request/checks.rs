//! The checks of a request, in the order of design 7. This file is the only place that knows the order:
//! the fast path of joins and the path of all other calls go through the same types.
//!
//! 1. [`CallHead::read`]: the path names a call that is served, and the call accepts the method.
//! 2. Content type and size of the body, by the verifier. A join by GET has no body that is ever read.
//! 3. [`CallHead::tenant`]: by path, by host, or `default`.
//! 4. [`CallHead::signed`]: the checksum over the raw bytes, then whether the tenant is enabled, then the
//!    limits. A caller without the secret learns neither the state of the tenant nor the limits.
//! 5. [`SignedParameters::meeting_id`]: the parameters.
//!
//! Each check takes the result of the one before it, so that none can be left out.

use std::{borrow::Cow, sync::Arc};

use http::{HeaderMap, Method, Uri, header};
use usher_bbb::{
    call::{ApiCall, CallSigning, ChecksumProblem},
    query::{ParameterList, ParsedQuery},
    reply::Refusal,
};
use usher_model::{
    id::TenantId,
    routing::TenantRoute,
    scope::{SERVER_ID_MAX, TenantScope},
};

use crate::{
    control::table::{TenantSlot, TenantView},
    core::{
        admission::ShedReason,
        authenticate::{UnsignedRequest, authenticate},
        limits,
        request_target::{RequestTarget, host_name, target},
        validate,
    },
    metrics::RequestOutcome,
    server::reply::{CallReply, join_refused},
};

/// Returns the call that a path names, if it is one that is served.
pub(in crate::server) fn served_call(path: &str) -> Option<ApiCall> {
    named_call(path).filter(|call| call.is_served())
}

/// Returns the call that a path names, served or not. A refusal has the format of its answers.
pub(in crate::server) fn named_call(path: &str) -> Option<ApiCall> {
    ApiCall::parse(target(path)?.call)
}

/// Returns whether a call accepts a method. HEAD counts as GET if the call changes nothing; a join only
/// redirects.
fn accepts(call: ApiCall, method: &Method) -> bool {
    if *method == Method::HEAD {
        return call.is_read() || call == ApiCall::Join;
    }
    call.accepts_method(method)
}

/// The head of a request whose path and method name a call.
#[derive(Debug, Clone, Copy)]
pub(in crate::server) struct CallHead<'r> {
    call: ApiCall,
    target: RequestTarget<'r>,
    uri: &'r Uri,
    headers: &'r HeaderMap,
}

/// The tenant that a request belongs to.
#[derive(Debug, Clone, Copy)]
pub(in crate::server) struct RequestTenant<'t> {
    pub(in crate::server) slot: &'t TenantSlot,
    /// The route of `slot`, which the tenant certainly has.
    pub(in crate::server) route: &'t Arc<TenantRoute>,
}

impl<'t> RequestTenant<'t> {
    /// Returns the tenant of a slot, unless it was removed.
    pub(in crate::server) fn of(slot: &'t TenantSlot) -> Option<Self> {
        Some(Self { slot, route: slot.route.as_ref()? })
    }
}

/// Parameters with a valid checksum, without the checksum.
#[derive(Debug)]
pub(in crate::server) struct SignedParameters<'a> {
    call: ApiCall,
    scope: &'a TenantScope,
    list: ParameterList<'a>,
}

impl<'r> CallHead<'r> {
    /// Reads the head of a request; `None` if it names no call that is served, or the call does not
    /// accept the method.
    pub(in crate::server) fn read(method: &Method, uri: &'r Uri, headers: &'r HeaderMap) -> Option<Self> {
        let target = target(uri.path())?;
        let call = ApiCall::parse(target.call)?;
        if !call.is_served() || !accepts(call, method) {
            return None;
        }
        Some(Self { call, target, uri, headers })
    }

    /// Returns the call.
    pub(in crate::server) fn call(&self) -> ApiCall {
        self.call
    }

    /// Returns the parameters of the query, with the checksum.
    pub(in crate::server) fn query(&self) -> ParsedQuery<'r> {
        limits::parsed(self.uri.query().unwrap_or_default())
    }

    /// Returns the tenant that the path names.
    pub(in crate::server) fn path_tenant(&self) -> Option<&'r str> {
        self.target.tenant
    }

    /// Returns the host of the request, in the form in which tenants are looked up.
    pub(in crate::server) fn host(&self) -> Option<String> {
        let authority = self.uri.authority().map(http::uri::Authority::as_str);
        authority.or_else(|| self.headers.get(header::HOST)?.to_str().ok()).map(host_name)
    }

    /// Returns the tenant of the request: by path, by host, else `default`; `None` if it does not exist.
    pub(in crate::server) fn tenant<'t>(&self, tenants: &'t TenantView<'_>) -> Option<RequestTenant<'t>> {
        RequestTenant::of(self.tenant_slot(tenants)?)
    }

    fn tenant_slot<'t>(&self, tenants: &'t TenantView<'_>) -> Option<&'t TenantSlot> {
        if let Some(name) = self.target.tenant {
            return tenants.by_id(name);
        }
        // Most fleets have no tenant with a host: then the host need not be read.
        if tenants.has_hosts()
            && let Some(slot) = self.host().and_then(|host| tenants.by_host(&host))
        {
            return Some(slot);
        }
        tenants.by_id(TenantId::DEFAULT)
    }

    /// Refuses a request whose tenant does not exist.
    pub(in crate::server) fn unknown_tenant(&self) -> Box<CallReply> {
        Box::new(if self.target.tenant.is_some() {
            CallReply::unsupported(Some(self.call))
        } else {
            // There is no tenant `default`: no secret makes any checksum right.
            CallReply::checksum(self.call, ChecksumProblem::Mismatch)
        })
    }

    /// Returns the parameters that the tenant signed, in the query or in `form`, the body as a form.
    ///
    /// # Errors
    /// Returns the refusal if the checksum is missing or wrong, the tenant is disabled, or the parameters exceed
    /// a limit.
    pub(in crate::server) fn signed<'a>(
        &self,
        tenant: RequestTenant<'a>,
        query: ParsedQuery<'a>,
        form: Option<ParsedQuery<'a>>,
    ) -> Result<SignedParameters<'a>, Box<CallReply>> {
        let signed = authenticate(self.call, query, form, &tenant.route.secrets)
            .map_err(|unsigned| self.unsigned(*unsigned))?;
        if !tenant.route.enabled {
            return Err(Box::new(CallReply::refused_to(self.call, &not_enabled())));
        }
        let over = |text: &str, refusal: &Refusal| {
            Box::new(refused(self.call, text, refusal).over(ShedReason::Parameters))
        };
        let list = signed
            .into_parameters()
            .map_err(|surplus| over(surplus.text(), &Refusal::TOO_MANY_PARAMETERS))?;
        limits::check(self.call, &list).map_err(|refusal| over(list.text(), &refusal))?;
        Ok(SignedParameters { call: self.call, scope: tenant.slot.meetings.scope(), list })
    }

    /// Refuses a request without a valid checksum. The recording controller of BBB checks the
    /// parameters before it compares the checksum (wire-contract 1.5).
    fn unsigned(&self, UnsignedRequest { problem, given }: UnsignedRequest<'_>) -> Box<CallReply> {
        let call = self.call;
        if problem == ChecksumProblem::Mismatch && call.signing() == CallSigning::Recording {
            let given = given.into_parameters().map_err(|_| Refusal::TOO_MANY_PARAMETERS);
            let checked = given.and_then(|given| {
                limits::check(call, &given)?;
                validate::check(call, &given).map(|_| ())
            });
            if let Err(refusal) = checked {
                return Box::new(CallReply::refused_to(call, &refusal));
            }
            let accepted = self.headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
            if call.answers_json() && accepted.is_some_and(|accept| accept.contains("application/json")) {
                let refusal = call.checksum_refusal(problem);
                let outcome = RequestOutcome::checksum;
                return Box::new(CallReply { outcome, ..CallReply::refused_to(call, &refusal) });
            }
        }
        Box::new(CallReply::checksum(call, problem))
    }
}

impl<'a> SignedParameters<'a> {
    /// Returns the parameters.
    pub(in crate::server) fn list(&self) -> &ParameterList<'a> {
        &self.list
    }

    /// Returns the parameters with their own text.
    pub(in crate::server) fn into_list(self) -> ParameterList<'static> {
        self.list.into_owned()
    }

    /// Returns the parameters with every byte encoded that a URL cannot hold. A form may contain such
    /// bytes, and its parameters mostly leave in a URL.
    pub(in crate::server) fn into_url_safe(self) -> SignedParameters<'a> {
        SignedParameters { list: self.list.into_url_safe(), ..self }
    }

    /// Checks the parameters, and returns the `meetingID` if the call has one.
    ///
    /// # Errors
    /// Returns the refusal, in BBB's words. A join is refused where the application wants it.
    pub(in crate::server) fn meeting_id(&self) -> Result<Option<Cow<'_, str>>, Box<CallReply>> {
        match validate::check(self.call, &self.list) {
            // Other calls may name a meeting by an id that is too long: then there is no such meeting.
            Ok(Some(id))
                if self.call == ApiCall::Create && self.scope.scoped(&id).length() > SERVER_ID_MAX =>
            {
                Err(Box::new(CallReply::refused_to(self.call, &too_long(self.scope))))
            }
            Ok(id) => Ok(id),
            Err(refusal) => Err(Box::new(refused(self.call, self.list.text(), &refusal))),
        }
    }
}

/// Refuses parameters, in BBB's words. A join is refused where the application wants it.
fn refused(call: ApiCall, parameters: &str, refusal: &Refusal) -> CallReply {
    match call {
        ApiCall::Join => join_refused(parameters, refusal),
        _ => CallReply::refused_to(call, refusal),
    }
}

/// Returns the refusal of an id that is longer on servers, with the tenant's scope, than BBB accepts.
fn too_long(scope: &TenantScope) -> Refusal {
    Refusal::validation(format!("Meeting ID must be between 2 and {} characters", scope.id_max()))
}

/// Returns the refusal of BBB for an API that is switched off.
fn not_enabled() -> Refusal {
    Refusal::new(
        "apiNotEnabled",
        "The API service and/or controller is not enabled on this server. To use it, you must first enable it.",
    )
}
