//! The listener's certificate, which is read again when its files change, and the resumption of sessions,
//! which outlives the certificate (ADR 29).

use std::{
    fs, io,
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwap;
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{ServerSessionMemoryCache, StoresServerSessions},
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use usher_model::settings::EdgeSettings;

use super::session_tickets::{SessionTickets, TicketSecretWatch};

/// Interval at which the times of the files are compared. Certificates are renewed weeks before they
/// expire, so that no watcher of the file system is needed.
const CHECK_INTERVAL: Duration = Duration::from_secs(2);
/// Sessions of TLS 1.2 that an edge remembers, a few hundred bytes each.
const REMEMBERED_SESSIONS: usize = 4_096;

/// The reasons why a certificate or key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or holds no PEM section of the expected kind.
    #[error("read `{path}`")]
    Read {
        /// The path, as configured.
        path: PathBuf,
        /// The error of the file or of its content.
        #[source]
        source: rustls::pki_types::pem::Error,
    },
    /// The settings name only one of the two files.
    #[error("a certificate needs a key, and a key a certificate")]
    Half,
    /// The key does not belong to the certificate, or TLS does not support it.
    #[error("use the certificate")]
    Use(#[from] rustls::Error),
}

#[derive(Debug)]
struct CertificateFiles {
    certificate: PathBuf,
    key: PathBuf,
    resumption: SessionResumption,
    config: ArcSwap<ServerConfig>,
}

/// The memory of sessions, which stays when the certificate is replaced.
#[derive(Debug)]
struct SessionResumption {
    tickets: Arc<SessionTickets>,
    /// Sessions of TLS 1.2, which get no tickets.
    remembered: Arc<dyn StoresServerSessions>,
}

/// The certificate in use; clones share it.
#[derive(Debug, Clone)]
pub(crate) struct TlsCertificate(Arc<CertificateFiles>);

impl TlsCertificate {
    /// Reads the certificate and key that the settings name; `None` if they name none. Sessions are resumed
    /// with the secret of `tickets`.
    ///
    /// # Errors
    /// Returns an error if a file cannot be read or used.
    pub(super) fn from_settings(
        settings: &EdgeSettings,
        tickets: TicketSecretWatch,
    ) -> Result<Option<Self>, TlsError> {
        let (certificate, key) = match (&settings.tls_cert, &settings.tls_key) {
            (None, None) => return Ok(None),
            (Some(certificate), Some(key)) => (certificate.clone(), key.clone()),
            _ => return Err(TlsError::Half),
        };
        let resumption = SessionResumption {
            tickets: Arc::new(SessionTickets::new(tickets)),
            remembered: ServerSessionMemoryCache::new(REMEMBERED_SESSIONS),
        };
        let config = ArcSwap::from_pointee(load(&certificate, &key, &resumption)?);
        Ok(Some(Self(Arc::new(CertificateFiles { certificate, key, resumption, config }))))
    }

    /// Performs the TLS handshake with the certificate in use now.
    pub(super) async fn accept<S>(&self, stream: S) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        TlsAcceptor::from(self.0.config.load_full()).accept(stream).await
    }

    /// Reads the files again when they change, until `stop`. The certificate in use stays if the new
    /// files cannot be used.
    ///
    /// # Errors
    /// Returns no error; the type is that of a task.
    pub(crate) async fn reload(self, stop: CancellationToken) -> anyhow::Result<()> {
        let mut seen = self.changed_at();
        loop {
            tokio::select! {
                () = tokio::time::sleep(CHECK_INTERVAL) => {}
                () = stop.cancelled() => return Ok(()),
            }
            let now = self.changed_at();
            if now == seen {
                continue;
            }
            match load(&self.0.certificate, &self.0.key, &self.0.resumption) {
                Ok(config) => {
                    self.0.config.store(Arc::new(config));
                    info!("the certificate was read again");
                    seen = now;
                }
                // Certificate and key are rarely written at the same moment: `seen` stays, so that the next
                // check reads both again.
                Err(error) => warn!(%error, "the new certificate cannot be used"),
            }
        }
    }

    fn changed_at(&self) -> [Option<SystemTime>; 2] {
        [&self.0.certificate, &self.0.key]
            .map(|path| fs::metadata(path).and_then(|file| file.modified()).ok())
    }
}

fn load(
    certificate: &PathBuf,
    key: &PathBuf,
    resumption: &SessionResumption,
) -> Result<ServerConfig, TlsError> {
    let read = |path: &PathBuf| {
        let path = path.clone();
        move |source| TlsError::Read { path, source }
    };
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(read(certificate))?;
    let private = PrivateKeyDer::from_pem_file(key).map_err(read(key))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, private)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.session_storage = Arc::clone(&resumption.remembered);
    config.ticketer = Arc::<SessionTickets>::clone(&resumption.tickets);
    Ok(config)
}
