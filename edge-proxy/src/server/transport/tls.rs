//! The listener's certificate, read anew when its files change.

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
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use usher_model::settings::EdgeSettings;

/// Time between two looks at the files.
const LOOK: Duration = Duration::from_secs(2);

/// A certificate or key that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or holds no PEM of the kind.
    #[error("read `{path}`")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: rustls::pki_types::pem::Error,
    },
    /// Only one of the two files is given.
    #[error("a certificate needs a key, and a key a certificate")]
    Half,
    /// They do not fit together, or are of no use.
    #[error("use the certificate")]
    Use(#[from] rustls::Error),
}

#[derive(Debug)]
struct Shared {
    certificate: PathBuf,
    key: PathBuf,
    config: ArcSwap<ServerConfig>,
}

/// The certificate in use; clones are the same.
#[derive(Debug, Clone)]
pub struct Tls(Arc<Shared>);

impl Tls {
    /// Reads certificate and key; `None` where none are configured.
    ///
    /// # Errors
    /// They cannot be used.
    pub fn from_settings(settings: &EdgeSettings) -> Result<Option<Self>, TlsError> {
        let (certificate, key) = match (&settings.tls_cert, &settings.tls_key) {
            (None, None) => return Ok(None),
            (Some(certificate), Some(key)) => (certificate.clone(), key.clone()),
            _ => return Err(TlsError::Half),
        };
        let config = ArcSwap::from_pointee(load(&certificate, &key)?);
        Ok(Some(Self(Arc::new(Shared { certificate, key, config }))))
    }

    /// Shakes hands by the certificate in use now.
    pub(super) async fn accept<S>(&self, stream: S) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        TlsAcceptor::from(self.0.config.load_full()).accept(stream).await
    }

    /// Reads the files anew when they change, until `stop`. Files that cannot be used change
    /// nothing.
    ///
    /// # Errors
    /// None.
    pub async fn reload(self, stop: CancellationToken) -> anyhow::Result<()> {
        let mut seen = self.changed_at();
        loop {
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = stop.cancelled() => return Ok(()),
            }
            let now = self.changed_at();
            if now == seen {
                continue;
            }
            match load(&self.0.certificate, &self.0.key) {
                Ok(config) => {
                    self.0.config.store(Arc::new(config));
                    info!("the certificate was read anew");
                    seen = now;
                }
                // Certificate and key are rarely written at the same moment: look again.
                Err(error) => warn!(%error, "the new certificate cannot be used"),
            }
        }
    }

    fn changed_at(&self) -> [Option<SystemTime>; 2] {
        [&self.0.certificate, &self.0.key]
            .map(|path| fs::metadata(path).and_then(|file| file.modified()).ok())
    }
}

fn load(certificate: &PathBuf, key: &PathBuf) -> Result<ServerConfig, TlsError> {
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
    Ok(config)
}
