//! Connections to servers: TCP, or TLS with the system's certificates, within a time limit.

use std::{
    io,
    net::SocketAddr,
    task::{Context, Poll},
    time::Duration,
    vec,
};

use crate::names::{NameError, NameResolver};
use futures::{FutureExt, future::BoxFuture};
use http::Uri;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::{
    client::legacy::connect::{HttpConnector, dns::Name},
    rt::TokioIo,
};
use tokio::net::TcpStream;
use tower::{BoxError, Service};

/// The system's certificates cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("load the system's certificates")]
pub struct ConnectorError(#[from] io::Error);

/// Connects by TCP or TLS within a time limit. A server that accepts a connection and stays silent
/// counts as unreachable (C2).
#[derive(Clone, Debug)]
pub struct ServerConnector {
    inner: HttpsConnector<HttpConnector<ServerNames>>,
    timeout: Duration,
}

impl ServerConnector {
    /// Makes a connector. Connecting and the TLS handshake together may take `timeout`.
    ///
    /// # Errors
    /// The system's certificates cannot be used.
    pub fn new(timeout: Duration) -> Result<Self, ConnectorError> {
        let mut tcp = HttpConnector::new_with_resolver(ServerNames(NameResolver::system()));
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

/// The addresses of servers by name. The connector itself reads literal addresses.
#[derive(Clone, Debug)]
struct ServerNames(NameResolver);

impl Service<Name> for ServerNames {
    type Response = vec::IntoIter<SocketAddr>;
    type Error = NameError;
    type Future = BoxFuture<'static, Result<Self::Response, NameError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), NameError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let names = self.0.clone();
        async move {
            let addresses = names.resolve(name.as_str()).await?;
            // The connector sets the port of the URL.
            let addresses = addresses.iter().map(|address| SocketAddr::new(*address, 0));
            Ok(addresses.collect::<Vec<_>>().into_iter())
        }
        .boxed()
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
