//! A client of TLS, and the certificate that it trusts.

use std::{fs, net::SocketAddr, path::Path, sync::Arc};

use anyhow::{Context, Result, ensure};
use rustls::{
    ClientConfig, HandshakeKind, RootCertStore,
    client::Resumption,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// A request whose answer ends with `</response>`, on a connection that stays open.
pub(super) const REQUEST: &[u8] = b"GET /bigbluebutton/api HTTP/1.1\r\nHost: x\r\n\r\n";

/// Whether a client resumes its sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HandshakeMode {
    Full,
    Resumed,
}

/// A certificate of `localhost` with its key, in files.
#[derive(Debug)]
pub(super) struct BenchCertificate {
    folder: TempDir,
}

impl BenchCertificate {
    pub(super) fn make() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
        fs::write(folder.path().join("cert.pem"), made.cert.pem())?;
        fs::write(folder.path().join("key.pem"), made.signing_key.serialize_pem())?;
        Ok(Self { folder })
    }

    /// Returns the paths of certificate and key.
    pub(super) fn paths(&self) -> [String; 2] {
        ["cert.pem", "key.pem"].map(|name| self.path(name).to_string_lossy().into_owned())
    }

    fn path(&self, name: &str) -> Box<Path> {
        self.folder.path().join(name).into_boxed_path()
    }

    pub(super) fn certificate(&self) -> Result<CertificateDer<'static>> {
        Ok(CertificateDer::from_pem_file(self.path("cert.pem"))?)
    }

    pub(super) fn key(&self) -> Result<PrivateKeyDer<'static>> {
        Ok(PrivateKeyDer::from_pem_file(self.path("key.pem"))?)
    }

    /// Returns a client with sessions of its own.
    pub(super) fn client(&self, mode: HandshakeMode) -> Result<TlsClient> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate()?)?;
        let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        if mode == HandshakeMode::Full {
            config.resumption = Resumption::disabled();
        }
        Ok(TlsClient { connector: TlsConnector::from(Arc::new(config)), mode })
    }
}

/// A client of TLS.
pub(super) struct TlsClient {
    connector: TlsConnector,
    mode: HandshakeMode,
}

impl TlsClient {
    /// Opens a connection.
    pub(super) async fn connect(&self, to: SocketAddr) -> Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(to).await.context("connect to the server under load")?;
        stream.set_nodelay(true)?;
        let name = ServerName::try_from("localhost")?;
        self.connector.connect(name, stream).await.context("make a handshake")
    }

    /// Opens a connection, sends one request, reads the answer and closes the connection.
    ///
    /// # Errors
    /// The handshake was of another kind than this client makes.
    pub(super) async fn visit(&self, to: SocketAddr) -> Result<()> {
        let kind = self.exchange(to).await?;
        let expected = match self.mode {
            HandshakeMode::Full => HandshakeKind::Full,
            HandshakeMode::Resumed => HandshakeKind::Resumed,
        };
        ensure!(kind == expected, "a handshake was {kind:?} instead of {expected:?}");
        Ok(())
    }

    /// Makes a visit whose handshake may be of any kind: the first one of a client has no session.
    pub(super) async fn exchange(&self, to: SocketAddr) -> Result<HandshakeKind> {
        let mut stream = self.connect(to).await?;
        stream.write_all(REQUEST).await?;
        let mut answer = Vec::with_capacity(1024);
        while !answer.trim_ascii_end().ends_with(b"</response>") {
            ensure!(stream.read_buf(&mut answer).await? > 0, "the server closed a connection early");
        }
        stream.get_ref().1.handshake_kind().context("the handshake is done")
    }
}
