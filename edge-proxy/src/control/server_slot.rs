//! The slot of a server in the table, which its meetings point at.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use usher_model::{id::ServerId, routing::ServerRoute};

/// One server. Its route changes while the slot stays, so that meetings can point at it.
#[derive(Debug)]
pub struct ServerSlot {
    id: ServerId,
    pub(super) route: ArcSwapOption<ServerRoute>,
}

impl ServerSlot {
    pub(super) fn new(id: ServerId) -> Arc<Self> {
        Arc::new(Self { id, route: ArcSwapOption::empty() })
    }

    /// Returns the id of the server.
    pub fn id(&self) -> &ServerId {
        &self.id
    }

    /// Returns the route of the server as the table has it now; `None` if the server is not in the
    /// table.
    pub fn route(&self) -> arc_swap::Guard<Option<Arc<ServerRoute>>> {
        self.route.load()
    }
}
