//! One address in front of edges that is known before they are, for servers to call back.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use anyhow::{Context, Result};
use tokio::net::{TcpListener, TcpStream};
use usher_common::runtime::tasks::Tasks;

/// A running forwarder; it is gone when this is dropped.
#[derive(Debug)]
pub struct Forwarder {
    address: SocketAddr,
    targets: Arc<Mutex<Vec<SocketAddr>>>,
    tasks: Tasks,
}

impl Forwarder {
    /// Starts one that leads nowhere yet.
    ///
    /// # Errors
    /// When it cannot listen.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("listen")?;
        let (tasks, address) = (Tasks::new(), listener.local_addr()?);
        let forwarder = Self { address, targets: Arc::default(), tasks };
        let (targets, connections) = (forwarder.targets.clone(), forwarder.tasks.clone());
        forwarder.tasks.spawn("forwarder", |stop| async move {
            let turn = AtomicUsize::new(0);
            loop {
                let mut client = tokio::select! {
                    () = stop.cancelled() => return Ok(()),
                    accepted = listener.accept() => accepted?.0,
                };
                let target = {
                    let targets = targets.lock().unwrap_or_else(PoisonError::into_inner);
                    let turn = turn.fetch_add(1, Ordering::Relaxed);
                    targets.get(turn % targets.len().max(1)).copied()
                };
                let stop = stop.clone();
                connections.spawn_connection(async move {
                    let Some(target) = target else { return };
                    let Ok(mut server) = TcpStream::connect(target).await else { return };
                    tokio::select! {
                        () = stop.cancelled() => {}
                        _ended = tokio::io::copy_bidirectional(&mut client, &mut server) => {}
                    }
                });
            }
        });
        Ok(forwarder)
    }

    /// Returns its URL, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Leads to these from now on, in turn.
    pub fn lead_to(&self, targets: impl IntoIterator<Item = SocketAddr>) {
        *self.targets.lock().unwrap_or_else(PoisonError::into_inner) = targets.into_iter().collect();
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        self.tasks.stop();
    }
}
