//! A node of etcd that answers reads and no writes: a proxy in front of one node.

use std::{future::pending, net::SocketAddr};

use anyhow::{Context, Result};
use http::{Request, Response, Uri, uri::PathAndQuery};
use hyper::{body::Incoming, server::conn::http2, service::service_fn};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tokio_util::sync::CancellationToken;
use usher_runtime::tasks::TaskGroup;

/// The calls of etcd's API that write. The renewal of a lease is none: its answer needs no commit.
const WRITES: [&str; 6] = [
    "/etcdserverpb.KV/Txn",
    "/etcdserverpb.KV/Put",
    "/etcdserverpb.KV/DeleteRange",
    "/etcdserverpb.KV/Compact",
    "/etcdserverpb.Lease/LeaseGrant",
    "/etcdserverpb.Lease/LeaseRevoke",
];

type NodeClient = Client<HttpConnector, Incoming>;

/// A proxy in front of one node, until it is dropped.
#[derive(Debug)]
pub struct WriteFilter {
    address: SocketAddr,
    writes_hang: watch::Sender<bool>,
    tasks: TaskGroup,
}

impl WriteFilter {
    /// Opens a proxy that passes every call on to the node at `target`.
    ///
    /// # Errors
    /// There is no free port.
    pub fn start(target: SocketAddr) -> Result<Self> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").context("listen for a proxy")?;
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        let (address, writes_hang, tasks) =
            (listener.local_addr()?, watch::Sender::new(false), TaskGroup::new());
        let (hangs, connections) = (writes_hang.subscribe(), tasks.clone());
        tasks.spawn("write filter", |stop| run(listener, target, hangs, connections, stop));
        Ok(Self { address, writes_hang, tasks })
    }

    /// Returns the address for callers.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sets whether calls that write reach the node. A call that does not is never answered.
    pub fn set_writes_hang(&self, hang: bool) {
        self.writes_hang.send_replace(hang);
    }
}

impl Drop for WriteFilter {
    fn drop(&mut self) {
        self.tasks.stop();
    }
}

async fn run(
    listener: TcpListener,
    target: SocketAddr,
    hangs: watch::Receiver<bool>,
    tasks: TaskGroup,
    stop: CancellationToken,
) -> Result<()> {
    let client = Client::builder(TokioExecutor::new()).http2_only(true).build_http();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => return Ok(()),
        };
        let Ok((stream, _)) = accepted else { continue };
        let (client, hangs) = (client.clone(), hangs.clone());
        tasks.spawn("write filter's connection", move |stop| async move {
            tokio::select! {
                () = serve(stream, target, client, hangs) => {}
                () = stop.cancelled() => {}
            }
            Ok(())
        });
    }
}

async fn serve(stream: TcpStream, target: SocketAddr, client: NodeClient, hangs: watch::Receiver<bool>) {
    let service = service_fn(|request| forward(client.clone(), target, *hangs.borrow(), request));
    let connection =
        http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service);
    let _ = connection.await; // fails if the caller is gone
}

async fn forward(
    client: NodeClient,
    target: SocketAddr,
    writes_hang: bool,
    mut request: Request<Incoming>,
) -> Result<Response<Incoming>> {
    if writes_hang && WRITES.contains(&request.uri().path()) {
        return pending().await;
    }
    let path = request.uri().path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"));
    *request.uri_mut() =
        Uri::builder().scheme("http").authority(target.to_string()).path_and_query(path).build()?;
    Ok(client.request(request).await?)
}
