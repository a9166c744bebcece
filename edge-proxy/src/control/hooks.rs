//! The client for webhooks: registers the hooks of applications, and hands over the events of
//! servers (ADR 13).

use std::time::{Duration, Instant};

use tonic::{Code, Response, Status};
use tonic_types::StatusExt;
use tracing::{debug, warn};
use usher_model::{
    callback::webhook::WebhookPost,
    id::{MeetingId, ServerId, TenantId},
};
use usher_proto::v1::{self, hook_service_client::HookServiceClient as Client};

use usher_runtime::{
    clock,
    control_planes::{ControlPlanes, PlaneConnection},
    repeated_warnings::RequestWarnings,
};

use super::callbacks::HandOverError;

/// The longest wait for one control plane.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(6);
/// The pause between two rounds of calls to all control planes.
const PAUSE: Duration = Duration::from_millis(250);
/// The largest request and the largest list, in bytes.
const MAX_MESSAGE: usize = 4 << 20;
/// The number of hooks on one page of a list.
const PAGE: i32 = 500;

/// The reason of a control plane that refuses a further hook.
const TOO_MANY_HOOKS: &str = "TOO_MANY_HOOKS";

/// The reason why a call about hooks failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HookError {
    /// The control plane refuses the address of the hook.
    #[error("the control plane refuses the address")]
    Address,
    /// The tenant has no such hook.
    #[error("there is no such hook")]
    NotFound,
    /// The tenant has as many hooks as it may have.
    #[error("the tenant has as many hooks as it may have")]
    TooMany,
    /// The control plane refuses the call, and another try does not help.
    #[error("the control plane refuses it")]
    Refused,
    /// No control plane answers. The caller may try again.
    #[error("no control plane answers")]
    Unavailable,
}

/// A hook that an application registers.
#[derive(Debug, Clone)]
pub struct HookRegistration {
    /// The address that receives the events.
    pub callback_url: String,
    /// The meeting that the hook is for; `None` for all meetings of the tenant.
    pub meeting: Option<MeetingId>,
    /// The events that the hook is for, in lower case; empty for all events.
    pub event_ids: Vec<String>,
    /// Whether events are delivered as they are on the servers' bus, and not mapped.
    pub raw: bool,
}

/// A hook that is registered.
#[derive(Debug, Clone)]
pub struct TenantHook {
    /// The id, unique within the tenant.
    pub id: String,
    /// The address that receives the events.
    pub callback_url: String,
    /// The meeting that the hook is for, as the application wrote it; `None` for all meetings.
    pub meeting_id: Option<String>,
    /// The events that the hook is for; empty for all events.
    pub event_ids: Vec<String>,
    /// Whether events are delivered as they are on the servers' bus, and not mapped.
    pub raw: bool,
}

impl From<v1::Hook> for TenantHook {
    fn from(hook: v1::Hook) -> Self {
        Self {
            id: hook.name.rsplit('/').next().unwrap_or_default().to_owned(),
            callback_url: hook.callback_url,
            meeting_id: Some(hook.meeting_id).filter(|id| !id.is_empty()),
            event_ids: hook.event_ids,
            raw: hook.raw,
        }
    }
}

/// The client for webhooks.
#[derive(Debug, Clone)]
pub struct HookClient {
    planes: ControlPlanes,
    warnings: RequestWarnings,
}

impl HookClient {
    /// Makes a client that calls these control planes.
    pub fn new(planes: ControlPlanes) -> Self {
        Self { planes, warnings: RequestWarnings::default() }
    }

    /// Registers a hook of a tenant. The boolean is true if a hook with this address existed
    /// already.
    ///
    /// # Errors
    /// After `Unavailable` the hook may have been registered.
    pub async fn create(
        &self,
        tenant: &TenantId,
        hook: HookRegistration,
        deadline: Instant,
    ) -> Result<(TenantHook, bool), HookError> {
        let hook = v1::Hook {
            callback_url: hook.callback_url,
            meeting_id: hook.meeting.map(|id| id.to_string()).unwrap_or_default(),
            event_ids: hook.event_ids,
            raw: hook.raw,
            ..v1::Hook::default()
        };
        let request = v1::CreateHookRequest {
            parent: format!("tenants/{tenant}"),
            hook: Some(hook),
            // The call may be repeated at another control plane after a lost answer.
            request_id: format!("{:032x}", rand::random::<u128>()),
        };
        let call = |mut client: Client<PlaneConnection>| {
            let request = request.clone();
            async move { client.create_hook(request).await }
        };
        let created = self.ask(call, deadline).await?.into_inner();
        Ok((created.hook.unwrap_or_default().into(), created.existing))
    }

    /// Returns the hooks of a tenant.
    ///
    /// # Errors
    /// No control plane answers.
    pub async fn list(&self, tenant: &TenantId, deadline: Instant) -> Result<Vec<TenantHook>, HookError> {
        let (mut all, mut page_token) = (Vec::new(), String::new());
        loop {
            let request = v1::ListHooksRequest {
                parent: format!("tenants/{tenant}"),
                page_size: PAGE,
                page_token,
                view: v1::HookView::RevealUrl.into(),
            };
            let call = |mut client: Client<PlaneConnection>| {
                let request = request.clone();
                async move { client.list_hooks(request).await }
            };
            let page = self.ask(call, deadline).await?.into_inner();
            all.extend(page.hooks.into_iter().map(TenantHook::from));
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return Ok(all);
            }
        }
    }

    /// Removes a hook of a tenant.
    ///
    /// # Errors
    /// After `Unavailable` the hook may have been removed.
    pub async fn delete(&self, tenant: &TenantId, id: &str, deadline: Instant) -> Result<(), HookError> {
        let request = v1::DeleteHookRequest { name: format!("tenants/{tenant}/hooks/{id}") };
        let call = |mut client: Client<PlaneConnection>| {
            let request = request.clone();
            async move { client.delete_hook(request).await }
        };
        self.ask(call, deadline).await.map(|_| ())
    }

    /// Hands events over, and tries until `deadline`. On success all deliveries of these events are
    /// in the store.
    ///
    /// # Errors
    /// Some deliveries may have been written. Handing the events over again writes each only once.
    pub async fn accept(
        &self,
        server: &ServerId,
        raw: bool,
        posted: WebhookPost,
        deadline: Instant,
    ) -> Result<(), HandOverError> {
        let request = v1::AcceptEventsRequest {
            server_id: server.to_string(),
            raw,
            events: posted.events,
            timestamp: posted.timestamp,
            domain: posted.domain,
        };
        loop {
            let call = |mut client: Client<PlaneConnection>| {
                let request = request.clone();
                async move { client.accept_events(request).await }
            };
            match self.ask(call, deadline).await {
                Ok(_) => return Ok(()),
                Err(HookError::Unavailable) if clock::now() + PAUSE < deadline => {}
                Err(HookError::Unavailable) => return Err(HandOverError::Unavailable),
                Err(_) => return Err(HandOverError::Refused),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Calls each control plane in turn, until one gives an answer that the others would give as
    /// well.
    async fn ask<T, F>(
        &self,
        call: impl Fn(Client<PlaneConnection>) -> F,
        deadline: Instant,
    ) -> Result<Response<T>, HookError>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        for index in 0..self.planes.len() {
            let left = deadline.saturating_duration_since(clock::now());
            let client = Client::new(self.planes.nth(index).connection.clone())
                .max_encoding_message_size(MAX_MESSAGE)
                .max_decoding_message_size(MAX_MESSAGE);
            let asked = tokio::time::timeout(left.min(ANSWER_TIMEOUT), call(client));
            let answer = asked.await.unwrap_or_else(|_| Err(Status::deadline_exceeded("no answer in time")));
            let status = match answer {
                Ok(answer) => return Ok(answer),
                Err(status) => status,
            };
            match status.code() {
                Code::InvalidArgument => return Err(HookError::Address),
                Code::NotFound => return Err(HookError::NotFound),
                Code::FailedPrecondition => {
                    let reason = status.message();
                    if let Some(held_back) = self.warnings.admit("webhook", "") {
                        warn!(reason, held_back, "a webhook cannot be registered");
                    }
                    let is_too_many =
                        status.get_details_error_info().is_some_and(|info| info.reason == TOO_MANY_HOOKS);
                    return Err(if is_too_many { HookError::TooMany } else { HookError::Refused });
                }
                code => debug!(?code, "a call about webhooks failed at a control plane"),
            }
        }
        Err(HookError::Unavailable)
    }
}
