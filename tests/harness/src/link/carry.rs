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

use super::{
    caller,
    condition::{LinkCondition, LinkRules},
};

/// Most bytes that are carried at once.
const CHUNK: usize = 64 << 10;

/// The direction of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ByteDirection {
    Target,
    Caller,
}

/// The condition of one connection. No byte passes until the owner of the connection is known.
type ConditionReceiver = watch::Receiver<LinkCondition>;

/// Carries a connection until it ends.
pub(super) async fn carry(
    caller: TcpStream,
    target: SocketAddr,
    rules: watch::Receiver<LinkRules>,
    ends: (SocketAddr, SocketAddr),
) {
    let (tell, now) = watch::channel(LinkCondition::Cut);
    let mut closing = now.clone();
    tokio::select! {
        () = follow(rules, ends, tell) => {}
        closed = closing.wait_for(|condition| *condition == LinkCondition::Closed) => drop(closed),
        () = both_ways(caller, target, now) => {}
    }
}

/// Keeps `tell` equal to the condition that the rules give this connection, until the link is
/// dropped.
async fn follow(
    mut rules: watch::Receiver<LinkRules>,
    (theirs, ours): (SocketAddr, SocketAddr),
    tell: watch::Sender<LinkCondition>,
) {
    let mut owners: BTreeMap<u32, bool> = BTreeMap::new();
    loop {
        let LinkRules { all, of } = rules.borrow_and_update().clone();
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

async fn both_ways(caller: TcpStream, target: SocketAddr, mut now: ConditionReceiver) {
    pass(&mut now, ByteDirection::Target).await;
    let Ok(target) = TcpStream::connect(target).await else { return };
    for stream in [&caller, &target] {
        if stream.set_nodelay(true).is_err() {
            return; // the target closed or refused the connection
        }
    }
    let ((from_caller, to_caller), (from_target, to_target)) = (caller.into_split(), target.into_split());
    tokio::join!(
        pump(from_caller, to_target, now.clone(), ByteDirection::Target),
        pump(from_target, to_caller, now, ByteDirection::Caller),
    );
}

/// Carries one direction until its sender ends, and passes the end on.
async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut now: ConditionReceiver,
    towards: ByteDirection,
) {
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
async fn pass(now: &mut ConditionReceiver, towards: ByteDirection) {
    let passes = |condition: &LinkCondition| match condition {
        LinkCondition::Open | LinkCondition::Delay(_) => true,
        LinkCondition::NoRequests => towards == ByteDirection::Caller,
        LinkCondition::NoAnswers => towards == ByteDirection::Target,
        LinkCondition::Cut | LinkCondition::Closed => false,
    };
    let condition = now.wait_for(passes).await.map(|condition| *condition);
    match condition {
        Ok(LinkCondition::Delay(late)) => tokio::time::sleep(late).await,
        Ok(_) => {}
        Err(_) => std::future::pending().await, // the link is dropped, and its connections with it
    }
}
