//! A TCP link that can be cut, delayed or closed while it is in use.
//!
//! A link is between a caller and its target: a listener on a free port that carries bytes in both
//! directions. A condition applies to all connections, or to those of one process (X3, H10: a
//! leader may be cut from servers that edges still reach).

mod caller;
mod carry;
mod condition;

use std::{collections::BTreeMap, io, net::SocketAddr};

use anyhow::{Context, Result};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::watch,
};
use tokio_util::sync::CancellationToken;
use usher_runtime::tasks::TaskGroup;

use self::condition::LinkRules;
pub use self::{caller::is_supported as caller_lookup_is_supported, condition::LinkCondition};

/// Most connections that wait to be accepted.
const BACKLOG: u32 = 1024;

/// A link that exists until it is dropped.
#[derive(Debug)]
pub struct FaultyLink {
    address: SocketAddr,
    rules: watch::Sender<LinkRules>,
    tasks: TaskGroup,
}

impl FaultyLink {
    /// Opens a link to `target`, which need not listen yet. If the target refuses a connection, the
    /// link closes the caller's connection at once.
    ///
    /// # Errors
    /// There is no free port.
    /// There is no free port.
    pub fn start(target: SocketAddr) -> Result<Self> {
        let listener = bind(SocketAddr::from(([127, 0, 0, 1], 0)))
            .and_then(|socket| socket.listen(BACKLOG))
            .context("listen for a link")?;
        let (address, rules, tasks) =
            (listener.local_addr()?, watch::Sender::new(LinkRules::default()), TaskGroup::new());
        let (seen, connections) = (rules.subscribe(), tasks.clone());
        tasks.spawn("link", |stop| run(listener, target, seen, connections, stop));
        Ok(Self { address, rules, tasks })
    }

    /// Returns the address for callers.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sets the condition of all connections, and removes those of single processes.
    pub fn set(&self, condition: LinkCondition) {
        self.rules.send_replace(LinkRules { all: condition, of: BTreeMap::new() });
    }

    /// Sets the condition of the connections of one process.
    pub fn set_for(&self, process: u32, condition: LinkCondition) {
        self.rules.send_modify(|rules| {
            rules.of.insert(process, condition);
        });
    }

    /// Opens the link for all connections.
    pub fn heal(&self) {
        self.set(LinkCondition::Open);
    }
}

impl Drop for FaultyLink {
    fn drop(&mut self) {
        self.tasks.stop();
    }
}

/// The port, with or without a listener. A refusing link keeps the port bound, so that no other
/// process gets it.
enum LinkPort {
    Listening(TcpListener),
    Bound(TcpSocket),
}

fn bind(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

async fn run(
    listener: TcpListener,
    target: SocketAddr,
    mut rules: watch::Receiver<LinkRules>,
    tasks: TaskGroup,
    stop: CancellationToken,
) -> Result<()> {
    let address = listener.local_addr()?;
    let mut port = LinkPort::Listening(listener);
    loop {
        let refuses = rules.borrow_and_update().all == LinkCondition::Closed;
        port = match port {
            LinkPort::Listening(listener) if refuses => {
                drop(listener);
                LinkPort::Bound(bind(address)?)
            }
            LinkPort::Bound(socket) if !refuses => LinkPort::Listening(socket.listen(BACKLOG)?),
            port => port,
        };
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            changed = rules.changed() => if changed.is_err() { return Ok(()) },
            accepted = accept(&port) => {
                // A caller may close its connection before it is accepted; that is no failure of
                // the link.
                let Ok((stream, peer)) = accepted else { continue };
                let (rules, stop) = (rules.clone(), stop.clone());
                tasks.spawn_connection(async move {
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = carry::carry(stream, target, rules, (peer, address)) => {}
                    }
                });
            }
        }
    }
}

async fn accept(port: &LinkPort) -> io::Result<(TcpStream, SocketAddr)> {
    match port {
        LinkPort::Listening(listener) => listener.accept().await,
        LinkPort::Bound(_) => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
