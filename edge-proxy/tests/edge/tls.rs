//! TLS: the certificate in use, its replacement, and the protocols on top.

use std::{fs, path::Path, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

use crate::support::{Cluster, eventually};

/// Writes a new certificate for `localhost` and returns it.
fn certify(folder: &Path) -> CertificateDer<'static> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("makes a certificate");
    fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).expect("writes");
    fs::write(folder.join("cert.pem"), made.cert.pem()).expect("writes");
    made.cert.der().clone()
}

/// Requests the root over TLS with one trusted certificate. Returns the answer, or an empty one if
/// the certificate is not trusted.
async fn ask(cluster: &Cluster, trusted: &CertificateDer<'static>, alpn: &[u8]) -> (String, Option<Vec<u8>>) {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).expect("is a certificate");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("has versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![alpn.to_vec()];
    let stream = TcpStream::connect(cluster.edge.api_addr()).await.expect("connects");
    let name = ServerName::try_from("localhost").expect("is a name");
    let Ok(mut stream) = TlsConnector::from(Arc::new(config)).connect(name, stream).await else {
        return (String::new(), None);
    };
    let spoken = stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
    if alpn != b"h2" {
        let request = b"GET /bigbluebutton/api HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        stream.write_all(request).await.expect("is sent");
    }
    let mut answer = vec![0; 4096];
    let length = stream.read(&mut answer).await.unwrap_or_default();
    (String::from_utf8_lossy(&answer[..length]).into_owned(), spoken)
}

#[tokio::test]
async fn a_certificate_is_used_and_replaced_while_the_edge_runs() {
    let folder = tempfile::tempdir().expect("makes a folder");
    let first = certify(folder.path());
    let cluster = Cluster::start_with(0, |settings| {
        settings.edge.tls_cert = Some(folder.path().join("cert.pem"));
        settings.edge.tls_key = Some(folder.path().join("key.pem"));
    })
    .await;
    assert!(ask(&cluster, &first, b"http/1.1").await.0.contains("SUCCESS"));
    assert_eq!(ask(&cluster, &first, b"h2").await.1.as_deref(), Some(b"h2".as_slice()));
    fs::write(folder.path().join("cert.pem"), "nonsense").expect("writes");
    assert!(ask(&cluster, &first, b"http/1.1").await.0.contains("SUCCESS"));
    let second = certify(folder.path());
    eventually("the new certificate is used", async || {
        ask(&cluster, &second, b"http/1.1").await.0.contains("SUCCESS")
    })
    .await;
    assert_eq!(ask(&cluster, &first, b"http/1.1").await.0, "");
}
