//! `HookService`: webhooks, for applications through the edges and for operators. An address is
//! shown only on request (I14).

use std::time::Instant;

use tonic::{Request, Response, Status};
use usher_model::{
    id::{MeetingId, ServerId, TenantId},
    meeting::MeetingKey,
};
use usher_proto::{
    time::timestamp,
    v1::{
        self, AcceptEventsRequest, AcceptEventsResponse, CreateHookRequest, CreateHookResponse,
        DeleteHookRequest, DeleteHookResponse, GetHookRequest, GetHookResponse, ListHooksRequest,
        ListHooksResponse, hook_service_server::HookService,
    },
};

use super::callbacks;
use crate::{
    grpc::{deadline, name, page::PageRequest, request_mark, status::RpcRefusal},
    notifications::{
        rules::{delivery::target, hooks::RegisteredHook, ids::HookId},
        tasks::hooks::{ServerEvents, WebhookError, WebhookRegistry},
    },
};

/// The implementation of `HookService`.
pub(crate) struct HookAdmin(pub(crate) WebhookRegistry);

#[tonic::async_trait]
impl HookService for HookAdmin {
    async fn create_hook(
        &self,
        request: Request<CreateHookRequest>,
    ) -> Result<Response<CreateHookResponse>, Status> {
        let deadline = deadline::of(request.metadata());
        let request = request.into_inner();
        let mark = request_mark::of(&request.request_id, &request)?;
        let tenant = name::parse_tenant("parent", &request.parent)?;
        let hook = request.hook.ok_or_else(|| RpcRefusal::field("hook", "is missing"))?;
        let meeting = Some(hook.meeting_id).filter(|id| !id.is_empty());
        let meeting = meeting.map(|id| MeetingId::parse(&id)).transpose();
        let wanted = RegisteredHook {
            tenant,
            url: hook.callback_url,
            meeting: meeting.map_err(|error| RpcRefusal::field("hook.meeting_id", error.to_string()))?,
            events: hook.event_ids,
            raw: hook.raw,
            created_at_ms: 0,
            created_by: Some(mark),
        };
        let parent = request.parent;
        let (hook, existing) =
            within(deadline, self.0.create(wanted)).await.map_err(|error| refusal(error, parent))?;
        Ok(Response::new(CreateHookResponse {
            hook: Some(on_wire(&hook, v1::HookView::RevealUrl)),
            existing,
        }))
    }

    async fn list_hooks(
        &self,
        request: Request<ListHooksRequest>,
    ) -> Result<Response<ListHooksResponse>, Status> {
        let deadline = deadline::of(request.metadata());
        let request = request.into_inner();
        let page = PageRequest::parse(request.page_size, &request.page_token)?;
        let tenant = name::parse_tenant_parent("parent", &request.parent)?;
        let view = request.view();
        let all = within(deadline, self.0.list(tenant.as_ref())).await;
        let all = all.map_err(|error| refusal(error, request.parent))?;
        let key = |hook: &RegisteredHook| format!("{}/{}", hook.tenant, hook.id());
        let page = page.cut(all.into_iter(), key, |hook| on_wire(&hook, view));
        Ok(Response::new(ListHooksResponse {
            hooks: page.items,
            next_page_token: page.next,
            total_size: page.total,
        }))
    }

    async fn get_hook(&self, request: Request<GetHookRequest>) -> Result<Response<GetHookResponse>, Status> {
        let deadline = deadline::of(request.metadata());
        let request = request.into_inner();
        let (tenant, id) = parse("name", &request.name)?;
        let all = within(deadline, self.0.list(Some(&tenant))).await;
        let all = all.map_err(|error| refusal(error, request.name.clone()))?;
        let found = all.into_iter().find(|hook| hook.id() == id);
        let found = found.ok_or_else(|| refusal(WebhookError::NotFound, request.name.clone()))?;
        Ok(Response::new(GetHookResponse { hook: Some(on_wire(&found, request.view())) }))
    }

    async fn delete_hook(
        &self,
        request: Request<DeleteHookRequest>,
    ) -> Result<Response<DeleteHookResponse>, Status> {
        let deadline = deadline::of(request.metadata());
        let name = request.into_inner().name;
        let (tenant, id) = parse("name", &name)?;
        within(deadline, self.0.delete(&tenant, &id)).await.map_err(|error| refusal(error, name))?;
        Ok(Response::new(DeleteHookResponse {}))
    }

    async fn accept_events(
        &self,
        request: Request<AcceptEventsRequest>,
    ) -> Result<Response<AcceptEventsResponse>, Status> {
        let deadline = deadline::of(request.metadata());
        let request = request.into_inner();
        let server = ServerId::parse(&request.server_id)
            .map_err(|error| RpcRefusal::field("server_id", error.to_string()))?;
        let arrival = ServerEvents {
            server: &server,
            raw: request.raw,
            events: &request.events,
            timestamp: &request.timestamp,
            domain: &request.domain,
        };
        let accepted = within(deadline, self.0.accept(arrival)).await;
        accepted.map_err(|error| refusal(error, request.server_id.clone()))?;
        Ok(Response::new(AcceptEventsResponse {}))
    }
}

async fn within<T>(
    deadline: Instant,
    work: impl Future<Output = Result<T, WebhookError>>,
) -> Result<T, WebhookError> {
    let late = || WebhookError::Store(crate::ports::StoreError::Unknown("no answer by the deadline".into()));
    tokio::time::timeout_at(deadline.into(), work).await.unwrap_or_else(|_| Err(late()))
}

/// Converts the reason why a hook request fails; `name` is the resource of the request.
pub(crate) fn refusal(error: WebhookError, name: String) -> RpcRefusal {
    let problem = error.to_string();
    match error {
        WebhookError::Store(error) => RpcRefusal::store(&error).for_edge(),
        WebhookError::Delivery(error) => callbacks::refusal(error),
        WebhookError::Unfit(unfit) => RpcRefusal::field(&format!("hook.{}", unfit.field), unfit.problem),
        WebhookError::NoAddress => {
            RpcRefusal::Precondition { reason: "NO_PUBLIC_URL", subject: "public_url".into(), problem }
        }
        WebhookError::TooMany(_) => {
            RpcRefusal::Precondition { reason: "TOO_MANY_HOOKS", subject: name, problem }
        }
        WebhookError::NoTenant => RpcRefusal::NotFound { kind: "tenant", name },
        WebhookError::NotFound => RpcRefusal::NotFound { kind: "hook", name },
        WebhookError::OtherContent => RpcRefusal::other_content(&format!("a hook of {name}")),
        WebhookError::Changed => RpcRefusal::Conflict(problem),
        WebhookError::NotReady => RpcRefusal::retry("NOT_READY", problem),
    }
}

fn parse(field: &str, name: &str) -> Result<(TenantId, HookId), RpcRefusal> {
    let wrong = || RpcRefusal::field(field, "write it as `tenants/TENANT/hooks/ID`");
    let (tenant, id) =
        name.strip_prefix("tenants/").and_then(|rest| rest.split_once("/hooks/")).ok_or_else(wrong)?;
    Ok((TenantId::parse(tenant).map_err(|_| wrong())?, HookId::parse(id).map_err(|_| wrong())?))
}

fn on_wire(hook: &RegisteredHook, view: v1::HookView) -> v1::Hook {
    let meeting = hook.meeting.clone().map(|id| MeetingKey::new(hook.tenant.clone(), id));
    v1::Hook {
        name: format!("{}/hooks/{}", name::tenant(&hook.tenant), hook.id()),
        callback_url: if view == v1::HookView::RevealUrl { hook.url.clone() } else { String::new() },
        target: target(&hook.url),
        meeting_id: hook.meeting.as_ref().map(ToString::to_string).unwrap_or_default(),
        event_ids: hook.events.clone(),
        raw: hook.raw,
        create_time: Some(timestamp(hook.created_at_ms)),
        meeting: meeting.map(|key| name::meeting(&key)).unwrap_or_default(),
    }
}
