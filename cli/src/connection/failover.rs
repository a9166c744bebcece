//! The channel of every call: one address serves the calls, and the next one takes over when it does
//! not answer. A call whose answer was lost is sent again where that is harmless.

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use tokio::sync::Mutex;
use tonic::{
    Code, Status,
    body::Body,
    codegen::{BoxFuture, Bytes, Service, http},
    transport::Channel,
};
use tonic_types::StatusExt as _;
use usher_runtime::clock;

use super::{
    address::PlaneAddress,
    credentials::CallCredentials,
    exchange::{KeptRequest, exchange},
    probe::{self, AnsweringPlane},
};
use crate::{
    args::GlobalOptions, core::repetition::Repetition, exit::CommandFailure, not_control_port::NotControlPort,
};

/// Attempts of a call, all addresses together.
const ATTEMPTS: usize = 4;
/// Pause before an attempt at an address that has just failed.
const PAUSE: Duration = Duration::from_millis(300);

/// A channel to the control planes of the options; clones share the connection.
#[derive(Clone)]
pub struct FailoverChannel(Arc<PlaneLinks>);

struct PlaneLinks {
    addresses: Vec<PlaneAddress>,
    credentials: CallCredentials,
    /// Longest time of a call with all its attempts.
    longest: Duration,
    current: Mutex<CurrentPlane>,
}

/// The address that serves the calls.
struct CurrentPlane {
    place: usize,
    /// `None` after the address failed.
    channel: Option<Channel>,
}

impl FailoverChannel {
    /// Connects to the first address that answers.
    ///
    /// # Errors
    /// An address is malformed, or none answers.
    pub async fn connect(
        global: &GlobalOptions,
        credentials: CallCredentials,
    ) -> Result<Self, CommandFailure> {
        let (addresses, longest) = (PlaneAddress::all(global)?, global.timeout);
        let places = (0..addresses.len()).collect();
        let AnsweringPlane { place, channel, .. } =
            probe::find(&addresses, places, &credentials, longest).await?;
        let current = Mutex::new(CurrentPlane { place, channel: Some(channel) });
        Ok(Self(Arc::new(PlaneLinks { addresses, credentials, longest, current })))
    }
}

impl Service<http::Request<Body>> for FailoverChannel {
    type Response = http::Response<Body>;
    type Error = Status;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let links = Arc::clone(&self.0);
        Box::pin(async move { links.call(KeptRequest::read(request).await?).await })
    }
}

impl PlaneLinks {
    async fn call(&self, request: KeptRequest) -> Result<http::Response<Body>, Status> {
        let repetition = Repetition::of(request.path());
        let give_up = clock::now() + self.longest;
        let others = self.addresses.len() - 1;
        let (mut was_sent, mut last) = (false, None);
        for attempt in 0..ATTEMPTS.max(self.addresses.len()) {
            if attempt > others {
                tokio::time::sleep(PAUSE).await;
            }
            let left = give_up.saturating_duration_since(clock::now());
            if left.is_zero() {
                break;
            }
            let (place, channel) = match self.current(left).await {
                Ok(current) => current,
                // The first attempt says at once that no address answers.
                Err(status) if !was_sent => return Err(status),
                Err(status) => {
                    last.get_or_insert(status);
                    continue;
                }
            };
            let url = &self.addresses[place].url;
            let patience = repetition.patience(left, others.saturating_sub(attempt));
            let answer = exchange(url, channel, &request, repetition == Repetition::Stream);
            let late =
                |_| Err(Status::deadline_exceeded(format!("{url} did not answer within {patience:?}")));
            match tokio::time::timeout(patience, answer).await.unwrap_or_else(late) {
                Ok(response) => match Status::from_header_map(response.headers()).map(|status| status.code())
                {
                    Some(Code::Unavailable) if repetition.is_harmless() && attempt < others => {
                        self.leave(place).await;
                        was_sent |= may_be_done(&response);
                        last = None;
                    }
                    // The first attempt, whose answer was lost, removed the resource.
                    Some(Code::NotFound) if was_sent && repetition == Repetition::Gone => {
                        return Ok(nothing());
                    }
                    _ => return Ok(response),
                },
                Err(status) if NotControlPort::in_causes_of(&status).is_some() => return Err(status),
                Err(status) => {
                    self.leave(place).await;
                    if !repetition.is_harmless() {
                        return Err(unknown(&status));
                    }
                    was_sent = true;
                    last = Some(status);
                }
            }
        }
        let late = || Status::deadline_exceeded("no control plane answered in time");
        let status = last.unwrap_or_else(late);
        Err(if reads(request.path()) { status } else { unknown(&status) })
    }

    /// Returns the address that serves the calls, or another one that answers.
    async fn current(&self, longest: Duration) -> Result<(usize, Channel), Status> {
        let mut current = self.current.lock().await;
        if let Some(channel) = &current.channel {
            return Ok((current.place, channel.clone()));
        }
        // The address that failed comes last.
        let count = self.addresses.len();
        let places = (1..=count).map(|step| (current.place + step) % count).collect();
        let found = probe::find(&self.addresses, places, &self.credentials, longest).await;
        let found = found.map_err(|failure| Status::unavailable(failure.to_string()))?;
        *current = CurrentPlane { place: found.place, channel: Some(found.channel.clone()) };
        Ok((found.place, found.channel))
    }

    /// Takes an address out of use until it answers again.
    async fn leave(&self, place: usize) {
        let mut current = self.current.lock().await;
        if current.place == place {
            current.channel = None;
        }
    }
}

/// Returns whether a call that was answered by `UNAVAILABLE` may have been carried out.
fn may_be_done(response: &http::Response<Body>) -> bool {
    let status = Status::from_header_map(response.headers());
    let reason = status.and_then(|status| status.get_details_error_info()).map(|info| info.reason);
    reason.is_none_or(|reason| reason != "NOT_READY")
}

fn reads(path: &str) -> bool {
    let method = path.rsplit('/').next().unwrap_or_default();
    ["List", "Get", "Watch"].iter().any(|word| method.starts_with(word))
}

fn unknown(status: &Status) -> Status {
    let text = status.message();
    Status::new(
        status.code(),
        format!("{text}; it is unknown whether the command was carried out: look before you repeat it"),
    )
}

/// Returns the answer of a call without a result.
fn nothing() -> http::Response<Body> {
    // A gRPC message of no bytes: not compressed, length 0.
    let message = http_body_util::Full::new(Bytes::from_static(&[0; 5]));
    let mut trailers = http::HeaderMap::new();
    trailers.insert("grpc-status", http::HeaderValue::from_static("0"));
    let body = http_body_util::BodyExt::with_trailers(message, std::future::ready(Some(Ok(trailers))));
    let mut response = http::Response::new(Body::new(body));
    response
        .headers_mut()
        .insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/grpc"));
    response
}
