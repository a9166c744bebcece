//! One request to create a resource.

use std::{sync::Arc, time::Duration};

use usher_bbb::secret::Secret;
use usher_control_plane::{
    core::lifecycle::{AdminError, TenantError},
    notifications::{rules::hooks::RegisteredHook, store::hooks},
    tasks::writer::WriteError,
};
use usher_model::{
    id::TenantId,
    routing::TenantRoute,
    server::{AdminState, Server},
};
use usher_runtime::clock;

use crate::{
    replica::RunningReplica,
    servers::{SimServers, server_id},
    witness::{CreateAnswer, mark_of},
};

/// The timeout of the service behind a call.
const DEADLINE: Duration = Duration::from_secs(5);
/// The first number of the servers that tools create. They are disabled and never called.
const FIRST_SERVER: usize = 1000;

/// The kind of a resource.
#[derive(Debug, Clone, Copy)]
enum ResourceKind {
    Server,
    Tenant,
    Hook,
}

/// A request of one tool.
#[derive(Debug, Clone)]
pub(crate) struct CreateOrder {
    pub(super) tool: u64,
    kind: ResourceKind,
    /// The number of the resource.
    number: u64,
}

impl CreateOrder {
    /// Returns the request of a tool; two successive tools name one resource.
    pub(super) fn new(tool: u64) -> Self {
        let number = tool / 2;
        let kinds = [ResourceKind::Server, ResourceKind::Tenant, ResourceKind::Hook];
        Self { tool, kind: kinds[(number % 3) as usize], number }
    }

    /// Returns the key of the resource in the store.
    pub(super) fn key(&self) -> String {
        match self.kind {
            ResourceKind::Server => format!("servers/{}", self.server().id),
            ResourceKind::Tenant => format!("tenants/{}", self.tenant().id),
            ResourceKind::Hook => hooks::path(&self.hook().tenant, &self.hook().id()),
        }
    }

    /// Has a replica serve the request; `None` if the answer tells the tool to try again.
    pub(super) async fn send(self, replica: Arc<RunningReplica>) -> Option<CreateAnswer> {
        let deadline = clock::now() + DEADLINE;
        let (admin, registry) = replica.creators().ok()?;
        match self.kind {
            ResourceKind::Server => match admin.create_server(&self.server(), deadline).await {
                Ok(()) => Some(CreateAnswer::Own),
                Err(WriteError::Decision(AdminError::Exists)) => Some(CreateAnswer::Exists),
                Err(WriteError::Decision(error)) => Some(CreateAnswer::Refused(error.to_string())),
                Err(_) => None,
            },
            ResourceKind::Tenant => match admin.create_tenant(&self.tenant(), deadline).await {
                Ok(()) => Some(CreateAnswer::Own),
                Err(WriteError::Decision(TenantError::Exists)) => Some(CreateAnswer::Exists),
                Err(WriteError::Decision(error)) => Some(CreateAnswer::Refused(error.to_string())),
                Err(_) => None,
            },
            ResourceKind::Hook => match registry.create(self.hook()).await {
                Ok((_, false)) => Some(CreateAnswer::Own),
                Ok((_, true)) => Some(CreateAnswer::Exists),
                Err(_) => None,
            },
        }
    }

    fn server(&self) -> Server {
        let described = SimServers::described(server_id(FIRST_SERVER + self.number as usize));
        Server { admin: AdminState::Disabled, created_by: Some(mark_of(self.tool)), ..described }
    }

    fn tenant(&self) -> TenantRoute {
        let id = TenantId::parse(&format!("made-{}", self.number)).expect("is an id");
        let secrets = vec![Secret::new(&format!("secret-{}", self.tool))];
        TenantRoute { secrets, created_by: Some(mark_of(self.tool)), ..TenantRoute::new(id) }
    }

    fn hook(&self) -> RegisteredHook {
        RegisteredHook {
            tenant: TenantId::default_tenant(),
            url: format!("https://app.example/{}", self.number),
            meeting: None,
            events: Vec::new(),
            raw: false,
            created_at_ms: 0,
            created_by: Some(mark_of(self.tool)),
        }
    }
}
