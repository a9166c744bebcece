//! An address that is known before its targets exist: in front of edges, for the callbacks of
//! servers; or in front of a control plane, with TLS in its place.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use anyhow::{Context, Result};
use tokio::{
    io::{AsyncRead, AsyncWrite, copy_bidirectional},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;
use usher_runtime::tasks::TaskGroup;

use crate::certificates::TlsFiles;

/// A running forwarder; dropping it closes the listener.
#[derive(Debug)]
pub struct SwitchingForwarder {
    address: SocketAddr,
    scheme: &'static str,
    targets: Arc<Mutex<Vec<SocketAddr>>>,
    tasks: TaskGroup,
}

impl SwitchingForwarder {
    /// Starts a forwarder without targets.
    ///
    /// # Errors
    /// When it cannot listen.
    pub async fn start() -> Result<Self> {
        Self::start_with(None).await
    }

    /// Starts a forwarder without targets that ends TLS for them; the targets get HTTP/2 without
    /// TLS.
    ///
    /// # Errors
    /// When it cannot listen, or the files contain no valid certificate.
    pub async fn start_tls(files: &TlsFiles) -> Result<Self> {
        Self::start_with(Some(files.acceptor(&["h2"])?)).await
    }

    async fn start_with(tls: Option<TlsAcceptor>) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("listen")?;
        let (tasks, address) = (TaskGroup::new(), listener.local_addr()?);
        let scheme = if tls.is_some() { "https" } else { "http" };
        let forwarder = Self { address, scheme, targets: Arc::default(), tasks };
        let (targets, connections) = (forwarder.targets.clone(), forwarder.tasks.clone());
        forwarder.tasks.spawn("forwarder", |stop| async move {
            let turn = AtomicUsize::new(0);
            loop {
                let client = tokio::select! {
                    () = stop.cancelled() => return Ok(()),
                    accepted = listener.accept() => accepted?.0,
                };
                let target = {
                    let targets = targets.lock().unwrap_or_else(PoisonError::into_inner);
                    let turn = turn.fetch_add(1, Ordering::Relaxed);
                    targets.get(turn % targets.len().max(1)).copied()
                };
                let (stop, tls) = (stop.clone(), tls.clone());
                connections.spawn_connection(async move {
                    let Some(target) = target else { return };
                    let passing = async {
                        match tls {
                            None => pass(client, target).await,
                            // A client that does not trust the certificate closes the connection
                            // here.
                            Some(tls) => {
                                let Ok(client) = tls.accept(client).await else { return };
                                pass(client, target).await;
                            }
                        }
                    };
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = passing => {}
                    }
                });
            }
        });
        Ok(forwarder)
    }

    /// Returns its URL, without a slash at the end.
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    /// Sets the targets; new connections go to them in turn.
    pub fn lead_to(&self, targets: impl IntoIterator<Item = SocketAddr>) {
        *self.targets.lock().unwrap_or_else(PoisonError::into_inner) = targets.into_iter().collect();
    }
}

async fn pass(mut client: impl AsyncRead + AsyncWrite + Unpin, target: SocketAddr) {
    let Ok(mut server) = TcpStream::connect(target).await else { return };
    let _ended = copy_bidirectional(&mut client, &mut server).await; // either side may close at any time
}

impl Drop for SwitchingForwarder {
    fn drop(&mut self) {
        self.tasks.stop();
    }
}
