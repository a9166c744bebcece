//! One connection: bytes in both directions, as the condition of the link allows.

use std::{collections::BTreeMap, net::SocketAddr};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{mpsc, watch},
    time::Instant,
};

use super::{
    caller,
    condition::{LinkCondition, LinkRules},
};

/// Most bytes that are carried at once.
const CHUNK: usize = 64 << 10;

/// Most pieces of bytes that wait for the end of their delay.
const CHUNKS: usize = 256;

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
    pass(&mut now, ByteDirection::Target, Instant::now()).await;
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

/// Carries one direction until its sender ends, and passes the end on. Bytes are read while earlier
/// ones wait for the end of their delay, so that a delay is a latency and limits no throughput.
async fn pump(from: OwnedReadHalf, to: OwnedWriteHalf, now: ConditionReceiver, towards: ByteDirection) {
    let (queue, queued) = mpsc::channel(CHUNKS);
    tokio::join!(receive(from, queue), forward(queued, to, now, towards));
}

/// Reads until the sender ends; each piece is queued with its time of arrival.
async fn receive(mut from: OwnedReadHalf, queue: mpsc::Sender<(Instant, Vec<u8>)>) {
    let mut bytes = vec![0; CHUNK];
    while let Ok(read @ 1..) = from.read(&mut bytes).await {
        if queue.send((Instant::now(), bytes[..read].to_vec())).await.is_err() {
            return; // the receiver of the bytes has closed
        }
    }
}

async fn forward(
    mut queued: mpsc::Receiver<(Instant, Vec<u8>)>,
    mut to: OwnedWriteHalf,
    mut now: ConditionReceiver,
    towards: ByteDirection,
) {
    while let Some((arrived, bytes)) = queued.recv().await {
        pass(&mut now, towards, arrived).await;
        if to.write_all(&bytes).await.is_err() {
            return;
        }
    }
    pass(&mut now, towards, Instant::now()).await;
    // Fails only if the other side has closed too.
    let _ = to.shutdown().await;
}

/// Waits until bytes that arrived at `arrived` may pass in this direction, and for the delay of the
/// condition.
async fn pass(now: &mut ConditionReceiver, towards: ByteDirection, arrived: Instant) {
    let passes = |condition: &LinkCondition| match condition {
        LinkCondition::Open | LinkCondition::Delay(_) => true,
        LinkCondition::NoRequests => towards == ByteDirection::Caller,
        LinkCondition::NoAnswers => towards == ByteDirection::Target,
        LinkCondition::Cut | LinkCondition::Closed => false,
    };
    let condition = now.wait_for(passes).await.map(|condition| *condition);
    match condition {
        Ok(LinkCondition::Delay(late)) => tokio::time::sleep_until(arrived + late).await,
        Ok(_) => {}
        Err(_) => std::future::pending().await, // the link is dropped, and its connections with it
    }
}
