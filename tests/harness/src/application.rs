//! An application that receives callbacks: it records every request and answers with the status
//! that a test sets.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU16, Ordering},
    },
};

use anyhow::{Context, Result};
use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use usher_runtime::tasks::TaskGroup;

use crate::certificates::TlsFiles;

/// One request that arrived.
#[derive(Debug, Clone)]
pub struct ReceivedRequest {
    /// The HTTP method of the request.
    pub method: String,
    /// Path and query of the request.
    pub path: String,
    /// The HTTP headers of the request.
    pub headers: HeaderMap,
    /// The body as it arrived.
    pub body: Bytes,
    /// The status of the answer.
    pub status: u16,
}

impl ReceivedRequest {
    /// Returns the claims of its `signed_parameters`, if they are signed with this secret (HS256).
    pub fn claims(&self, secret: &str) -> Option<serde_json::Value> {
        let body = std::str::from_utf8(&self.body).ok()?;
        verified(body.strip_prefix("signed_parameters=")?, Algorithm::HS256, secret, false)
    }

    /// Returns whether its bearer token is signed with this secret (HS512) and has not expired.
    pub fn bears(&self, secret: &str) -> bool {
        let header = self.headers.get("authorization").and_then(|value| value.to_str().ok());
        let token = header.and_then(|header| header.strip_prefix("Bearer "));
        token.is_some_and(|token| verified(token, Algorithm::HS512, secret, true).is_some())
    }
}

fn verified(token: &str, algorithm: Algorithm, secret: &str, runs_out: bool) -> Option<serde_json::Value> {
    let mut rules = Validation::new(algorithm);
    rules.validate_exp = runs_out;
    if !runs_out {
        rules.required_spec_claims.clear();
    }
    let key = DecodingKey::from_secret(secret.as_bytes());
    Some(jsonwebtoken::decode(token, &key, &rules).ok()?.claims)
}

/// A running application on a free port; dropping it closes the listener.
#[derive(Debug)]
pub struct TestApplication {
    address: SocketAddr,
    scheme: &'static str,
    status: Arc<AtomicU16>,
    location: Arc<Mutex<Option<String>>>,
    received: Arc<Mutex<Vec<ReceivedRequest>>>,
    tasks: TaskGroup,
}

impl TestApplication {
    /// Starts an application that accepts every request.
    ///
    /// # Errors
    /// When it cannot listen.
    pub async fn start() -> Result<Self> {
        Self::start_with(None).await
    }

    /// Starts an application that accepts every request, over TLS.
    ///
    /// # Errors
    /// When it cannot listen, or the files contain no valid certificate.
    pub async fn start_tls(files: &TlsFiles) -> Result<Self> {
        Self::start_with(Some(files.acceptor(&[])?)).await
    }

    async fn start_with(tls: Option<TlsAcceptor>) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("listen")?;
        let (tasks, address) = (TaskGroup::new(), listener.local_addr()?);
        let (status, location) = (Arc::new(AtomicU16::new(200)), Arc::default());
        let scheme = if tls.is_some() { "https" } else { "http" };
        let application = Self { address, scheme, status, location, received: Arc::default(), tasks };
        let (status, received) = (application.status.clone(), application.received.clone());
        let location = application.location.clone();
        let connections = application.tasks.clone();
        application.tasks.spawn("application", |stop| async move {
            loop {
                let stream = tokio::select! {
                    () = stop.cancelled() => return Ok(()),
                    accepted = listener.accept() => accepted?.0,
                };
                let (status, received, stop) = (status.clone(), received.clone(), stop.clone());
                let (location, tls) = (location.clone(), tls.clone());
                connections.spawn_connection(async move {
                    let service = service_fn(move |request| {
                        note(request, status.clone(), location.clone(), received.clone())
                    });
                    let serving = async {
                        // A failed handshake is of no interest: some clients close early, some do
                        // not trust the certificate.
                        if let Some(tls) = tls {
                            let Ok(stream) = tls.accept(stream).await else { return };
                            let _ended =
                                http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                        } else {
                            let _ended =
                                http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                        }
                    };
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = serving => {}
                    }
                });
            }
        });
        Ok(application)
    }

    /// Returns an address of the application; `path` begins with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.address)
    }

    /// Sets the status of all further answers.
    pub fn answer(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }

    /// Answers all further requests with a redirect of this status to `location`.
    pub fn redirect(&self, status: u16, location: &str) {
        *self.location.lock().unwrap_or_else(PoisonError::into_inner) = Some(location.to_owned());
        self.answer(status);
    }

    /// Returns the port on which it listens.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Returns all requests that arrived, oldest first.
    pub fn received(&self) -> Vec<ReceivedRequest> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns the requests that were answered with 200, oldest first.
    pub fn accepted(&self) -> Vec<ReceivedRequest> {
        self.received().into_iter().filter(|received| received.status == 200).collect()
    }
}

impl Drop for TestApplication {
    fn drop(&mut self) {
        self.tasks.stop();
    }
}

async fn note(
    request: Request<Incoming>,
    status: Arc<AtomicU16>,
    location: Arc<Mutex<Option<String>>>,
    received: Arc<Mutex<Vec<ReceivedRequest>>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let path = parts.uri.path_and_query().map_or_else(String::new, ToString::to_string);
    let status = status.load(Ordering::SeqCst);
    let came =
        ReceivedRequest { method: parts.method.to_string(), path, headers: parts.headers, body, status };
    received.lock().unwrap_or_else(PoisonError::into_inner).push(came);
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let location = location.lock().unwrap_or_else(PoisonError::into_inner).clone();
    if let Some(location) = location.and_then(|location| location.parse().ok()) {
        response.headers_mut().insert(http::header::LOCATION, location);
    }
    Ok(response)
}
