//! One connection: PROXY header, TLS, then HTTP/1.1 or HTTP/2. No step waits for a silent client longer
//! than [`SilenceLimits`] allow, and a client that is silent costs no buffer: HTTP begins with the first
//! byte (`connection_rest.rs`).

use std::{io, net::IpAddr, pin::Pin, sync::Arc, time::Duration};

use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{net::TcpStream, sync::watch, time::timeout};
use tracing::debug;

use super::{
    client_stream::{ClientStream, SocketStream},
    connection_activity::ConnectionActivity,
    connection_end::{Http1End, serve_http1, serve_http2},
    connection_error::ConnectionError,
    connection_policy::{ListenerPhase, SilenceLimits},
    connection_rest::{RestEnd, rest},
    http_service::{ConnectionAdmission, HttpService, LastAnswerRule},
    proxy_protocol::{self, IpNetwork},
    request_handler::RequestHandler,
    rewound_stream::RewoundStream,
    shutdown_phase::ShutdownPhase,
    silent_connections::SilentConnections,
    tls::TlsCertificate,
};

/// The first bytes of a client that speaks HTTP/2 without TLS to negotiate it (RFC 9113, 3.4).
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Requests that one HTTP/2 connection may have open at the same time.
const HTTP2_STREAMS: u32 = 256;
/// Requests of an HTTP/2 client that it may withdraw before the edge has taken them. A client that opens
/// and withdraws requests without end loses its connection (CVE-2023-44487).
const HTTP2_RESETS: usize = 20;
/// Requests of an HTTP/2 client that may break the protocol, each alone, before its connection ends.
const HTTP2_FAULTS: usize = 64;
/// Most bytes of answers that one HTTP/2 request has waiting in the protocol's own buffer.
const HTTP2_SEND_BUFFER: usize = 64 << 10;
/// Most bytes of one body that an HTTP/2 client may send before the edge reads them, which it does as fast as it passes
/// the body on. hyper's own default of 1 MiB is meant for few connections.
const HTTP2_STREAM_WINDOW: u32 = 128 << 10;
/// Most such bytes of all requests of one connection: a body that is not read leaves room for others.
const HTTP2_CONNECTION_WINDOW: u32 = 256 << 10;
/// Largest frame that an HTTP/2 client may send, bytes: the least that the protocol allows, because the buffer of a
/// connection keeps the size of its largest frame.
const HTTP2_FRAME: u32 = 16 << 10;
/// Largest HTTP/2 head that hyper accepts, as a multiple of the largest that is served. A head between
/// the two is refused in the handler's words, a larger one by the protocol.
const HTTP2_HEADS: usize = 4;
/// Longest silence of a client over the limit of connections.
const SHED_SILENCE: SilenceLimits = SilenceLimits {
    first: Duration::from_secs(2),
    head: Duration::from_secs(2),
    idle: Duration::ZERO,
    closing: Duration::from_secs(2),
};

/// The settings that all connections of a listener share.
#[derive(Debug)]
pub(super) struct ConnectionRules<H> {
    pub(super) handler: Arc<H>,
    pub(super) tls: Option<TlsCertificate>,
    /// Networks whose PROXY protocol headers are believed.
    pub(super) proxies: Vec<IpNetwork>,
    /// Largest number of connections of all clients.
    pub(super) most: usize,
    /// Largest request head, bytes.
    pub(super) head_max: usize,
    /// How long clients may be silent.
    pub(super) silence: SilenceLimits,
}

/// A connection that was just accepted.
pub(super) struct ClientConnection<H> {
    pub(super) rules: Arc<ConnectionRules<H>>,
    pub(super) phase: ShutdownPhase,
    pub(super) admission: ConnectionAdmission,
    pub(super) silent: Arc<SilentConnections>,
}

impl<H: RequestHandler> ClientConnection<H> {
    /// Serves the requests that come over `stream` from `peer`, until the connection ends.
    pub(super) async fn serve(self, stream: TcpStream, peer: IpAddr) {
        let mut phase = self.phase.follow();
        if let Err(error) = self.open(stream, peer, &mut phase).await {
            // A client may end its connection at any time: no operator has to act on it.
            debug!(%error, "a connection ended");
        }
    }

    async fn open(
        mut self,
        stream: TcpStream,
        peer: IpAddr,
        phase: &mut watch::Receiver<ListenerPhase>,
    ) -> Result<(), ConnectionError> {
        let head = self.silence().head;
        let mut stream = RewoundStream::new(stream);
        let mut address = Some(peer);
        if self.rules.proxies.iter().any(|network| network.contains(peer)) {
            let header = timeout(head, proxy_protocol::read_header(&mut stream));
            address = header.await.map_err(|_| ConnectionError::Silent)??;
        }
        let client = address.map(|address| self.rules.handler.connect(address, self.rules.most));
        let client = match client {
            Some(None) => {
                self.admission = ConnectionAdmission::Shed;
                None
            }
            Some(client) => client,
            None => None,
        };
        let silence = self.silence();
        let activity = Arc::new(ConnectionActivity::new());
        let mut stream = ClientStream::new(stream, Arc::clone(&activity), H::unreadable);
        if rest(&mut stream, &activity, silence, phase, self.silent()).await? == RestEnd::Closed {
            return Ok(());
        }
        let Some(tls) = &self.rules.tls else {
            let http2 = timeout(silence.head, begins_http2(stream.below()));
            let http2 = http2.await.map_err(|_| ConnectionError::Silent)??;
            return self.speak(stream, activity, http2, client, phase).await;
        };
        // On the heap, as each state below that only a part of the connections reaches, or only for a
        // part of their time: the task of a connection is as large as its largest state.
        let secured = Box::pin(timeout(silence.head, tls.accept(stream.into_below())));
        let secured = Box::new(secured.await.map_err(|_| ConnectionError::Silent)??);
        let http2 = secured.get_ref().1.alpn_protocol() == Some(b"h2");
        let activity = Arc::new(ConnectionActivity::new());
        let mut stream = ClientStream::new(RewoundStream::new(secured), Arc::clone(&activity), H::unreadable);
        if rest(&mut stream, &activity, silence, phase, self.silent()).await? == RestEnd::Closed {
            return Ok(());
        }
        Box::pin(self.speak(stream, activity, http2, client, phase)).await
    }

    /// Returns the connections among which this one gives way to a new one while it is silent.
    fn silent(&self) -> Option<&SilentConnections> {
        (self.admission == ConnectionAdmission::Served).then_some(&*self.silent)
    }

    fn silence(&self) -> SilenceLimits {
        match self.admission {
            ConnectionAdmission::Served => self.rules.silence,
            ConnectionAdmission::Shed => SHED_SILENCE,
        }
    }

    async fn speak<S>(
        self,
        mut stream: ClientStream<S>,
        activity: Arc<ConnectionActivity>,
        http2: bool,
        client: Option<H::Client>,
        phase: &mut watch::Receiver<ListenerPhase>,
    ) -> Result<(), ConnectionError>
    where
        S: SocketStream + Send + 'static,
    {
        let service = HttpService {
            handler: Arc::clone(&self.rules.handler),
            client,
            last_answer: LastAnswerRule { admission: self.admission, phase: self.phase.clone() },
            activity: Arc::clone(&activity),
            head_max: self.rules.head_max,
        };
        if http2 {
            stream.speaks_http2();
            let ended = Box::pin(self.speak_http2(stream, service, phase)).await;
            if ended.as_ref().is_err_and(ConnectionError::is_http2_flood) {
                self.rules.handler.count_http2_flood();
            }
            return ended;
        }
        let ended = self.speak_http1(stream, service, phase).await;
        if let Some(request) = activity.refused() {
            self.rules.handler.count_unreadable(request);
        }
        ended
    }

    async fn speak_http1<S>(
        &self,
        mut stream: ClientStream<S>,
        mut service: HttpService<H>,
        phase: &mut watch::Receiver<ListenerPhase>,
    ) -> Result<(), ConnectionError>
    where
        S: SocketStream + Send + 'static,
    {
        let (silence, activity) = (self.silence(), Arc::clone(&service.activity));
        loop {
            // The bytes that ended the rest wait to be read: a connection with a request is not idle.
            activity.heard();
            // The block ends the life of hyper's state and buffers before the rest.
            let parts = {
                let mut connection = Box::new(
                    http1::Builder::new()
                        .timer(TokioTimer::new())
                        // hyper's own time-out would close idle connections too, and answer them with
                        // HTTP 408.
                        .header_read_timeout(None)
                        .max_buf_size(self.rules.head_max)
                        .serve_connection(TokioIo::new(stream), service),
                );
                let served = serve_http1(Pin::new(&mut *connection), &activity, silence, phase);
                if served.await? == Http1End::Ended {
                    return Ok(());
                }
                connection.into_parts()
            };
            (stream, service) = (parts.io.into_inner(), parts.service);
            stream.below().put_back(&parts.read_buf);
            drop(parts.read_buf);
            if rest(&mut stream, &activity, silence, phase, None).await? == RestEnd::Closed {
                return Ok(());
            }
        }
    }

    async fn speak_http2<S>(
        &self,
        stream: ClientStream<S>,
        service: HttpService<H>,
        phase: &mut watch::Receiver<ListenerPhase>,
    ) -> Result<(), ConnectionError>
    where
        S: SocketStream + Send + 'static,
    {
        let (silence, activity) = (self.silence().http2(), Arc::clone(&service.activity));
        let heads = self.rules.head_max.saturating_mul(HTTP2_HEADS);
        let connection = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_header_list_size(u32::try_from(heads).unwrap_or(u32::MAX))
            .max_concurrent_streams(HTTP2_STREAMS)
            .initial_stream_window_size(HTTP2_STREAM_WINDOW)
            .initial_connection_window_size(HTTP2_CONNECTION_WINDOW)
            .max_frame_size(HTTP2_FRAME)
            .max_pending_accept_reset_streams(HTTP2_RESETS)
            .max_local_error_reset_streams(HTTP2_FAULTS)
            .max_send_buf_size(HTTP2_SEND_BUFFER)
            .serve_connection(TokioIo::new(stream), service);
        serve_http2(connection, &activity, silence, phase).await
    }
}

/// Returns whether a connection begins with the HTTP/2 preface. Reads no further than the bytes agree
/// with the preface, and the stream gives them back afterwards.
async fn begins_http2<S: SocketStream>(stream: &mut RewoundStream<S>) -> io::Result<bool> {
    loop {
        let ahead = stream.ahead();
        let length = ahead.len().min(HTTP2_PREFACE.len());
        if ahead[..length] != HTTP2_PREFACE[..length] {
            return Ok(false);
        }
        if length == HTTP2_PREFACE.len() {
            return Ok(true);
        }
        if !stream.read_ahead().await? {
            return Ok(false);
        }
    }
}
