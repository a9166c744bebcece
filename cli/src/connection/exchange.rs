//! One exchange with one address: a request with its whole body, and an answer that is gRPC.

use http_body_util::{BodyExt as _, Full, Limited};
use tonic::{
    Status,
    body::Body,
    codegen::{Bytes, Service as _, http},
    transport::Channel,
};

use super::address::cause;
use crate::not_control_port::NotControlPort;

/// The largest body of a request or of an answer that is no stream.
const LARGEST_BODY: usize = 64 * 1024 * 1024;

/// A request that can be sent several times.
#[derive(Debug)]
pub(super) struct KeptRequest {
    parts: http::request::Parts,
    body: Bytes,
}

impl KeptRequest {
    /// Reads the body of a request.
    ///
    /// # Errors
    /// The body is too large or fails.
    pub(super) async fn read(request: http::Request<Body>) -> Result<Self, Status> {
        let (parts, body) = request.into_parts();
        Ok(Self { parts, body: whole(body).await?.to_bytes() })
    }

    /// Returns the path `/PACKAGE.SERVICE/METHOD`.
    pub(super) fn path(&self) -> &str {
        self.parts.uri.path()
    }

    fn copy(&self) -> http::Request<Body> {
        http::Request::from_parts(self.parts.clone(), Body::new(Full::new(self.body.clone())))
    }
}

/// Sends the request by `channel`, which leads to `url`. The body of an answer is complete, unless it
/// is a `stream`.
///
/// # Errors
/// The answer did not arrive as a whole, or it is no gRPC. The request may have been carried out.
pub(super) async fn exchange(
    url: &str,
    mut channel: Channel,
    request: &KeptRequest,
    is_stream: bool,
) -> Result<http::Response<Body>, Status> {
    let broken = |why: String| Status::unavailable(format!("{url}: {why}"));
    std::future::poll_fn(|cx| channel.poll_ready(cx)).await.map_err(|error| broken(cause(&error)))?;
    let answer = channel.call(request.copy()).await.map_err(|error| broken(cause(&error)))?;
    let (parts, body) = answer.into_parts();
    let content = parts.headers.get(http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let content = content.unwrap_or_default();
    if !content.starts_with("application/grpc") {
        let content = content.chars().take(40).collect();
        let foreign = NotControlPort { url: url.to_owned(), status: parts.status.as_u16(), content };
        return Err(Status::from_error(foreign.into()));
    }
    if is_stream {
        return Ok(http::Response::from_parts(parts, body));
    }
    let body = whole(body).await.map_err(|status| broken(status.message().to_owned()))?;
    Ok(http::Response::from_parts(parts, Body::new(body)))
}

async fn whole(body: Body) -> Result<http_body_util::Collected<Bytes>, Status> {
    let body = Limited::new(body, LARGEST_BODY).collect().await;
    body.map_err(|error| Status::unavailable(format!("the message did not arrive: {}", cause(&*error))))
}
