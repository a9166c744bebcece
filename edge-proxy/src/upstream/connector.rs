//! Connections to servers: TCP, or TLS with the system's certificates, within a time limit.

use std::{
    io,
    task::{Context, Poll},
    time::Duration,
};

use futures::{FutureExt, future::BoxFuture};
use http::Uri;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::{client::legacy::connect::HttpConnector, rt::TokioIo};
use tokio::net::TcpStream;
use tower::{BoxError, Service};

/// The system's certificates cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("load the system's certificates")]
pub struct ConnectorError(#[from] io::Error);

/// Connects by TCP or TLS within a time limit. A server that accepts a connection and stays silent
/// counts as unreachable (C2).
#[derive(Clone, Debug)]
pub(super) struct ServerConnector {
    inner: HttpsConnector<HttpConnector>,
    timeout: Duration,
}

impl ServerConnector {
    /// Makes a connector. Connecting and the TLS handshake together may take `timeout`.
    pub(super) fn new(timeout: Duration) -> Result<Self, ConnectorError> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(Duration::from_secs(30)));
        let inner = HttpsConnectorBuilder::new()
            .with_provider_and_platform_verifier(rustls::crypto::aws_lc_rs::default_provider())?
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        Ok(Self { inner, timeout })
    }
}

impl Service<Uri> for ServerConnector {
    type Response = MaybeHttpsStream<TokioIo<TcpStream>>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = tokio::time::timeout(self.timeout, self.inner.call(uri));
        async move { connecting.await? }.boxed()
    }
}
