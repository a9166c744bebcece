//! Who comes in: so many connections are served; of those beyond, some are told to come again, and
//! the rest is closed. Those that stand are not touched (F13).

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use prometheus_client::metrics::{counter::Counter, gauge::Gauge};
use tokio::{
    net::TcpStream,
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tracing::debug;
use usher_runtime::tasks::Tasks;

use super::{Rules, connection::Connection, shutdown_phase::Life, tls::Tls};
use crate::server::router::Admission;

/// Connections over the limit that are told so at the same time; others are just closed.
const SHED_AT_ONCE: usize = 64;

/// Lets connections in.
#[derive(Debug)]
pub(super) struct Door {
    rules: Arc<Rules>,
    life: Life,
    served: Arc<Semaphore>,
    shedding: Arc<Semaphore>,
    open: Gauge,
    shed: Counter,
}

impl Door {
    /// Serves at most `most` connections at the same time.
    pub(super) fn new(rules: Rules, most: usize, open: Gauge, shed: Counter) -> Self {
        Self {
            rules: Arc::new(rules),
            life: Life::new(),
            served: Arc::new(Semaphore::new(most)),
            shedding: Arc::new(Semaphore::new(SHED_AT_ONCE)),
            open,
            shed,
        }
    }

    pub(super) fn tls(&self) -> Option<Tls> {
        self.rules.tls.clone()
    }

    pub(super) fn life(&self) -> Life {
        self.life.clone()
    }

    /// Takes a connection that was accepted.
    pub(super) fn take(&self, stream: TcpStream, peer: SocketAddr, tasks: &Tasks) {
        let Some((permit, admission)) = self.admit() else { return };
        if let Err(error) = stream.set_nodelay(true) {
            debug!(%error, "a connection was gone at once");
            return;
        }
        let connection = Connection { rules: Arc::clone(&self.rules), life: self.life.clone(), admission };
        let open = OpenConnection::new(self.open.clone(), permit);
        tasks.spawn_connection(async move {
            connection.serve(stream, normal(peer.ip())).await;
            drop(open);
        });
    }

    fn admit(&self) -> Option<(OwnedSemaphorePermit, Admission)> {
        if let Ok(permit) = Arc::clone(&self.served).try_acquire_owned() {
            return Some((permit, Admission::Served));
        }
        self.shed.inc();
        let permit = Arc::clone(&self.shedding).try_acquire_owned().ok()?;
        Some((permit, Admission::Shed))
    }
}

/// Counts a connection for as long as it is open.
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

/// An IPv4 address that came by an IPv6 socket is an IPv4 address.
fn normal(address: IpAddr) -> IpAddr {
    address.to_canonical()
}
