//! One connection: PROXY header, TLS, then HTTP/1.1 or HTTP/2. Nothing is waited for longer than
//! the patience for a client.

use std::{io, net::IpAddr, sync::Arc, time::Duration};

use hyper::server::conn::{http1, http2};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::graceful::Watcher,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tracing::debug;

use super::{Rules, prefixed::Prefixed, proxy};
use crate::server::gateway::Service;

/// What a client that speaks HTTP/2 without being asked sends first.
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Requests that one HTTP/2 connection may have open.
const HTTP2_STREAMS: u32 = 256;
const HTTP2_KEEP_ALIVE: Duration = Duration::from_secs(30);

/// A connection that comes to nothing.
#[derive(Debug, thiserror::Error)]
enum ConnectionError {
    #[error("the client is silent")]
    Silent,
    #[error("the connection broke")]
    Io(#[from] io::Error),
    #[error("PROXY protocol")]
    Proxy(#[from] proxy::ProxyError),
    #[error("HTTP")]
    Http(#[from] hyper::Error),
}

/// A connection that was just accepted.
pub(super) struct Connection {
    pub(super) rules: Arc<Rules>,
    pub(super) watcher: Watcher,
}

impl Connection {
    /// Serves it to its end.
    pub(super) async fn serve(self, stream: TcpStream, peer: IpAddr) {
        if let Err(error) = self.open(stream, peer).await {
            // Clients come and go as they like: nothing anybody must act on.
            debug!(%error, "a connection ended");
        }
    }

    async fn open(self, stream: TcpStream, peer: IpAddr) -> Result<(), ConnectionError> {
        let mut stream = Prefixed::new(stream);
        if self.rules.proxies.iter().any(|network| network.contains(peer)) {
            timeout(self.rules.patience, proxy::read_header(&mut stream))
                .await
                .map_err(|_| ConnectionError::Silent)??;
        }
        if let Some(tls) = &self.rules.tls {
            let secured = timeout(self.rules.patience, tls.accept(stream))
                .await
                .map_err(|_| ConnectionError::Silent)??;
            let http2 = secured.get_ref().1.alpn_protocol() == Some(b"h2");
            return self.speak(secured, http2).await;
        }
        let http2 = timeout(self.rules.patience, begins_http2(&mut stream))
            .await
            .map_err(|_| ConnectionError::Silent)??;
        self.speak(stream, http2).await
    }

    async fn speak<S>(self, stream: S, http2: bool) -> Result<(), ConnectionError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let service = Service(Arc::clone(&self.rules.gateway));
        let stream = TokioIo::new(stream);
        if http2 {
            let connection = http2::Builder::new(TokioExecutor::new())
                .timer(TokioTimer::new())
                .max_header_list_size(u32::try_from(self.rules.head_max).unwrap_or(u32::MAX))
                .max_concurrent_streams(HTTP2_STREAMS)
                .keep_alive_interval(HTTP2_KEEP_ALIVE)
                .serve_connection(stream, service);
            return Ok(self.watcher.watch(connection).await?);
        }
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.rules.patience)
            .max_buf_size(self.rules.head_max)
            .serve_connection(stream, service);
        Ok(self.watcher.watch(connection).await?)
    }
}

/// Looks at the first bytes, no further than they are an HTTP/2 preface.
async fn begins_http2(stream: &mut Prefixed<TcpStream>) -> io::Result<bool> {
    loop {
        let ahead = stream.ahead();
        let length = ahead.len().min(HTTP2_PREFACE.len());
        if ahead[..length] != HTTP2_PREFACE[..length] {
            return Ok(false);
        }
        if length == HTTP2_PREFACE.len() {
            return Ok(true);
        }
        if !stream.look_further().await? {
            return Ok(false);
        }
    }
}
