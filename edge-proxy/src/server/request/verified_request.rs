//! A request that has passed every check.

use std::{borrow::Cow, sync::Arc};

use http::HeaderValue;
use usher_bbb::{call::ApiCall, parse::unscoped, query::ParameterList};
use usher_model::{
    id::{MeetingId, TenantId},
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
        unscoped(xml, self.meetings.scope().prefix())
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
