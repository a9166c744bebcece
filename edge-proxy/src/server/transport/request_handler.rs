//! The port through which the transport has requests answered.

use std::{net::IpAddr, time::Instant};

use http::Request;
use hyper::body::Incoming;

use super::response_body::ResponseBody;

/// An answer to a client.
pub(crate) type HttpResponse = http::Response<ResponseBody>;

/// A reason of the transport not to pass a request on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TransportRefusal {
    /// The listener has as many connections as it may have; the client may try again (F13).
    TooManyConnections,
    /// The client sends more requests than it may; it may try again.
    TooManyRequests,
    /// The head of an HTTP/2 request is larger than `edge.max_head`.
    HeadTooLarge,
}

/// A request that hyper could not read, by the status that hyper refuses it with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UnreadableRequest {
    /// HTTP 431: the head is larger than the buffer.
    HeadTooLarge,
    /// HTTP 414: the address is longer than hyper accepts.
    AddressTooLong,
    /// Any other status: the bytes are no HTTP/1 request.
    Malformed,
}

impl UnreadableRequest {
    /// Every reason.
    pub(crate) const ALL: [Self; 3] = [Self::HeadTooLarge, Self::AddressTooLong, Self::Malformed];
}

/// The body of a refusal, with its `Content-Type`.
#[derive(Debug)]
pub(crate) struct RefusalText {
    /// The `Content-Type`.
    pub(crate) content_type: &'static str,
    /// The body.
    pub(crate) body: String,
}

/// Answers requests. The transport calls it by static dispatch.
///
/// Every answer must carry `cache-control`: by that header the transport distinguishes the answers of
/// the handler from those that hyper itself writes.
pub(crate) trait RequestHandler: std::fmt::Debug + Send + Sync + 'static {
    /// The client of one connection, which counts until it is dropped.
    type Client: std::fmt::Debug + Send + Sync + 'static;
    /// The addresses that count as one client.
    type ClientGroup: Send + 'static;

    /// Counts a connection of the client at `address`, which is not that of a proxy; `None` if the client has
    /// as many of `all` connections as it may have.
    fn connect(&self, address: IpAddr, all: usize) -> Option<Self::Client>;

    /// Returns the addresses that count as one client with it.
    fn group(client: &Self::Client) -> Self::ClientGroup;

    /// Counts a request of a client; returns whether the client may send it now.
    fn admits_request(&self, client: &Self::Client, received: Instant) -> bool;

    /// Returns the answer to a request that was received at `received`, if that needs no waiting.
    /// `None` if it takes its time: then the transport calls [`RequestHandler::answer`].
    fn answer_at_once(&self, request: &Request<Incoming>, received: Instant) -> Option<HttpResponse>;

    /// Returns the answer to a request that was received at `received`. `from` is its client, `None` if that
    /// is not known.
    fn answer(
        self: std::sync::Arc<Self>,
        from: Option<Self::ClientGroup>,
        request: Request<Incoming>,
        received: Instant,
    ) -> impl Future<Output = HttpResponse> + Send;

    /// Words the refusal of a request that the transport does not pass on.
    fn refuse(
        &self,
        request: &Request<Incoming>,
        refusal: TransportRefusal,
        received: Instant,
    ) -> HttpResponse;

    /// Words the refusal of a request that cannot be read.
    fn unreadable(request: UnreadableRequest) -> RefusalText;

    /// Counts a request that could not be read.
    fn count_unreadable(&self, request: UnreadableRequest);

    /// Counts a connection that was closed because its client exceeded the limits of HTTP/2.
    fn count_http2_flood(&self);
}
