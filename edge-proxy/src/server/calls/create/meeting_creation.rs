//! One create on its way through the tries.

use std::sync::Arc;

use prometheus_client::metrics::counter::Counter;
use tokio::time::Instant;
use usher_bbb::query::ParameterEdits;
use usher_model::{
    meeting::MeetingKey,
    routing::{RouteState, ServerRoute},
};
use usher_runtime::{repeated_warnings::RequestWarnings, tasks::TaskGroup};

use crate::{
    control::{current_table::CurrentTable, placement::PlacementClient},
    core::{evidence::CallOrigin, rules::PlacementWishes},
    server::{
        admission::CallTimeouts,
        callback_sealer::CallbackSealer,
        fleet::{meeting_locator::in_table, server_calls::ServerCalls},
        request::VerifiedRequest,
    },
};

/// The ports that a create needs.
#[derive(Debug)]
pub(in crate::server) struct CreatePorts {
    pub(in crate::server) placement: PlacementClient,
    pub(in crate::server) current: Arc<CurrentTable>,
    pub(in crate::server) servers: ServerCalls,
    pub(in crate::server) addresses: Option<Arc<CallbackSealer>>,
    pub(in crate::server) timeouts: CallTimeouts,
    pub(in crate::server) tasks: TaskGroup,
    pub(in crate::server) warnings: RequestWarnings,
    /// Counts the creates that another server took.
    pub(in crate::server) second_tries: Counter,
}

/// One create.
pub(super) struct MeetingCreation {
    pub(super) ports: Arc<CreatePorts>,
    pub(super) request: VerifiedRequest,
    pub(super) key: MeetingKey,
    /// The changes of the parameters for any server. Those for one server are the number and the addresses
    /// of callbacks.
    pub(super) edits: ParameterEdits<'static>,
    pub(super) wishes: PlacementWishes,
    /// SHA-256 of the caller's parameters, by which control planes recognize a repeated create.
    pub(super) digest: [u8; 32],
    /// The name of this create for the control planes.
    pub(super) token: String,
    /// Whether the server fetches documents before it answers.
    pub(super) brings_documents: bool,
    pub(super) deadline: Instant,
}

impl MeetingCreation {
    /// Returns whether the create is of a breakout room, whose server is that of its parent.
    pub(super) fn is_room(&self) -> bool {
        self.wishes.parent.is_some()
    }

    /// Returns the caller. A presentation of the tenant's own policy is fetched by the server too.
    pub(super) fn caller(&self) -> CallOrigin {
        CallOrigin { brings_documents: self.brings_documents, ..self.request.caller() }
    }

    /// Returns whether a poll has found the meeting on `server`, although this create is unconfirmed.
    pub(super) fn is_listed(&self, server: &ServerRoute) -> bool {
        in_table(&self.request)
            .is_some_and(|owner| owner.server.id == server.id && matches!(owner.state, RouteState::Active(_)))
    }
}
