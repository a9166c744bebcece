//! One connection: bytes in both directions, as the condition of the link allows.

use std::{collections::BTreeMap, net::SocketAddr};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
};

use super::{Condition, Rules, caller};

/// Most bytes that are carried at once.
const CHUNK: usize = 64 << 10;

/// The direction of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Towards {
    Target,
    Caller,
}

/// The condition of one connection. No byte passes until the owner of the connection is known.
type Now = watch::Receiver<Condition>;

/// Carries a connection until it ends.
pub(super) async fn carry(
    caller: TcpStream,
    target: SocketAddr,
    rules: watch::Receiver<Rules>,
    ends: (SocketAddr, SocketAddr),
) {
    let (tell, now) = watch::channel(Condition::Cut);
    let mut closing = now.clone();
    tokio::select! {
        () = follow(rules, ends, tell) => {}
        closed = closing.wait_for(|condition| *condition == Condition::Closed) => drop(closed),
        () = both_ways(caller, target, now) => {}
    }
}

/// Keeps `tell` equal to the condition that the rules give this connection, until the link is
/// dropped.
async fn follow(
    mut rules: watch::Receiver<Rules>,
    (theirs, ours): (SocketAddr, SocketAddr),
    tell: watch::Sender<Condition>,
) {
    let mut owners: BTreeMap<u32, bool> = BTreeMap::new();
    loop {
        let Rules { all, of } = rules.borrow_and_update().clone();
        let mut condition = all;
        for (process, own) in of {
            let known = match owners.get(&process) {
                Some(known) => *known,
                None => {
                    let asked = tokio::task::spawn_blocking(move || caller::is(process, theirs, ours));
                    asked.await.unwrap_or(false)
                }
            };
            owners.insert(process, known);
            if known {
                condition = own;
            }
        }
        tell.send_replace(condition);
        if rules.changed().await.is_err() {
            return;
        }
    }
}

async fn both_ways(caller: TcpStream, target: SocketAddr, mut now: Now) {
    pass(&mut now, Towards::Target).await;
    let Ok(target) = TcpStream::connect(target).await else { return };
    for stream in [&caller, &target] {
        if stream.set_nodelay(true).is_err() {
            return; // the target closed or refused the connection
        }
    }
    let ((from_caller, to_caller), (from_target, to_target)) = (caller.into_split(), target.into_split());
    tokio::join!(
        pump(from_caller, to_target, now.clone(), Towards::Target),
        pump(from_target, to_caller, now, Towards::Caller),
    );
}

/// Carries one direction until its sender ends, and passes the end on.
async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut now: Now, towards: Towards) {
    let mut bytes = vec![0; CHUNK];
    loop {
        let read = from.read(&mut bytes).await.unwrap_or(0);
        pass(&mut now, towards).await;
        if read == 0 || to.write_all(&bytes[..read]).await.is_err() {
            break;
        }
    }
    // Fails only if the other side has closed too.
    let _ = to.shutdown().await;
}

/// Waits until bytes may pass in this direction, and for the delay of the condition.
async fn pass(now: &mut Now, towards: Towards) {
    let passes = |condition: &Condition| match condition {
        Condition::Open | Condition::Delay(_) => true,
        Condition::NoRequests => towards == Towards::Caller,
        Condition::NoAnswers => towards == Towards::Target,
        Condition::Cut | Condition::Closed => false,
    };
    let condition = now.wait_for(passes).await.map(|condition| *condition);
    match condition {
        Ok(Condition::Delay(late)) => tokio::time::sleep(late).await,
        Ok(_) => {}
        Err(_) => std::future::pending().await, // the link is dropped, and its connections with it
    }
}
