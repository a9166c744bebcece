//! The listener and its connections. The gate decides how new connections are treated; closing the
//! gate also cuts the open ones.

use std::{
    io,
    net::SocketAddr,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use ::http::Request;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_util::sync::CancellationToken;
use tracing::debug;
use usher_runtime::tasks::TaskGroup;

use crate::{control, faults::ConnectionGate, http, state::ServerState};

/// Most connections that wait to be accepted.
const BACKLOG: u32 = 1024;
/// The time that the answer of a control may take after connections are cut.
const CONTROL_GRACE: Duration = Duration::from_secs(1);

/// The port, with or without a listener. A refusing server keeps the port bound, so that no other
/// process gets it.
enum ListenerPort {
    Listening(TcpListener),
    Bound(TcpSocket),
}

/// Returns a listener on `address`.
pub(crate) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    bind(address)?.listen(BACKLOG)
}

fn bind(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    // With reuse, the port is bound again before the old socket is closed; otherwise another
    // process could take it in between.
    socket.set_reuseport(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// Accepts and serves connections until `stop`.
pub(crate) async fn run(
    state: Arc<ServerState>,
    listener: TcpListener,
    tasks: TaskGroup,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let address = listener.local_addr()?;
    let mut port = ListenerPort::Listening(listener);
    let faults = Arc::clone(&state.faults);
    let mut changed = faults.changes();
    let mut connections = stop.child_token();
    loop {
        changed.mark_unchanged();
        let (gate, until) = faults.wanted_gate();
        let before = faults.applied_gate();
        if gate != before && gate != ConnectionGate::Open {
            connections.cancel();
            connections = stop.child_token();
        }
        port = match (gate, port) {
            (ConnectionGate::Refusing, ListenerPort::Listening(listener)) => {
                let bound = bind(address)?;
                drop(listener);
                ListenerPort::Bound(bound)
            }
            (ConnectionGate::Open | ConnectionGate::Holding, ListenerPort::Bound(socket)) => {
                ListenerPort::Listening(socket.listen(BACKLOG)?)
            }
            (_, port) => port,
        };
        faults.apply_gate(gate);
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            changed = changed.changed() => changed?,
            () = sleep_until(until) => {}
            accepted = accept(&port) => match accepted {
                Ok(stream) if gate == ConnectionGate::Holding => {
                    faults.count_held();
                    let (release, cut) = (faults.release(), connections.clone());
                    tasks.spawn_short("sim-held-connection", hold(stream, release, cut));
                }
                Ok(stream) => {
                    let work = serve(Arc::clone(&state), stream, connections.clone());
                    tasks.spawn_short("sim-connection", work);
                }
                Err(error) => debug!(%error, "accept failed"),
            },
        }
    }
}

async fn accept(port: &ListenerPort) -> io::Result<TcpStream> {
    match port {
        ListenerPort::Listening(listener) => Ok(listener.accept().await?.0),
        ListenerPort::Bound(_) => std::future::pending().await,
    }
}

async fn sleep_until(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant.into()).await,
        None => std::future::pending().await,
    }
}

async fn hold(stream: TcpStream, release: CancellationToken, cut: CancellationToken) {
    tokio::select! {
        () = release.cancelled() => {}
        () = cut.cancelled() => {}
    }
    drop(stream);
}

async fn serve(state: Arc<ServerState>, stream: TcpStream, cut: CancellationToken) {
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%error, "the peer closed the connection");
        return;
    }
    // A request to the simulator's own controls gets its answer even if the request itself cuts the
    // connections.
    let in_control = Arc::new(AtomicBool::new(false));
    let service = service_fn(|request: Request<Incoming>| {
        in_control.store(request.uri().path().starts_with(control::PATH), Ordering::Relaxed);
        http::handle(Arc::clone(&state), request)
    });
    let mut builder = http1::Builder::new();
    let connection = builder.timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    tokio::select! {
        // The cut has priority: a request that was sent after the cut gets no answer, even if this
        // task notices both late.
        biased;
        () = cut.cancelled() => {}
        served = connection.as_mut() => {
            if let Err(error) = served {
                debug!(%error, "connection closed");
            }
            return;
        }
    }
    if in_control.load(Ordering::Relaxed) {
        connection.as_mut().graceful_shutdown();
        if tokio::time::timeout(CONTROL_GRACE, connection).await.is_err() {
            debug!("a control did not end in time");
        }
    }
}
