//! One connection: PROXY header, TLS, then HTTP/1.1 or HTTP/2. No step waits for a silent client longer
//! than [`SilenceLimits`] allow.

use std::{
    io,
    net::IpAddr,
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};

use futures::poll;
use hyper::server::conn::{http1, http2};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::graceful::GracefulConnection,
};
use tokio::{
    net::TcpStream,
    sync::watch,
    time::{sleep_until, timeout},
};
use tracing::debug;

use usher_runtime::clock;

use super::{
    client_stream::{ClientStream, SocketStream},
    connection_activity::ConnectionActivity,
    connection_policy::{ConnectionState, ConnectionStep, ListenerPhase, SilenceLimits, next_step},
    http_service::{ConnectionAdmission, HttpService, LastAnswerRule},
    proxy_protocol::{self, IpNetwork},
    request_handler::RequestHandler,
    rewound_stream::RewoundStream,
    shutdown_phase::ShutdownPhase,
    tls::TlsCertificate,
};

/// The first bytes of a client that speaks HTTP/2 without TLS to negotiate it (RFC 9113, 3.4).
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Requests that one HTTP/2 connection may have open at the same time.
const HTTP2_STREAMS: u32 = 256;
/// Interval of HTTP/2 pings. A client that has vanished without a word is noticed by them.
const HTTP2_KEEP_ALIVE: Duration = Duration::from_secs(30);
/// Largest HTTP/2 head that hyper accepts, as a multiple of the largest that is served. A head between
/// the two is refused in the handler's words, a larger one by the protocol.
const HTTP2_HEADS: usize = 4;
/// Longest silence of a client over the limit of connections.
const SHED_SILENCE: SilenceLimits = SilenceLimits { head: Duration::from_secs(2), idle: Duration::ZERO };
/// Pause before an idle connection is examined again because unread bytes were found on it.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// The reasons why a connection ends before its client closes it.
#[derive(Debug, thiserror::Error)]
enum ConnectionError {
    #[error("the client is silent")]
    Silent,
    #[error("the client is gone")]
    Gone,
    #[error("the connection broke")]
    Io(#[from] io::Error),
    #[error("PROXY protocol")]
    Proxy(#[from] proxy_protocol::ProxyHeaderError),
    #[error("HTTP")]
    Http(#[from] hyper::Error),
}

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
        let silence = self.silence();
        let mut stream = RewoundStream::new(stream);
        let mut address = Some(peer);
        if self.rules.proxies.iter().any(|network| network.contains(peer)) {
            let header = timeout(silence.head, proxy_protocol::read_header(&mut stream));
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
        if let Some(tls) = &self.rules.tls {
            let secured =
                timeout(silence.head, tls.accept(stream)).await.map_err(|_| ConnectionError::Silent)??;
            let http2 = secured.get_ref().1.alpn_protocol() == Some(b"h2");
            return self.speak(secured, http2, client, phase).await;
        }
        let http2 =
            timeout(silence.head, begins_http2(&mut stream)).await.map_err(|_| ConnectionError::Silent)??;
        self.speak(stream, http2, client, phase).await
    }

    fn silence(&self) -> SilenceLimits {
        match self.admission {
            ConnectionAdmission::Served => self.rules.silence,
            ConnectionAdmission::Shed => SHED_SILENCE,
        }
    }

    async fn speak<S>(
        self,
        stream: S,
        http2: bool,
        client: Option<H::Client>,
        phase: &mut watch::Receiver<ListenerPhase>,
    ) -> Result<(), ConnectionError>
    where
        S: SocketStream + Send + 'static,
    {
        let activity = Arc::new(ConnectionActivity::new());
        let silence = self.silence();
        let handler = Arc::clone(&self.rules.handler);
        let service = HttpService {
            handler: Arc::clone(&handler),
            client,
            last_answer: LastAnswerRule { admission: self.admission, phase: self.phase },
            activity: Arc::clone(&activity),
            head_max: self.rules.head_max,
        };
        let stream = TokioIo::new(ClientStream::new(stream, Arc::clone(&activity), !http2, H::unreadable));
        if http2 {
            let heads = self.rules.head_max.saturating_mul(HTTP2_HEADS);
            let connection = http2::Builder::new(TokioExecutor::new())
                .timer(TokioTimer::new())
                .max_header_list_size(u32::try_from(heads).unwrap_or(u32::MAX))
                .max_concurrent_streams(HTTP2_STREAMS)
                .keep_alive_interval(HTTP2_KEEP_ALIVE)
                .serve_connection(stream, service);
            return serve_http2(connection, phase).await;
        }
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            // hyper's own time-out would close idle connections too, and answer them with HTTP 408.
            .header_read_timeout(None)
            .max_buf_size(self.rules.head_max)
            .serve_connection(stream, service);
        let ended = serve_http1(connection, &activity, silence, phase).await;
        if activity.is_refused() {
            handler.count_unreadable();
        }
        ended
    }
}

/// Serves an HTTP/2 connection. Its end loses no request: the protocol says which requests were taken,
/// and the client sends the others elsewhere.
async fn serve_http2<C>(
    connection: C,
    phase: &mut watch::Receiver<ListenerPhase>,
) -> Result<(), ConnectionError>
where
    C: GracefulConnection<Error = hyper::Error>,
{
    let mut connection = pin!(connection);
    // A connection that was opened while the edge was leaving serves until the listener closes.
    let last_phase = if *phase.borrow_and_update() == ListenerPhase::Leaving {
        ListenerPhase::Closing
    } else {
        ListenerPhase::Leaving
    };
    loop {
        match *phase.borrow_and_update() {
            ListenerPhase::Ended => return Ok(()),
            now if now >= last_phase => connection.as_mut().graceful_shutdown(),
            _ => {}
        }
        tokio::select! {
            ended = connection.as_mut() => return Ok(ended?),
            _ = phase.changed() => {}
        }
    }
}

/// Serves an HTTP/1 connection, and closes it as [`next_step`] decides.
async fn serve_http1<C>(
    connection: C,
    activity: &ConnectionActivity,
    silence: SilenceLimits,
    phase: &mut watch::Receiver<ListenerPhase>,
) -> Result<(), ConnectionError>
where
    C: GracefulConnection<Error = hyper::Error>,
{
    let mut connection = pin!(connection);
    let mut timer = pin!(sleep_until(tokio::time::Instant::now()));
    let mut closing = None;
    loop {
        let (now, state, phase_now) = (clock::now(), activity.state(closing), *phase.borrow_and_update());
        let next_look = match next_step(phase_now, silence, state, now) {
            ConnectionStep::Wait(until) => until,
            ConnectionStep::Cut => return Err(ConnectionError::Silent),
            ConnectionStep::Close
                if !state.busy && has_new_bytes(connection.as_mut(), activity, state).await? =>
            {
                now + LOOK_AGAIN
            }
            ConnectionStep::Close => {
                connection.as_mut().graceful_shutdown();
                closing = Some(now);
                continue;
            }
        };
        timer.as_mut().reset(next_look.into());
        tokio::select! {
            biased;
            ended = connection.as_mut() => return Ok(ended?),
            _ = phase.changed() => {}
            () = timer.as_mut() => {}
        }
    }
}

/// Returns whether bytes have come over a connection that was idle in state `before`. The connection is
/// polled once more, because a request may be in the socket's buffer that hyper has not read yet, and to
/// close the connection now would lose it (S16).
async fn has_new_bytes<C>(
    mut connection: Pin<&mut C>,
    activity: &ConnectionActivity,
    before: ConnectionState,
) -> Result<bool, ConnectionError>
where
    C: GracefulConnection<Error = hyper::Error>,
{
    activity.request_look();
    let ended = poll!(connection.as_mut());
    let unread = activity.take_unread();
    if let std::task::Poll::Ready(ended) = ended {
        ended?;
        return Err(ConnectionError::Gone);
    }
    Ok(unread || activity.state(None) != before)
}

/// Returns whether a connection begins with the HTTP/2 preface. Reads no further than the bytes agree
/// with the preface, and the stream gives them back afterwards.
async fn begins_http2(stream: &mut RewoundStream<TcpStream>) -> io::Result<bool> {
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
