//! The service that hyper calls for each request of one connection.

use std::{convert::Infallible, future::Ready, pin::Pin, sync::Arc, time::Instant};

use futures::future::Either;
use http::{HeaderValue, Request, Version, header};
use hyper::body::Incoming;

use usher_runtime::clock;

use super::{
    connection_activity::ConnectionActivity,
    request_handler::{HttpResponse, RequestHandler, TransportRefusal},
    shutdown_phase::ShutdownPhase,
};

/// A request whose answer takes its time.
type PendingAnswer = Pin<Box<dyn Future<Output = Result<HttpResponse, Infallible>> + Send>>;

/// Whether the requests of a connection are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ConnectionAdmission {
    /// The requests are served.
    Served,
    /// The connection is one over the limit: its requests are refused, and the client may try again
    /// (F13).
    Shed,
}

/// Decides whether an answer is the last one of its connection.
#[derive(Debug, Clone)]
pub(super) struct LastAnswerRule {
    pub(super) admission: ConnectionAdmission,
    pub(super) phase: ShutdownPhase,
}

impl LastAnswerRule {
    /// Marks the last answer of an HTTP/1.1 connection as such. The client then sends its next request
    /// over another connection, and none into a connection that is being closed (S16). HTTP/2 has a
    /// frame of its own for that.
    fn applied(&self, version: Version, mut response: HttpResponse) -> HttpResponse {
        let is_last = self.phase.is_leaving() || self.admission == ConnectionAdmission::Shed;
        if version < Version::HTTP_2 && is_last {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// The requests of one connection on their way to the handler.
#[derive(Debug)]
pub(super) struct HttpService<H: RequestHandler> {
    pub(super) handler: Arc<H>,
    /// The client; `None` if its address is not known.
    pub(super) client: Option<H::Client>,
    pub(super) last_answer: LastAnswerRule,
    pub(super) activity: Arc<ConnectionActivity>,
    /// Largest request head, bytes.
    pub(super) head_max: usize,
}

impl<H: RequestHandler> hyper::service::Service<Request<Incoming>> for HttpService<H> {
    type Response = HttpResponse;
    type Error = Infallible;
    type Future = Either<Ready<Result<HttpResponse, Infallible>>, PendingAnswer>;

    /// Answers without a task or an allocation of its own if the handler can answer at once: joins of
    /// known meetings are the hot path.
    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let received = clock::now();
        self.activity.request();
        let version = request.version();
        if let Some(response) = self.answer_at_once(&request, received) {
            self.activity.mark();
            return Either::Left(std::future::ready(Ok(self.last_answer.applied(version, response))));
        }
        let (handler, last_answer) = (Arc::clone(&self.handler), self.last_answer.clone());
        let from = self.client.as_ref().map(H::group);
        let in_progress = Arc::clone(&self.activity).answering();
        Either::Right(Box::pin(async move {
            let response = handler.answer(from, request, received).await;
            drop(in_progress);
            Ok(last_answer.applied(version, response))
        }))
    }
}

impl<H: RequestHandler> HttpService<H> {
    fn answer_at_once(&self, request: &Request<Incoming>, received: Instant) -> Option<HttpResponse> {
        let refusal = if self.last_answer.admission == ConnectionAdmission::Shed {
            TransportRefusal::TooManyConnections
        } else if request.version() == Version::HTTP_2 && head_size(request) > self.head_max {
            TransportRefusal::HeadTooLarge
        } else if let Some(client) = &self.client
            && !self.handler.admits_request(client, received)
        {
            TransportRefusal::TooManyRequests
        } else {
            return self.handler.answer_at_once(request, received);
        };
        Some(self.handler.refuse(request, refusal, received))
    }
}

/// Returns the size of a request's head as HTTP/2 counts it, in bytes. HTTP/1 heads are limited by the
/// size of hyper's buffer instead.
fn head_size<B>(request: &Request<B>) -> usize {
    let uri = request.uri();
    let address = uri.authority().map_or(0, |authority| authority.as_str().len())
        + uri.path_and_query().map_or(0, |path| path.as_str().len());
    // RFC 9113, 6.5.2: every field counts 32 bytes more than it is long.
    let fields = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 32);
    address + fields.sum::<usize>()
}
