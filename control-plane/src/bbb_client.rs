//! BBB servers over HTTP: signed calls with deadlines and bounded answers, whose errors never
//! contain a secret, checksum or query.

mod answer_turns;
mod call_failure;
mod hooks;
mod sample;

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderValue, Request, StatusCode, header};
use http_body_util::Empty;
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioTimer},
};
use tokio::time::{Instant, timeout_at};
use usher_bbb::{
    checksum,
    parse::{self, ServerReply},
    query,
    secret::Secret,
};
use usher_model::{
    id::{InternalMeetingId, ServerId},
    server::{Server, ServerSample},
    settings::Settings,
};
use usher_runtime::{
    pending::PendingCalls,
    server_connector::{ConnectorError, ServerConnector},
    telemetry,
};

use self::{
    answer_turns::{AnswerBody, AnswerTurns},
    call_failure::unreadable,
};
use crate::ports::{BbbCallError, BbbServers, EndCallOutcome};

/// Longest pause before the second attempt of a poll.
const RETRY_PAUSE: Duration = Duration::from_millis(200);
/// The time after which idle connections are closed.
const POOL_IDLE: Duration = Duration::from_secs(90);
/// The largest read buffer of a connection, bytes: each server keeps one between its polls.
const READ_BUFFER: usize = 32 << 10;

/// Calls BBB servers.
#[derive(Debug, Clone)]
pub struct BbbClient {
    http: Client<ServerConnector, Empty<Bytes>>,
    answers: AnswerTurns,
    poll_deadline: Duration,
    call_deadline: Duration,
    pending: PendingCalls,
    /// The servers whose webhooks accept SHA-1 only.
    old_hooks: Arc<Mutex<HashSet<ServerId>>>,
}

/// A complete answer.
struct ServerAnswer {
    body: AnswerBody,
    /// The server's clock, if the answer carries one.
    date: Option<SystemTime>,
}

impl BbbClient {
    /// Builds the client.
    ///
    /// # Errors
    /// TLS cannot be set up, for example because the machine has no certificate authorities.
    pub fn new(settings: &Settings, pending: PendingCalls) -> Result<Self, ConnectorError> {
        let http = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(POOL_IDLE)
            .pool_timer(TokioTimer::new())
            .http1_max_buf_size(READ_BUFFER)
            .build(ServerConnector::new(settings.health.connect_timeout)?);
        Ok(Self {
            http,
            answers: AnswerTurns::default(),
            poll_deadline: settings.health.deadline,
            call_deadline: settings.meetings.call_timeout,
            pending,
            old_hooks: Arc::default(),
        })
    }

    async fn call(
        &self,
        server: &Server,
        call: &'static str,
        query: &str,
        budget: Duration,
        deadline: Instant,
    ) -> Result<ServerAnswer, BbbCallError> {
        let _pending = self.pending.enter(format!("server {}", server.id), call);
        let request = request(server, call, query)?;
        let sent = timeout_at(deadline, self.http.request(request)).await;
        let sent = sent.map_err(|_| BbbCallError::Timeout(budget))?;
        let response = sent.map_err(|error| call_failure::of_client(&error))?;
        if response.status() != StatusCode::OK {
            return Err(BbbCallError::Status(response.status().as_u16()));
        }
        let date = response.headers().get(header::DATE);
        let date = date.and_then(|value| value.to_str().ok()).and_then(sample::http_date);
        let body = self.answers.read(response.into_body(), budget, deadline).await?;
        Ok(ServerAnswer { body, date })
    }

    async fn try_poll(
        &self,
        server: &Server,
        watermark: u64,
        deadline: Instant,
    ) -> Result<ServerSample, BbbCallError> {
        let answer = self.call(server, "getMeetings", "", self.poll_deadline, deadline).await?;
        #[expect(
            clippy::disallowed_methods,
            reason = "a real server's clock is compared with the real clock"
        )]
        let now = SystemTime::now();
        sample::read(answer.body.text()?, answer.date, watermark, now)
    }

    /// Makes a call of which only the success matters.
    async fn ask(
        &self,
        server: &Server,
        call: &'static str,
        query: &str,
        deadline: Instant,
    ) -> Result<parse::ReplyHeader, BbbCallError> {
        let answer = self.call(server, call, query, self.call_deadline, deadline).await?;
        parse::outcome(answer.body.text()?).map_err(|error| unreadable(&error))
    }

    async fn try_end(
        &self,
        server: &Server,
        meeting: &InternalMeetingId,
        moderator_password: Option<&Secret>,
        deadline: Instant,
    ) -> Result<EndCallOutcome, BbbCallError> {
        let mut query = format!("meetingID={}", query::encode(meeting.as_str()));
        if let Some(password) = moderator_password {
            query.push_str("&password=");
            query.push_str(&query::encode(password.expose()));
        }
        let outcome = self.ask(server, "end", &query, deadline).await?;
        match outcome.key.as_str() {
            _ if outcome.success => Ok(EndCallOutcome::Requested),
            "notFound" => Ok(EndCallOutcome::NotFound),
            _ => Err(BbbCallError::Failed(outcome.key)),
        }
    }

    /// Reads the moderator password, which `end` needs on old servers; `None` if the meeting is not
    /// listed.
    async fn moderator_password(
        &self,
        server: &Server,
        meeting: &InternalMeetingId,
        deadline: Instant,
    ) -> Result<Option<Secret>, BbbCallError> {
        let answer = self.call(server, "getMeetings", "", self.call_deadline, deadline).await?;
        match parse::meetings(answer.body.text()?).map_err(|error| unreadable(&error))? {
            ServerReply::Failed(failure) => Err(BbbCallError::Failed(failure.key)),
            ServerReply::Success(listed) => {
                let found = listed.into_iter().find(|listed| listed.internal_id == meeting.as_str());
                Ok(found.and_then(|listed| listed.moderator_password))
            }
        }
    }
}

#[async_trait]
impl BbbServers for BbbClient {
    /// Attempts the call twice within one deadline. Both attempts are one poll (requirements A1).
    async fn poll(&self, server: &Server, watermark: u64) -> Result<ServerSample, BbbCallError> {
        let deadline = Instant::now() + self.poll_deadline;
        let first = self.try_poll(server, watermark, deadline).await;
        match first {
            Ok(sample) => Ok(sample),
            // A well-formed refusal would be the same at a second attempt.
            Err(error @ (BbbCallError::Failed(_) | BbbCallError::Timeout(_))) => Err(error),
            Err(error) => {
                let again = Instant::now() + RETRY_PAUSE.min(self.poll_deadline / 10);
                if again >= deadline {
                    return Err(error);
                }
                tokio::time::sleep_until(again).await;
                self.try_poll(server, watermark, deadline).await
            }
        }
    }

    async fn end(
        &self,
        server: &Server,
        meeting: &InternalMeetingId,
        moderator_password: Option<&Secret>,
    ) -> Result<EndCallOutcome, BbbCallError> {
        let deadline = Instant::now() + self.call_deadline;
        let ended = self.try_end(server, meeting, moderator_password, deadline).await;
        // BBB 2.4 ends a meeting only with the moderator password; newer versions do not need it.
        if moderator_password.is_none()
            && matches!(ended, Err(BbbCallError::Failed(_)))
            && let Some(password) = self.moderator_password(server, meeting, deadline).await?
        {
            return self.try_end(server, meeting, Some(&password), deadline).await;
        }
        ended
    }

    async fn exists(&self, server: &Server, meeting: &str) -> Result<bool, BbbCallError> {
        let query = format!("meetingID={}", query::encode(meeting));
        let outcome = self.ask(server, "getMeetingInfo", &query, Instant::now() + self.call_deadline).await?;
        match outcome.key.as_str() {
            _ if outcome.success => Ok(true),
            "notFound" => Ok(false),
            _ => Err(BbbCallError::Failed(outcome.key)),
        }
    }
}

/// Builds a signed request.
fn request(server: &Server, call: &str, query: &str) -> Result<Request<Empty<Bytes>>, BbbCallError> {
    let signed = checksum::sign_query(server.algorithm, call, query.to_owned(), &server.secret);
    let request = Request::get(format!("{}{call}?{signed}", server.url))
        .header(header::ACCEPT, HeaderValue::from_static("*/*"))
        .header(header::USER_AGENT, concat!("usher/", env!("CARGO_PKG_VERSION")))
        .body(Empty::new());
    // The reason may contain the address.
    let mut request = request.map_err(|_| BbbCallError::Connect("the address is no URL".into()))?;
    telemetry::inject(request.headers_mut());
    Ok(request)
}
