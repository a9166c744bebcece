//! The limit of connections. Connections over it take the place of one that has been silent since it was
//! opened, or are shed: some get the retryable answer, and the rest is closed. Connections that have sent
//! a byte are never touched (F13).

use std::{net::SocketAddr, sync::Arc, time::Duration};

use prometheus_client::metrics::{counter::Counter, gauge::Gauge};
use tokio::{
    net::TcpStream,
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use tracing::debug;
use usher_runtime::tasks::TaskGroup;

use super::{
    connection::{ClientConnection, ConnectionRules},
    http_service::ConnectionAdmission,
    request_handler::RequestHandler,
    shutdown_phase::ShutdownPhase,
    silent_connections::SilentConnections,
    tls::TlsCertificate,
};

/// Connections over the limit that get an answer at the same time. Each of them takes a task and
/// a socket, so that further ones are closed at once.
const SHED_AT_ONCE: usize = 64;
/// Longest wait for the place of a silent connection. It is given up at once, or not at all.
const PLACE_WAIT: Duration = Duration::from_millis(100);

/// Admits connections up to the limit.
#[derive(Debug)]
pub(super) struct ConnectionLimit<H> {
    rules: Arc<ConnectionRules<H>>,
    phase: ShutdownPhase,
    served: Arc<Semaphore>,
    shedding: Arc<Semaphore>,
    silent: Arc<SilentConnections>,
    open: Gauge,
    shed: Counter,
}

impl<H: RequestHandler> ConnectionLimit<H> {
    /// Returns a limit of `most` connections at the same time. `open` shows the open connections, and
    /// `shed` counts those over the limit.
    pub(super) fn new(rules: ConnectionRules<H>, most: usize, open: Gauge, shed: Counter) -> Self {
        Self {
            rules: Arc::new(rules),
            phase: ShutdownPhase::new(),
            served: Arc::new(Semaphore::new(most)),
            shedding: Arc::new(Semaphore::new(SHED_AT_ONCE)),
            silent: Arc::new(SilentConnections::new(shed.clone())),
            open,
            shed,
        }
    }

    /// Returns the certificate; `None` if connections are plain.
    pub(super) fn tls(&self) -> Option<TlsCertificate> {
        self.rules.tls.clone()
    }

    /// Returns the phase that all connections follow.
    pub(super) fn phase(&self) -> ShutdownPhase {
        self.phase.clone()
    }

    /// Serves a connection that was accepted from `peer` in one of `tasks`, or closes it.
    pub(super) fn take(&self, stream: TcpStream, peer: SocketAddr, tasks: &TaskGroup) {
        let Some(place) = self.place() else {
            self.shed.inc();
            return;
        };
        if let Err(error) = stream.set_nodelay(true) {
            debug!(%error, "a connection was gone at once");
            return;
        }
        let (rules, phase) = (Arc::clone(&self.rules), self.phase.clone());
        let (silent, shed, open) = (Arc::clone(&self.silent), self.shed.clone(), self.open.clone());
        tasks.spawn_connection(async move {
            let (permit, admission) = place.settled(&silent, &shed).await;
            let open = OpenConnection::new(open, permit);
            let connection = ClientConnection { rules, phase, admission, silent };
            // An IPv4 address that came by an IPv6 socket is compared as an IPv4 address.
            connection.serve(stream, peer.ip().to_canonical()).await;
            drop(open);
        });
    }

    /// Returns a place for a new connection; `None` if there is not even one for its refusal.
    fn place(&self) -> Option<ConnectionPlace> {
        if let Ok(permit) = Arc::clone(&self.served).try_acquire_owned() {
            return Some(ConnectionPlace::Free(permit));
        }
        let permit = Arc::clone(&self.shedding).try_acquire_owned().ok()?;
        Some(ConnectionPlace::OverLimit { permit, served: Arc::clone(&self.served) })
    }
}

/// The place of a new connection.
enum ConnectionPlace {
    /// There is room for it.
    Free(OwnedSemaphorePermit),
    /// It is over the limit, and may wait for the place of a silent one.
    OverLimit { permit: OwnedSemaphorePermit, served: Arc<Semaphore> },
}

impl ConnectionPlace {
    /// Returns the place that the connection gets in the end; `shed` counts it if it is refused.
    async fn settled(
        self,
        silent: &SilentConnections,
        shed: &Counter,
    ) -> (OwnedSemaphorePermit, ConnectionAdmission) {
        let (permit, served) = match self {
            Self::Free(permit) => return (permit, ConnectionAdmission::Served),
            Self::OverLimit { permit, served } => (permit, served),
        };
        if silent.request_one()
            && let Ok(Ok(place)) = timeout(PLACE_WAIT, served.acquire_owned()).await
        {
            return (place, ConnectionAdmission::Served);
        }
        shed.inc();
        (permit, ConnectionAdmission::Shed)
    }
}

/// Counts a connection as open until it is dropped.
struct OpenConnection {
    open: Gauge,
    _permit: OwnedSemaphorePermit,
}

impl OpenConnection {
    fn new(open: Gauge, permit: OwnedSemaphorePermit) -> Self {
        open.inc();
        Self { open, _permit: permit }
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.open.dec();
    }
}
