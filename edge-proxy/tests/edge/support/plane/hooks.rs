//! The webhook service of the fake control plane.

use std::collections::HashMap;

use tonic::{Code, Request, Response, Status};
use tonic_types::{ErrorDetails, StatusExt};
use usher_proto::v1::{self, hook_service_server::HookService};

use super::{FakePlane, Heard};

#[tonic::async_trait]
impl HookService for FakePlane {
    async fn create_hook(
        &self,
        request: Request<v1::CreateHookRequest>,
    ) -> Result<Response<v1::CreateHookResponse>, Status> {
        self.answer(move |plane| {
            let request = request.into_inner();
            let mut hook = request.hook.expect("is set");
            if !hook.callback_url.starts_with("http") {
                return Err(Status::invalid_argument("is no address"));
            }
            let mut state = plane.state();
            let known = state.hooks.values().find(|known| {
                known.name.starts_with(&request.parent) && known.callback_url == hook.callback_url
            });
            if let Some(known) = known.cloned() {
                return Ok(v1::CreateHookResponse { hook: Some(known), existing: true });
            }
            if state.hooks.len() >= state.hooks_max.unwrap_or(usize::MAX) {
                let details = ErrorDetails::with_error_info("TOO_MANY_HOOKS", "usher", HashMap::new());
                return Err(Status::with_error_details(Code::FailedPrecondition, "too many", details));
            }
            hook.name = format!("{}/hooks/id-{}", request.parent, state.hooks.len());
            state.hooks.insert(hook.name.clone(), hook.clone());
            Ok(v1::CreateHookResponse { hook: Some(hook), existing: false })
        })
        .await
    }

    /// Edges do not call it.
    async fn get_hook(
        &self,
        _: Request<v1::GetHookRequest>,
    ) -> Result<Response<v1::GetHookResponse>, Status> {
        Err(Status::unimplemented("no edge asks for one hook"))
    }

    async fn list_hooks(
        &self,
        request: Request<v1::ListHooksRequest>,
    ) -> Result<Response<v1::ListHooksResponse>, Status> {
        self.answer(move |plane| {
            let request = request.into_inner();
            // A page has one hook, so that every reader has to follow the pages.
            let of = format!("{}/", request.parent);
            let state = plane.state();
            let own = state.hooks.values().filter(|hook| hook.name.starts_with(&of));
            let mut rest = own.filter(|hook| hook.name > request.page_token);
            let hooks: Vec<v1::Hook> = rest.next().cloned().into_iter().collect();
            let more = rest.next().is_some();
            let last = hooks.last().map(|hook| hook.name.clone()).filter(|_| more);
            Ok(v1::ListHooksResponse { hooks, next_page_token: last.unwrap_or_default(), total_size: 0 })
        })
        .await
    }

    async fn delete_hook(
        &self,
        request: Request<v1::DeleteHookRequest>,
    ) -> Result<Response<v1::DeleteHookResponse>, Status> {
        self.answer(move |plane| {
            let gone = plane.state().hooks.remove(&request.into_inner().name);
            gone.map(|_| v1::DeleteHookResponse {}).ok_or_else(|| Status::not_found("no such hook"))
        })
        .await
    }

    async fn accept_events(
        &self,
        request: Request<v1::AcceptEventsRequest>,
    ) -> Result<Response<v1::AcceptEventsResponse>, Status> {
        self.answer(move |plane| {
            drop(plane.note(Heard::Events(request.into_inner()))?);
            Ok(v1::AcceptEventsResponse {})
        })
        .await
    }
}
