//! The listener: binds an address, accepts connections, and ends them at a shutdown.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use prometheus_client::metrics::{counter::Counter, gauge::Gauge};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use usher_model::settings::EdgeSettings;
use usher_runtime::{descriptors, repeated_warnings::RequestWarnings, tasks::TaskGroup};

use super::{
    connection::ConnectionRules,
    connection_capacity::connection_capacity,
    connection_limit::ConnectionLimit,
    connection_policy::SilenceLimits,
    proxy_protocol::IpNetworkError,
    request_handler::RequestHandler,
    session_tickets::TicketSecretWatch,
    shutdown_phase::ShutdownPhase,
    tls::{TlsCertificate, TlsError},
};

/// Pause after a failed accept. An accept fails mostly because no file descriptor is left, and a retry
/// without a pause would only burn a core until a connection ends.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The reasons why a listener cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum ListenerError {
    /// The address cannot be bound.
    #[error("listen on {address}")]
    Bind {
        /// The address, as configured.
        address: SocketAddr,
        /// The error of the system.
        #[source]
        source: std::io::Error,
    },
    /// The certificate or key cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// An entry of `edge.proxy_protocol_from` is not a network.
    #[error(transparent)]
    Network(#[from] IpNetworkError),
}

/// A bound listener that does not accept yet.
#[derive(Debug)]
pub(crate) struct ClientListener<H> {
    socket: TcpListener,
    address: SocketAddr,
    limit: ConnectionLimit<H>,
    grace: Duration,
}

impl<H: RequestHandler> ClientListener<H> {
    /// Binds `address` for requests that `handler` answers; port 0 means any free port. TLS sessions are
    /// resumed with the secret of `tickets`. `open` shows the open connections, and `shed` counts those
    /// over the limit.
    ///
    /// # Errors
    /// Returns an error if the address, the certificate or a network cannot be used.
    pub(crate) async fn bind(
        address: SocketAddr,
        settings: &EdgeSettings,
        handler: Arc<H>,
        tickets: TicketSecretWatch,
        open: Gauge,
        shed: Counter,
    ) -> Result<Self, ListenerError> {
        let bind = |source| ListenerError::Bind { address, source };
        let tls = TlsCertificate::from_settings(settings, tickets)?;
        let proxies =
            settings.proxy_protocol_from.iter().map(|text| text.parse()).collect::<Result<_, _>>()?;
        let socket = TcpListener::bind(address).await.map_err(bind)?;
        let address = socket.local_addr().map_err(bind)?;
        let limit = most_connections(settings.max_connections, descriptors::limit());
        let rules = ConnectionRules {
            handler,
            tls,
            proxies,
            most: limit,
            head_max: usize::try_from(settings.max_head).unwrap_or(usize::MAX).max(8 << 10),
            silence: SilenceLimits::new(settings.client_timeout, settings.idle_timeout),
        };
        let limit = ConnectionLimit::new(rules, limit, open, shed);
        Ok(Self { socket, address, limit, grace: settings.shutdown_grace })
    }

    /// Returns the address that was bound, with the port that was found.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the certificate, for a task that reloads it; `None` if the listener speaks plain HTTP.
    pub(crate) fn tls(&self) -> Option<TlsCertificate> {
        self.limit.tls()
    }

    /// Returns the phase, by which the caller announces a shutdown to the connections.
    pub(crate) fn phase(&self) -> ShutdownPhase {
        self.limit.phase()
    }

    /// Accepts connections until `stop`, then lets requests in progress finish within
    /// `edge.shutdown_grace`, and cuts off the connections that are left.
    ///
    /// # Errors
    /// Returns an error if the socket cannot be closed in order.
    pub(crate) async fn serve(self, tasks: TaskGroup, stop: CancellationToken) -> anyhow::Result<()> {
        let warnings = RequestWarnings::default();
        loop {
            let accepted = tokio::select! {
                accepted = self.socket.accept() => accepted,
                () = stop.cancelled() => break,
            };
            match accepted {
                Ok((stream, peer)) => self.limit.take(stream, peer, &tasks),
                Err(error) => {
                    if let Some(held_back) = warnings.admit("not accepted", error.kind()) {
                        warn!(%error, held_back, "a connection was not accepted");
                    }
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        // The system has accepted connections that this process has not taken yet. To close the socket
        // now would reset them, and their clients would see a failed request (S16).
        let socket = self.socket.into_std()?;
        while let Ok((stream, peer)) = socket.accept() {
            stream.set_nonblocking(true)?;
            self.limit.take(TcpStream::from_std(stream)?, peer, &tasks);
        }
        drop(socket);
        let cut_off = self.limit.phase().end(self.grace).await;
        info!(address = %self.address, cut_off, "the listener has stopped");
        Ok(())
    }
}

/// Returns the number of connections that a listener may have, and logs it: operators compare it with
/// the number of their clients.
fn most_connections(configured: u32, descriptors: u64) -> usize {
    let capacity = connection_capacity(configured, descriptors);
    let most = capacity.most;
    match capacity.needed {
        None => info!(most, descriptors, "connections of clients are accepted up to a limit"),
        Some(needed) => warn!(
            most,
            configured,
            descriptors,
            needed,
            "edge.max_connections is more than the limit of file descriptors allows, and the lower number \
             holds; raise the limit (LimitNOFILE= of systemd, ulimit -n, --ulimit nofile= of Docker) to \
             `needed`, or lower the setting"
        ),
    }
    most
}
