//! A channel to one address that tells foreign programs from control planes.

use std::task::{Context, Poll};

use tonic::{
    Status,
    body::Body,
    codegen::{BoxFuture, Service, http},
    transport::Channel,
};

use super::exchange::{KeptRequest, exchange};

/// The channel of a single address, before it is chosen.
#[derive(Clone)]
pub(super) struct CheckedChannel {
    pub(super) url: String,
    pub(super) channel: Channel,
}

impl Service<http::Request<Body>> for CheckedChannel {
    type Response = http::Response<Body>;
    type Error = Status;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let Self { url, channel } = self.clone();
        Box::pin(async move { exchange(&url, channel, &KeptRequest::read(request).await?, false).await })
    }
}
