//! The limit of connections. Connections over it are shed: some get the retryable answer, and the
//! rest is closed. Connections that are open are never touched (F13).

use std::{net::SocketAddr, sync::Arc};

use prometheus_client::metrics::{counter::Counter, gauge::Gauge};
use tokio::{
    net::TcpStream,
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tracing::debug;
use usher_runtime::tasks::TaskGroup;

use super::{
    connection::{ClientConnection, ConnectionRules},
    http_service::ConnectionAdmission,
    request_handler::RequestHandler,
    shutdown_phase::ShutdownPhase,
    tls::TlsCertificate,
};

/// Connections over the limit that get an answer at the same time. Each of them takes a task and
/// a socket, so that further ones are closed at once.
const SHED_AT_ONCE: usize = 64;

/// Admits connections up to the limit.
#[derive(Debug)]
pub(super) struct ConnectionLimit<H> {
    rules: Arc<ConnectionRules<H>>,
    phase: ShutdownPhase,
    served: Arc<Semaphore>,
    shedding: Arc<Semaphore>,
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
        let Some((permit, admission)) = self.admit() else { return };
        if let Err(error) = stream.set_nodelay(true) {
            debug!(%error, "a connection was gone at once");
            return;
        }
        let connection =
            ClientConnection { rules: Arc::clone(&self.rules), phase: self.phase.clone(), admission };
        let open = OpenConnection::new(self.open.clone(), permit);
        tasks.spawn_connection(async move {
            // An IPv4 address that came by an IPv6 socket is compared as an IPv4 address.
            connection.serve(stream, peer.ip().to_canonical()).await;
            drop(open);
        });
    }

    fn admit(&self) -> Option<(OwnedSemaphorePermit, ConnectionAdmission)> {
        if let Ok(permit) = Arc::clone(&self.served).try_acquire_owned() {
            return Some((permit, ConnectionAdmission::Served));
        }
        self.shed.inc();
        let permit = Arc::clone(&self.shedding).try_acquire_owned().ok()?;
        Some((permit, ConnectionAdmission::Shed))
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
