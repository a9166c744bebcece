//! A request that has passed every check.

use std::{borrow::Cow, sync::Arc};

use http::HeaderValue;
use usher_bbb::{
    call::ApiCall,
    parse::{unscoped, with_own_id},
    query::ParameterList,
};
use usher_model::{
    id::{InternalMeetingId, MeetingId, TenantId},
    meeting::MeetingKey,
    routing::TenantRoute,
};

use crate::{
    control::{
        meetings::TenantMeetings,
        table::{LiveTable, TenantSlot},
    },
    core::{admission::ByteHolder, evidence::CallOrigin},
    server::admission::{CallShare, document::RequestDocument},
};

/// A request with a known tenant, a valid checksum and valid parameters.
#[derive(Debug)]
pub(in crate::server) struct VerifiedRequest {
    pub(in crate::server) call: ApiCall,
    /// The cell of the tenant, by its place in the configuration.
    pub(in crate::server) cell: usize,
    pub(in crate::server) tenant: TenantId,
    /// The table by which the request was verified. It is changed in place by deltas.
    pub(in crate::server) table: Arc<LiveTable>,
    /// The tenant, as the table had it when the request was verified.
    pub(in crate::server) route: Arc<TenantRoute>,
    pub(in crate::server) slot: TenantSlot,
    /// The tenant's meetings in the table.
    pub(in crate::server) meetings: Arc<TenantMeetings>,
    /// The signed parameters without the checksum, encoded so that a URL can hold them.
    pub(in crate::server) parameters: ParameterList<'static>,
    /// The meeting, by the id that the caller gave; `None` for calls about no single meeting.
    pub(in crate::server) meeting: Option<MeetingId>,
    pub(in crate::server) document: RequestDocument,
    /// The `Content-Type` of the document.
    pub(in crate::server) content_type: Option<HeaderValue>,
    /// The part of the call in the budget of calls under way, held as long as the request.
    pub(in crate::server) _share: CallShare,
    /// The bytes of the form and of the document.
    pub(in crate::server) _bytes: [ByteHolder; 2],
}

impl VerifiedRequest {
    /// Returns a server's answer with the tenant's own ids in place of those that servers know.
    pub(in crate::server) fn own_ids<'x>(&self, xml: &'x str) -> Cow<'x, str> {
        self.ids().own(xml)
    }

    /// Returns the ids that answers to the request may show.
    pub(in crate::server) fn ids(&self) -> ShownIds {
        ShownIds { meetings: Arc::clone(&self.meetings), given: self.meeting.clone() }
    }

    /// Returns the caller, as evidence about a server that fails the call (X6).
    pub(in crate::server) fn caller(&self) -> CallOrigin {
        CallOrigin {
            tenant: self.tenant.clone(),
            meeting: self.meeting.clone(),
            brings_documents: !self.document.is_empty(),
        }
    }

    /// Returns the key of the meeting.
    pub(in crate::server) fn key(&self) -> Option<MeetingKey> {
        self.meeting.clone().map(|meeting| MeetingKey::new(self.tenant.clone(), meeting))
    }
}

/// The ids of a tenant's meetings in answers of servers.
#[derive(Debug, Clone)]
pub(in crate::server) struct ShownIds {
    meetings: Arc<TenantMeetings>,
    /// The meeting of the request, by the id that the caller gave.
    given: Option<MeetingId>,
}

impl ShownIds {
    /// Returns a server's answer with the tenant's own ids in place of those that servers know.
    pub(in crate::server) fn own<'x>(&self, xml: &'x str) -> Cow<'x, str> {
        let exact = |shown: &str, internal: &str| self.exact_id(shown, internal);
        match unscoped(xml, self.meetings.scope().prefix()) {
            Cow::Borrowed(xml) => with_own_id(xml, exact),
            Cow::Owned(xml) => Cow::Owned(with_own_id(&xml, exact).into_owned()),
        }
    }

    /// Returns the exact id of the meeting that an answer shows as `shown`, if it is another text: the
    /// id of the request, or that of the table.
    fn exact_id(&self, shown: &str, internal: &str) -> Option<String> {
        let instance = InternalMeetingId::parse(internal).ok()?;
        let scope = self.meetings.scope();
        let is_its = |id: &&str| scope.is_instance(id, &instance) || scope.is_unscoped(id, &instance);
        let given = self.given.as_ref().map(MeetingId::as_str).filter(is_its).map(str::to_owned);
        let known =
            || self.meetings.find(internal, |found| found.name.to_owned()).filter(|id| is_its(&&**id));
        given.or_else(known).filter(|id| id != shown)
    }
}
