//! `CallbackService`: the calls of edges about callbacks.

use std::time::Duration;

use tonic::{Request, Response, Status};
use tracing::debug;
use usher_model::{callback::CallbackKind, id::ServerId, meeting::MeetingKey};
use usher_proto::v1::{
    self, AcceptCallbackRequest, AcceptCallbackResponse, GetCallbackKeyRequest, GetCallbackKeyResponse,
    callback_service_server::CallbackService,
};
use usher_runtime::{clock, tasks::TaskGroup};

use crate::{
    grpc::{deadline, status::RpcRefusal},
    notifications::{
        rules::{
            delivery::{Delivery, DeliveryForm, shares::SpaceRefusal},
            ids::DeliveryId,
        },
        tasks::{
            callback_key::CallbackKeys,
            deliveries::{DeliveryBook, DeliveryError},
        },
    },
    tasks::{fleet_handle::FleetHandle, poll_requests::PollRequests},
};

/// Longest time of a poll that follows an end callback.
const POLL_WITHIN: Duration = Duration::from_secs(15);

/// The implementation of `CallbackService`.
pub(crate) struct CallbackIntake {
    /// The store of waiting callbacks.
    pub(crate) deliveries: DeliveryBook,
    /// The key that seals callback addresses.
    pub(crate) keys: CallbackKeys,
    /// The fleet, which knows the meetings' servers.
    pub(crate) fleet: FleetHandle,
    /// Requests a poll of a server that reports the end of a meeting.
    pub(crate) polls: PollRequests,
    /// The group that owns those polls.
    pub(crate) tasks: TaskGroup,
}

#[tonic::async_trait]
impl CallbackService for CallbackIntake {
    async fn get_callback_key(
        &self,
        request: Request<GetCallbackKeyRequest>,
    ) -> Result<Response<GetCallbackKeyResponse>, Status> {
        let key = self.keys.get(deadline::of(request.metadata())).await;
        let key = key.ok_or_else(|| RpcRefusal::retry("NOT_READY", "the store has not been read yet"))?;
        Ok(Response::new(GetCallbackKeyResponse { key: key.expose().to_owned() }))
    }

    async fn accept_callback(
        &self,
        request: Request<AcceptCallbackRequest>,
    ) -> Result<Response<AcceptCallbackResponse>, Status> {
        let deadline = deadline::of(request.metadata());
        let request = request.into_inner();
        let kind = kind_of(request.kind()).ok_or_else(|| RpcRefusal::field("kind", "must be named"))?;
        let id =
            DeliveryId::parse(&request.id).map_err(|error| RpcRefusal::field("id", error.to_string()))?;
        let server = ServerId::parse(&request.server_id)
            .map_err(|error| RpcRefusal::field("server_id", error.to_string()))?;
        let key = request.key.clone().ok_or_else(|| RpcRefusal::field("key", "is missing"))?;
        let meeting = MeetingKey::try_from(key).map_err(RpcRefusal::from)?;
        if !request.url.is_empty() {
            let delivery =
                delivery(kind, meeting.clone(), server.clone(), request, self.deliveries.now_ms())?;
            let written = tokio::time::timeout_at(deadline.into(), self.deliveries.accept(&id, &delivery));
            let late = || RpcRefusal::Deadline("the store did not take it by the deadline".into());
            written.await.map_err(|_| late())?.map_err(refusal)?;
        }
        if kind.is_end() {
            self.look_again(&meeting, &server);
        }
        Ok(Response::new(AcceptCallbackResponse {}))
    }
}

impl CallbackIntake {
    /// Polls a server that reports the end of a meeting. The report itself removes no record: any
    /// sender may know the callback's address, and the record may belong to a newer instance.
    fn look_again(&self, meeting: &MeetingKey, server: &ServerId) {
        let lives_there = self
            .fleet
            .read(|fleet| fleet.record(meeting).is_some_and(|record| record.value.server == *server));
        if !lives_there {
            return;
        }
        let (polls, server) = (self.polls.clone(), server.clone());
        self.tasks.spawn_short("poll of an ended meeting", async move {
            if let Err(error) = polls.ask(&server, clock::now() + POLL_WITHIN).await {
                debug!(%server, %error, "poll after an end callback not made, the next one follows");
            }
        });
    }
}

fn delivery(
    kind: CallbackKind,
    meeting: MeetingKey,
    server: ServerId,
    request: AcceptCallbackRequest,
    accepted_at_ms: i64,
) -> Result<Delivery, RpcRefusal> {
    let form = match request.form() {
        v1::CallbackForm::Get => DeliveryForm::Get,
        v1::CallbackForm::SignedForm => DeliveryForm::SignedForm,
        v1::CallbackForm::BearerJson => DeliveryForm::BearerJson,
        v1::CallbackForm::Webhook | v1::CallbackForm::Unspecified => {
            return Err(RpcRefusal::field("form", "must be named"));
        }
    };
    let is_web = |url: &url::Url| matches!(url.scheme(), "http" | "https") && url.has_host();
    if !url::Url::parse(&request.url).is_ok_and(|url| is_web(&url)) {
        return Err(RpcRefusal::field("url", "is no web address"));
    }
    Ok(Delivery {
        meeting,
        server,
        kind,
        form,
        url: request.url,
        body: request.body,
        accepted_at_ms,
        attempts: 0,
        waited: Duration::ZERO,
        last_error: String::new(),
        retries_asked: 0,
        hook: None,
        order_ms: 0,
        said_again: 0,
    })
}

/// Converts the error of a delivery.
pub(crate) fn refusal(error: DeliveryError) -> RpcRefusal {
    match error {
        DeliveryError::Store(error) => RpcRefusal::store(&error).for_edge(),
        DeliveryError::NoSpace(SpaceRefusal::Full) => {
            RpcRefusal::retry("TOO_MANY_DELIVERIES", error.to_string())
        }
        // No other replica has space either.
        DeliveryError::NoSpace(_) => {
            RpcRefusal::Exhausted { reason: "DELIVERY_SHARE", problem: error.to_string() }
        }
        DeliveryError::NotFound => RpcRefusal::NotFound { kind: "delivery", name: String::new() },
        DeliveryError::Changed => RpcRefusal::Conflict(error.to_string()),
    }
}

fn kind_of(kind: v1::CallbackKind) -> Option<CallbackKind> {
    Some(match kind {
        v1::CallbackKind::Ended => CallbackKind::Ended,
        v1::CallbackKind::EndedMeta => CallbackKind::EndedMeta,
        v1::CallbackKind::RecordingReady => CallbackKind::RecordingReady,
        v1::CallbackKind::Analytics => CallbackKind::Analytics,
        v1::CallbackKind::Other => CallbackKind::Other,
        // Events arrive by `HookService`.
        v1::CallbackKind::Webhook | v1::CallbackKind::Unspecified => return None,
    })
}

/// Converts a kind of callback into its message.
pub(crate) fn kind_on_wire(kind: CallbackKind) -> v1::CallbackKind {
    match kind {
        CallbackKind::Ended => v1::CallbackKind::Ended,
        CallbackKind::EndedMeta => v1::CallbackKind::EndedMeta,
        CallbackKind::RecordingReady => v1::CallbackKind::RecordingReady,
        CallbackKind::Analytics => v1::CallbackKind::Analytics,
        CallbackKind::Other => v1::CallbackKind::Other,
        CallbackKind::Webhook => v1::CallbackKind::Webhook,
    }
}
