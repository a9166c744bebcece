//! Calls about webhooks: applications register hooks, which are kept for the whole fleet (ADR 13).

use std::time::{Duration, Instant};

use usher_bbb::{
    call::HookAction,
    reply::{self, Refusal},
};

use usher_runtime::clock;

use crate::{
    control::hooks::{HookClient, HookError, HookRegistration},
    core::{
        admission::ShedReason,
        hooks::{HookCall, ask},
    },
    server::{reply::CallReply, request::VerifiedRequest},
};

/// Answers the calls about webhooks.
#[derive(Debug)]
pub(in crate::server) struct HookCalls {
    pub(in crate::server) planes: HookClient,
    pub(in crate::server) timeout: Duration,
}

impl HookCalls {
    /// Answers a call about webhooks.
    pub(in crate::server) async fn answer(&self, request: &VerifiedRequest, action: HookAction) -> CallReply {
        let wanted = match ask(action, &request.parameters) {
            Ok(wanted) => wanted,
            Err(refusal) => return CallReply::refused(&refusal),
        };
        let deadline = clock::now() + self.timeout;
        match wanted {
            HookCall::Create { url, meeting, events, raw } => {
                let hook = HookRegistration { callback_url: url, meeting, event_ids: events, raw };
                match self.planes.create(&request.tenant, hook, deadline).await {
                    Ok((hook, true)) => CallReply::success(reply::hook_exists(&hook.id)),
                    Ok((hook, false)) => CallReply::success(reply::hook_created(&hook.id, hook.raw)),
                    Err(HookError::Address) => CallReply::refused(&Refusal::CALLBACK_URL_INVALID),
                    Err(HookError::TooMany) => {
                        CallReply::refused(&Refusal::HOOK_NOT_CREATED).over(ShedReason::Hooks)
                    }
                    Err(error) => failed(&Refusal::HOOK_NOT_CREATED, error),
                }
            }
            HookCall::List(meeting) => self.list(request, meeting.as_deref(), deadline).await,
            HookCall::Destroy(id) => match self.planes.delete(&request.tenant, &id, deadline).await {
                Ok(()) => CallReply::success(reply::hook_destroyed()),
                Err(HookError::NotFound | HookError::Address) => CallReply::refused(&Refusal::HOOK_NOT_FOUND),
                Err(error) => failed(&Refusal::HOOK_NOT_REMOVED, error),
            },
        }
    }

    async fn list(&self, request: &VerifiedRequest, meeting: Option<&str>, deadline: Instant) -> CallReply {
        let hooks = match self.planes.list(&request.tenant, deadline).await {
            Ok(hooks) => hooks,
            Err(error) => return failed(&Refusal::HOOKS_NOT_LISTED, error),
        };
        let events: Vec<String> = hooks.iter().map(|hook| hook.event_ids.join(",")).collect();
        let shown = hooks.iter().zip(&events).map(|(hook, events)| reply::HookElement {
            id: &hook.id,
            callback_url: &hook.callback_url,
            meeting_id: hook.meeting_id.as_deref(),
            event_id: Some(events.as_str()).filter(|events| !events.is_empty()),
            raw: hook.raw,
        });
        // With a meeting given, the hooks that get its events: its own, and those for all meetings.
        let gets_events = |hook: &reply::HookElement<'_>| {
            hook.meeting_id.is_none_or(|own| meeting.is_none_or(|meeting| meeting == own))
        };
        CallReply::success(reply::hooks(shown.filter(gets_events)))
    }
}

/// Refuses a call in BBB's words. BBB has no word for "try again", so that `Retry-After` says it.
fn failed(refusal: &Refusal, error: HookError) -> CallReply {
    match error {
        HookError::Unavailable => CallReply::refused_for_now(refusal),
        HookError::Address | HookError::NotFound | HookError::TooMany | HookError::Refused => {
            CallReply::refused(refusal)
        }
    }
}
