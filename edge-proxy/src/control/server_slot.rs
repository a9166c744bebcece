//! The place of a server, which meetings point at.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use usher_model::{id::ServerId, routing::ServerRoute};

/// One server; its route changes, the slot stays, so that meetings can point at it.
#[derive(Debug)]
pub struct ServerSlot {
    id: ServerId,
    pub(super) route: ArcSwapOption<ServerRoute>,
}

impl ServerSlot {
    pub(super) fn new(id: ServerId) -> Arc<Self> {
        Arc::new(Self { id, route: ArcSwapOption::empty() })
    }

    /// Returns the server's name.
    pub fn id(&self) -> &ServerId {
        &self.id
    }

    /// Returns the server as the table knows it now; `None` when it is not in the table.
    pub fn route(&self) -> arc_swap::Guard<Option<Arc<ServerRoute>>> {
        self.route.load()
    }
}
