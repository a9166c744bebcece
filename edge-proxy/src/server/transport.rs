//! Accepting connections: limits, TLS, PROXY protocol, and the end of it all.

mod client_stream;
mod connection;
mod connection_activity;
mod connection_limit;
mod connection_policy;
mod proxy_protocol;
mod rewound_stream;
mod shutdown_phase;
mod tls;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use prometheus_client::metrics::{counter::Counter, gauge::Gauge};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use usher_model::settings::EdgeSettings;
use usher_runtime::tasks::Tasks;

use super::router::Gateway;
pub(super) use connection_activity::Pulse;
use connection_limit::Door;
use connection_policy::Silence;
use proxy_protocol::Network;
pub use proxy_protocol::NetworkError;
pub use shutdown_phase::Life;
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
    /// How long clients may be silent.
    silence: Silence,
}

/// A bound listener that does not accept yet.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    door: Door,
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
            silence: Silence { head: settings.client_timeout, idle: settings.idle_timeout },
        };
        let door = Door::new(rules, most, open, shed);
        Ok(Self { socket, address, door, grace: settings.shutdown_grace })
    }

    /// Returns the address that was bound.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the certificate, for reloading.
    pub fn tls(&self) -> Option<Tls> {
        self.door.tls()
    }

    /// Returns by what connections are told that the edge is going away.
    pub fn life(&self) -> Life {
        self.door.life()
    }

    /// Accepts until `stop`, then lets requests under way finish within the grace.
    ///
    /// # Errors
    /// The socket cannot be closed in order.
    pub async fn serve(self, tasks: Tasks, stop: CancellationToken) -> anyhow::Result<()> {
        loop {
            let accepted = tokio::select! {
                accepted = self.socket.accept() => accepted,
                () = stop.cancelled() => break,
            };
            match accepted {
                Ok((stream, peer)) => self.door.take(stream, peer, &tasks),
                Err(error) => {
                    warn!(%error, "a connection was not accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        // Clients whose connections the system has accepted for us must not be reset.
        let socket = self.socket.into_std()?;
        while let Ok((stream, peer)) = socket.accept() {
            stream.set_nonblocking(true)?;
            self.door.take(TcpStream::from_std(stream)?, peer, &tasks);
        }
        drop(socket);
        let cut_off = self.door.life().end(self.grace).await;
        info!(address = %self.address, cut_off, "the listener has stopped");
        Ok(())
    }
}
