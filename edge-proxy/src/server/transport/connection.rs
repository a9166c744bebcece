//! One connection: PROXY header, TLS, then HTTP/1.1 or HTTP/2. Nothing is waited for longer than
//! the patience for a client.

use std::{
    io,
    net::IpAddr,
    pin::{Pin, pin},
    sync::Arc,
    time::{Duration, Instant},
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

use super::{
    Rules,
    client_stream::{Transport, Wire},
    connection_activity::Pulse,
    proxy_protocol,
    rewound_stream::Prefixed,
    shutdown_phase::Life,
};
use crate::{
    metrics::Outcome,
    server::router::{Admission, Service},
    server::transport::connection_policy::{Phase, Seen, Silence, Step, decide},
};

/// What a client that speaks HTTP/2 without being asked sends first.
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Requests that one HTTP/2 connection may have open.
const HTTP2_STREAMS: u32 = 256;
const HTTP2_KEEP_ALIVE: Duration = Duration::from_secs(30);
/// HTTP/2 heads that are taken in, as a multiple of the largest that is served: what lies between
/// is refused in BBB's words, what is larger by the protocol.
const HTTP2_HEADS: usize = 4;
/// Longest silence of a client over the limit of connections.
const SHED_SILENCE: Silence = Silence { head: Duration::from_secs(2), idle: Duration::ZERO };
/// Time for a request that has come to be read before its connection is looked at again.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// A connection that comes to nothing.
#[derive(Debug, thiserror::Error)]
enum ConnectionError {
    #[error("the client is silent")]
    Silent,
    #[error("the client is gone")]
    Gone,
    #[error("the connection broke")]
    Io(#[from] io::Error),
    #[error("PROXY protocol")]
    Proxy(#[from] proxy_protocol::ProxyError),
    #[error("HTTP")]
    Http(#[from] hyper::Error),
}

/// A connection that was just accepted.
pub(super) struct Connection {
    pub(super) rules: Arc<Rules>,
    pub(super) life: Life,
    /// Whether its requests are served.
    pub(super) admission: Admission,
}

impl Connection {
    /// Serves it to its end.
    pub(super) async fn serve(self, stream: TcpStream, peer: IpAddr) {
        let mut phase = self.life.follow();
        if let Err(error) = self.open(stream, peer, &mut phase).await {
            // Clients come and go as they like: nothing anybody must act on.
            debug!(%error, "a connection ended");
        }
    }

    async fn open(
        self,
        stream: TcpStream,
        peer: IpAddr,
        phase: &mut watch::Receiver<Phase>,
    ) -> Result<(), ConnectionError> {
        let silence = self.silence();
        let mut stream = Prefixed::new(stream);
        if self.rules.proxies.iter().any(|network| network.contains(peer)) {
            timeout(silence.head, proxy_protocol::read_header(&mut stream))
                .await
                .map_err(|_| ConnectionError::Silent)??;
        }
        if let Some(tls) = &self.rules.tls {
            let secured =
                timeout(silence.head, tls.accept(stream)).await.map_err(|_| ConnectionError::Silent)??;
            let http2 = secured.get_ref().1.alpn_protocol() == Some(b"h2");
            return self.speak(secured, http2, phase).await;
        }
        let http2 =
            timeout(silence.head, begins_http2(&mut stream)).await.map_err(|_| ConnectionError::Silent)??;
        self.speak(stream, http2, phase).await
    }

    fn silence(&self) -> Silence {
        match self.admission {
            Admission::Served => self.rules.silence,
            Admission::Shed => SHED_SILENCE,
        }
    }

    async fn speak<S>(
        self,
        stream: S,
        http2: bool,
        phase: &mut watch::Receiver<Phase>,
    ) -> Result<(), ConnectionError>
    where
        S: Transport + Send + 'static,
    {
        let pulse = Arc::new(Pulse::new());
        let silence = self.silence();
        let gateway = Arc::clone(&self.rules.gateway);
        let service = Service {
            gateway: Arc::clone(&gateway),
            admission: self.admission,
            life: self.life,
            pulse: Arc::clone(&pulse),
            head_max: self.rules.head_max,
        };
        let stream = TokioIo::new(Wire::new(stream, Arc::clone(&pulse), !http2));
        if http2 {
            let heads = self.rules.head_max.saturating_mul(HTTP2_HEADS);
            let connection = http2::Builder::new(TokioExecutor::new())
                .timer(TokioTimer::new())
                .max_header_list_size(u32::try_from(heads).unwrap_or(u32::MAX))
                .max_concurrent_streams(HTTP2_STREAMS)
                .keep_alive_interval(HTTP2_KEEP_ALIVE)
                .serve_connection(stream, service);
            return until_told(connection, phase).await;
        }
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(None) // it would close idle connections too
            .max_buf_size(self.rules.head_max)
            .serve_connection(stream, service);
        let ended = watched(connection, &pulse, silence, phase).await;
        if pulse.is_refused() {
            gateway.metrics.count(None, Outcome::refused, Instant::now());
        }
        ended
    }
}

/// Serves an HTTP/2 connection. It can be ended without losing a request: the client is told which
/// ones were taken.
async fn until_told<C>(connection: C, phase: &mut watch::Receiver<Phase>) -> Result<(), ConnectionError>
where
    C: GracefulConnection<Error = hyper::Error>,
{
    let mut connection = pin!(connection);
    // One that was opened while leaving serves until the listener closes.
    let told = if *phase.borrow_and_update() == Phase::Leaving { Phase::Closing } else { Phase::Leaving };
    loop {
        match *phase.borrow_and_update() {
            Phase::Over => return Ok(()),
            now if now >= told => connection.as_mut().graceful_shutdown(),
            _ => {}
        }
        tokio::select! {
            ended = connection.as_mut() => return Ok(ended?),
            _ = phase.changed() => {}
        }
    }
}

/// Serves an HTTP/1 connection, and closes it as [`decide`] says.
async fn watched<C>(
    connection: C,
    pulse: &Pulse,
    silence: Silence,
    phase: &mut watch::Receiver<Phase>,
) -> Result<(), ConnectionError>
where
    C: GracefulConnection<Error = hyper::Error>,
{
    let mut connection = pin!(connection);
    let mut timer = pin!(sleep_until(tokio::time::Instant::now()));
    let mut closing = None;
    loop {
        let (now, seen, phase_now) = (Instant::now(), pulse.seen(closing), *phase.borrow_and_update());
        let look = match decide(phase_now, silence, seen, now) {
            Step::Wait(until) => until,
            Step::Cut => return Err(ConnectionError::Silent),
            Step::Close if !seen.busy && something_came(connection.as_mut(), pulse, seen).await? => {
                now + LOOK_AGAIN
            }
            Step::Close => {
                connection.as_mut().graceful_shutdown();
                closing = Some(now);
                continue;
            }
        };
        timer.as_mut().reset(look.into());
        tokio::select! {
            biased;
            ended = connection.as_mut() => return Ok(ended?),
            _ = phase.changed() => {}
            () = timer.as_mut() => {}
        }
    }
}

/// Looks a last time whether an idle connection is idle: a request may have come that nobody has
/// read yet.
async fn something_came<C>(
    mut connection: Pin<&mut C>,
    pulse: &Pulse,
    before: Seen,
) -> Result<bool, ConnectionError>
where
    C: GracefulConnection<Error = hyper::Error>,
{
    pulse.ask();
    let ended = poll!(connection.as_mut());
    let unread = pulse.take_unread();
    if let std::task::Poll::Ready(ended) = ended {
        ended?;
        return Err(ConnectionError::Gone);
    }
    Ok(unread || pulse.seen(None) != before)
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
