//! A TCP link that can be cut, delayed or closed while it is in use.
//!
//! It stands between a caller and its target: a listener on a free port that carries bytes both
//! ways. Each condition holds for everybody, or for the connections of one process (X3, H10: a
//! leader may be cut from servers that edges still reach).

mod caller;
mod carry;

use std::{collections::BTreeMap, io, net::SocketAddr, time::Duration};

use anyhow::{Context, Result};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::watch,
};
use tokio_util::sync::CancellationToken;
use usher_runtime::tasks::Tasks;

pub use self::caller::can_be_told as callers_can_be_told;

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 1024;

/// What a link does with what it is to carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Condition {
    /// Everything passes.
    #[default]
    Open,
    /// Nothing passes; connections stay open and are silent, new ones too. What was sent meanwhile
    /// arrives when the link is open again, as TCP repeats it.
    Cut,
    /// Answers pass, requests do not.
    NoRequests,
    /// Requests pass and are acted on, answers do not.
    NoAnswers,
    /// Everything is this late, each way.
    Delay(Duration),
    /// Open connections are closed, new ones refused.
    Closed,
}

/// The conditions that hold.
#[derive(Debug, Clone, Default)]
struct Rules {
    all: Condition,
    /// Of single processes, by their ids.
    of: BTreeMap<u32, Condition>,
}

/// A link that stands until it is dropped.
#[derive(Debug)]
pub struct Link {
    address: SocketAddr,
    rules: watch::Sender<Rules>,
    tasks: Tasks,
}

impl Link {
    /// Opens a link to `target`, which need not listen yet. A target that refuses shows as a
    /// connection that is closed at once.
    ///
    /// # Errors
    /// There is no free port.
    pub fn start(target: SocketAddr) -> Result<Self> {
        let listener = bind(SocketAddr::from(([127, 0, 0, 1], 0)))
            .and_then(|socket| socket.listen(BACKLOG))
            .context("listen for a link")?;
        let (address, rules, tasks) =
            (listener.local_addr()?, watch::Sender::new(Rules::default()), Tasks::new());
        let (seen, connections) = (rules.subscribe(), tasks.clone());
        tasks.spawn("link", |stop| run(listener, target, seen, connections, stop));
        Ok(Self { address, rules, tasks })
    }

    /// Returns where callers connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sets the condition for everybody, whatever held before.
    pub fn set(&self, condition: Condition) {
        self.rules.send_replace(Rules { all: condition, of: BTreeMap::new() });
    }

    /// Sets the condition for the connections of one process.
    pub fn set_for(&self, process: u32, condition: Condition) {
        self.rules.send_modify(|rules| {
            rules.of.insert(process, condition);
        });
    }

    /// Opens it for everybody.
    pub fn heal(&self) {
        self.set(Condition::Open);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.tasks.stop();
    }
}

/// The port, with or without a listener on it. While it refuses it stays bound, so that nobody else
/// gets it.
enum Port {
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
    mut rules: watch::Receiver<Rules>,
    tasks: Tasks,
    stop: CancellationToken,
) -> Result<()> {
    let address = listener.local_addr()?;
    let mut port = Port::Listening(listener);
    loop {
        let refuses = rules.borrow_and_update().all == Condition::Closed;
        port = match port {
            Port::Listening(listener) if refuses => {
                drop(listener);
                Port::Bound(bind(address)?)
            }
            Port::Bound(socket) if !refuses => Port::Listening(socket.listen(BACKLOG)?),
            port => port,
        };
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            changed = rules.changed() => if changed.is_err() { return Ok(()) },
            accepted = accept(&port) => {
                // A caller that went away before it was accepted is no matter.
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

async fn accept(port: &Port) -> io::Result<(TcpStream, SocketAddr)> {
    match port {
        Port::Listening(listener) => listener.accept().await,
        Port::Bound(_) => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
