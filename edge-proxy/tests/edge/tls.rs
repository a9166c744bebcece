//! TLS: the certificate in use, its replacement, and the protocols on top.

use std::{fs, path::Path, sync::Arc};

use rustls::{
    ClientConfig, HandshakeKind, RootCertStore, SupportedProtocolVersion,
    pki_types::{CertificateDer, ServerName},
    version::{TLS12, TLS13},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;
use usher_edge_proxy::app::Edge;
use usher_model::settings::Settings;
use usher_runtime::{ops::OpsHandle, tasks::TaskGroup};

use crate::support::{Cluster, eventually, settings};

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

/// A client that remembers its sessions, as a browser and an application do.
struct ResumingClient(Arc<ClientConfig>);

impl ResumingClient {
    fn new(trusted: &[&CertificateDer<'static>], version: &'static SupportedProtocolVersion) -> Self {
        let mut roots = RootCertStore::empty();
        for certificate in trusted {
            roots.add((*certificate).clone()).expect("is a certificate");
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .expect("has versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self(Arc::new(config))
    }

    /// Sends one request to an edge; returns the kind of the handshake.
    async fn ask(&self, edge: &Edge) -> HandshakeKind {
        let stream = TcpStream::connect(edge.api_addr()).await.expect("connects");
        let name = ServerName::try_from("localhost").expect("is a name");
        let mut stream =
            TlsConnector::from(Arc::clone(&self.0)).connect(name, stream).await.expect("is trusted");
        let request = b"GET /bigbluebutton/api HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        stream.write_all(request).await.expect("is sent");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.expect("ends with a message");
        assert!(String::from_utf8_lossy(&answer).contains("SUCCESS"));
        stream.get_ref().1.handshake_kind().expect("is done")
    }
}

fn with_certificate(settings: &mut Settings, folder: &Path) {
    settings.edge.tls_cert = Some(folder.join("cert.pem"));
    settings.edge.tls_key = Some(folder.join("key.pem"));
}

/// ADR 29: edges share the keys of tickets, and a new certificate ends no session.
#[tokio::test]
async fn a_session_is_resumed_at_another_edge_and_under_a_new_certificate() {
    let folder = tempfile::tempdir().expect("makes a folder");
    let first = certify(folder.path());
    let cluster = Cluster::start_with(0, |settings| with_certificate(settings, folder.path())).await;
    let mut others = settings(&cluster.plane);
    others.edge.id = Some("edge-2".into());
    with_certificate(&mut others, folder.path());
    let (ops, tasks) = (OpsHandle::new(), TaskGroup::new());
    let other = Edge::start(&others, &ops, &tasks).await.expect("the edge starts");

    eventually("a session of one edge is resumed at the other", async || {
        let client = ResumingClient::new(&[&first], &TLS13);
        assert_eq!(client.ask(&cluster.edge).await, HandshakeKind::Full);
        client.ask(&other).await == HandshakeKind::Resumed
    })
    .await;
    let second = certify(folder.path());
    let clients = [&TLS13, &TLS12].map(|version| ResumingClient::new(&[&first, &second], version));
    for client in &clients {
        assert_eq!(client.ask(&cluster.edge).await, HandshakeKind::Full);
        assert_eq!(client.ask(&cluster.edge).await, HandshakeKind::Resumed);
    }
    eventually("the new certificate is used", async || {
        ask(&cluster, &second, b"http/1.1").await.0.contains("SUCCESS")
    })
    .await;
    for client in &clients {
        assert_eq!(client.ask(&cluster.edge).await, HandshakeKind::Resumed);
    }

    // With another key of the fleet, a ticket from before is no ticket, and the client is served.
    cluster.plane.lose_callback_key();
    let client = ResumingClient::new(&[&first, &second], &TLS13);
    eventually("the ticket is refused", async || client.ask(&cluster.edge).await == HandshakeKind::Full)
        .await;
    tasks.shutdown().await;
}

/// A ticket of TLS 1.2 would contain the key of its session: a key of the fleet that leaks would open
/// the traffic of the past.
#[tokio::test]
async fn an_older_client_gets_no_ticket_and_resumes_at_its_own_edge_only() {
    let folder = tempfile::tempdir().expect("makes a folder");
    let certificate = certify(folder.path());
    let cluster = Cluster::start_with(0, |settings| with_certificate(settings, folder.path())).await;
    let mut others = settings(&cluster.plane);
    others.edge.id = Some("edge-2".into());
    with_certificate(&mut others, folder.path());
    let (ops, tasks) = (OpsHandle::new(), TaskGroup::new());
    let other = Edge::start(&others, &ops, &tasks).await.expect("the edge starts");
    let client = ResumingClient::new(&[&certificate], &TLS12);
    assert_eq!(client.ask(&cluster.edge).await, HandshakeKind::Full);
    assert_eq!(client.ask(&cluster.edge).await, HandshakeKind::Resumed);
    assert_eq!(client.ask(&other).await, HandshakeKind::Full);
    tasks.shutdown().await;
}
