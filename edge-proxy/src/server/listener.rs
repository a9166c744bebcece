//! Accepting connections: limits, TLS, PROXY protocol, and the end of it all.

mod connection;
mod prefixed;
mod proxy;
mod tls;

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use hyper_util::server::graceful::GracefulShutdown;
use prometheus_client::metrics::{counter::Counter, gauge::Gauge};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};
use usher_common::{runtime::tasks::Tasks, settings::EdgeSettings};

use super::gateway::Gateway;
use connection::Connection;
use proxy::Network;
pub use proxy::NetworkError;
pub use tls::{Tls, TlsError};

/// Pause after a failed accept: it fails for want of file descriptors, mostly.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A listener that cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum ListenerError {
    /// The address cannot be bound.
    #[error("listen on {address}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The certificate or key cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A network of the PROXY protocol's senders is none.
    #[error(transparent)]
    Network(#[from] NetworkError),
}

/// Settings of every connection.
#[derive(Debug)]
struct Rules {
    gateway: Arc<Gateway>,
    tls: Option<Tls>,
    /// Networks whose PROXY protocol headers are believed.
    proxies: Vec<Network>,
    /// Largest request head, bytes.
    head_max: usize,
    /// Longest time for a request's head.
    patience: Duration,
}

/// A bound listener that does not accept yet.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    rules: Arc<Rules>,
    permits: Arc<Semaphore>,
    open: Gauge,
    shed: Counter,
    grace: Duration,
}

impl Listener {
    /// Binds `address`; port 0 means any free one.
    ///
    /// # Errors
    /// The address, the certificate or a network cannot be used.
    pub async fn bind(
        address: SocketAddr,
        settings: &EdgeSettings,
        gateway: Arc<Gateway>,
        open: Gauge,
        shed: Counter,
    ) -> Result<Self, ListenerError> {
        let bind = |source| ListenerError::Bind { address, source };
        let tls = Tls::from_settings(settings)?;
        let proxies =
            settings.proxy_protocol_from.iter().map(|text| text.parse()).collect::<Result<_, _>>()?;
        let socket = TcpListener::bind(address).await.map_err(bind)?;
        let address = socket.local_addr().map_err(bind)?;
        let most = match settings.max_connections {
            0 => Semaphore::MAX_PERMITS,
            limit => limit as usize,
        };
        let rules = Rules {
            gateway,
            tls,
            proxies,
            head_max: usize::try_from(settings.max_head).unwrap_or(usize::MAX).max(8 << 10),
            patience: settings.client_timeout,
        };
        let permits = Arc::new(Semaphore::new(most));
        let grace = settings.shutdown_grace;
        Ok(Self { socket, address, rules: Arc::new(rules), permits, open, shed, grace })
    }

    /// Returns the address that was bound.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the certificate, for reloading.
    pub fn tls(&self) -> Option<Tls> {
        self.rules.tls.clone()
    }

    /// Accepts until `stop`, then lets requests under way finish within the grace.
    ///
    /// # Errors
    /// None: a failed accept is followed by another.
    pub async fn serve(self, tasks: Tasks, stop: CancellationToken) -> anyhow::Result<()> {
        let graceful = GracefulShutdown::new();
        loop {
            let accepted = tokio::select! {
                accepted = self.socket.accept() => accepted,
                () = stop.cancelled() => break,
            };
            match accepted {
                Ok((stream, peer)) => self.take(stream, peer, &graceful, &tasks),
                Err(error) => {
                    warn!(%error, "a connection was not accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        drop(self.socket);
        let finished = tokio::time::timeout(self.grace, graceful.shutdown()).await.is_ok();
        info!(finished, "the listener has stopped");
        Ok(())
    }

    /// Over the limit, new connections are refused; those that stand are not touched (F13).
    fn take(&self, stream: TcpStream, peer: SocketAddr, graceful: &GracefulShutdown, tasks: &Tasks) {
        let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() else {
            self.shed.inc();
            return;
        };
        if let Err(error) = stream.set_nodelay(true) {
            debug!(%error, "a connection was gone at once");
            return;
        }
        let connection = Connection { rules: Arc::clone(&self.rules), watcher: graceful.watcher() };
        let open = OpenConnection::new(self.open.clone(), permit);
        tasks.spawn_connection(async move {
            connection.serve(stream, normal(peer.ip())).await;
            drop(open);
        });
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
