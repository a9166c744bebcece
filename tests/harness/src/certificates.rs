//! Certificates of a CA for tests: for an encrypted etcd, a Redis, applications, and a proxy in
//! front of a control plane.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Result;
use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    },
};

/// PEM files of one CA and of the certificates that it signed.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// The certificate of the CA.
    pub ca: PathBuf,
    /// The certificate of a client.
    pub cert: PathBuf,
    /// The private key of the client.
    pub key: PathBuf,
    /// The certificate of a server at `127.0.0.1` and `localhost`.
    pub server_cert: PathBuf,
    /// The private key of the server.
    pub server_key: PathBuf,
}

impl TlsFiles {
    /// Returns a TLS acceptor with the server's certificate and these protocols (ALPN).
    ///
    /// # Errors
    /// When the files contain no valid certificate.
    pub fn acceptor(&self, protocols: &[&str]) -> Result<TlsAcceptor> {
        let chain = CertificateDer::pem_file_iter(&self.server_cert)?.collect::<Result<_, _>>()?;
        let key = PrivateKeyDer::from_pem_file(&self.server_key)?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

/// Creates all files in an existing directory.
///
/// # Errors
/// When a file cannot be written.
pub fn generate(directory: &Path) -> Result<TlsFiles> {
    let write = |name: &str, text: String| -> Result<PathBuf> {
        let path = directory.join(name);
        fs::write(&path, text)?;
        Ok(path)
    };
    let ca_key = KeyPair::generate()?;
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.distinguished_name.push(DnType::CommonName, "test CA");
    let ca_cert = ca.self_signed(&ca_key)?;
    let issuer = Issuer::new(ca, ca_key);

    let signed = |name: &str, names: Vec<String>| -> Result<(PathBuf, PathBuf)> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name.push(DnType::CommonName, name);
        // An etcd node is also a client of itself and of the other nodes.
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let cert = params.signed_by(&key, &issuer)?;
        Ok((write(&format!("{name}.pem"), cert.pem())?, write(&format!("{name}.key"), key.serialize_pem())?))
    };
    let (server_cert, server_key) = signed("server", vec!["127.0.0.1".into(), "localhost".into()])?;
    let (cert, key) = signed("client", Vec::new())?;
    Ok(TlsFiles { ca: write("ca.pem", ca_cert.pem())?, cert, key, server_cert, server_key })
}
