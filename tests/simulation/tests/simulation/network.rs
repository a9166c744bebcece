//! The links between processes. Messages may be late or lost, and a cut link or a frozen process
//! holds them.
//!
//! A request that was sent continues independently of its sender: the sender may time out, crash or
//! freeze, and the request still arrives. This causes late requests and lost answers.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Notify, oneshot},
    time::{sleep, timeout},
};

use tokio_util::sync::CancellationToken;

use crate::chance::SeededChance;

/// Longest time that a cut link holds messages before it closes the connection.
const HELD: Duration = Duration::from_secs(10);
/// The delay of a late request.
const LATE: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(20));
/// The time after which no message that was sent can still arrive.
pub(crate) const LATEST: Duration = Duration::from_secs(35);

/// A process with an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum SimNode {
    Store,
    Replica(usize),
    Edge(usize),
    Server(usize),
}

/// One run of the process of a node: after a crash, `crashed` stays cancelled.
#[derive(Debug, Clone)]
pub(crate) struct NodeLife {
    pub(crate) node: SimNode,
    pub(crate) crashed: CancellationToken,
}

impl NodeLife {
    pub(crate) fn new(node: SimNode) -> Self {
        Self { node, crashed: CancellationToken::new() }
    }
}

/// The failure of a call, from the caller's view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LostCall {
    /// No connection: the request was not sent.
    NotSent,
    /// The connection broke after the request was sent.
    Broken,
    /// No answer before the timeout.
    Silent,
}

/// The quality of a link.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LinkQuality {
    /// The delay of one direction: least and most.
    pub(crate) delay: (Duration, Duration),
    /// Lost requests, in a thousand.
    pub(crate) lost_requests: u32,
    /// Lost answers, in a thousand.
    pub(crate) lost_answers: u32,
    /// Late requests, in a thousand.
    pub(crate) late: u32,
}

impl LinkQuality {
    pub(crate) fn good(least_ms: u64, most_ms: u64) -> Self {
        let delay = (Duration::from_millis(least_ms), Duration::from_millis(most_ms));
        Self { delay, lost_requests: 0, lost_answers: 0, late: 0 }
    }
}

#[derive(Default)]
struct NetworkState {
    cut: BTreeSet<(SimNode, SimNode)>,
    still: BTreeSet<SimNode>,
    bad: BTreeMap<(SimNode, SimNode), LinkQuality>,
}

pub(crate) struct SimNetwork {
    state: Mutex<NetworkState>,
    changed: Notify,
    chance: SeededChance,
}

struct MessageFate {
    request: Duration,
    answer: Duration,
    request_lost: bool,
    answer_lost: bool,
    /// A loss closes the connection instead of causing silence.
    resets: bool,
}

fn link(one: SimNode, other: SimNode) -> (SimNode, SimNode) {
    (one.min(other), one.max(other))
}

/// Returns the quality of a link without faults, by the kinds of its ends.
fn ordinary(one: SimNode, other: SimNode) -> LinkQuality {
    match link(one, other) {
        (SimNode::Store, _) => LinkQuality::good(1, 4),
        (SimNode::Replica(_), SimNode::Edge(_)) => LinkQuality::good(1, 5),
        _ => LinkQuality::good(2, 30),
    }
}

impl SimNetwork {
    pub(crate) fn new(chance: SeededChance) -> Self {
        Self { state: Mutex::default(), changed: Notify::new(), chance }
    }

    fn state(&self) -> MutexGuard<'_, NetworkState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut NetworkState)) {
        change(&mut self.state());
        self.changed.notify_waiters();
    }

    pub(crate) fn cut(&self, one: SimNode, other: SimNode) {
        self.change(|state| {
            state.cut.insert(link(one, other));
        });
    }

    pub(crate) fn mend(&self, one: SimNode, other: SimNode) {
        self.change(|state| {
            state.cut.remove(&link(one, other));
        });
    }

    /// Freezes a process: no message leaves it or reaches it.
    pub(crate) fn freeze(&self, node: SimNode) {
        self.change(|state| {
            state.still.insert(node);
        });
    }

    pub(crate) fn thaw(&self, node: SimNode) {
        self.change(|state| {
            state.still.remove(&node);
        });
    }

    pub(crate) fn degrade(&self, one: SimNode, other: SimNode, quality: Option<LinkQuality>) {
        self.change(|state| match quality {
            Some(quality) => drop(state.bad.insert(link(one, other), quality)),
            None => drop(state.bad.remove(&link(one, other))),
        });
    }

    pub(crate) fn is_cut(&self, one: SimNode, other: SimNode) -> bool {
        self.state().cut.contains(&link(one, other))
    }

    pub(crate) fn is_frozen(&self, node: SimNode) -> bool {
        self.state().still.contains(&node)
    }

    /// Waits while a process is frozen.
    pub(crate) async fn moves(&self, node: SimNode) {
        loop {
            let changed = self.changed.notified();
            if !self.is_frozen(node) {
                return;
            }
            changed.await;
        }
    }

    /// Waits while a link is cut; returns `false` if that takes longer than `held`.
    pub(crate) async fn passes(&self, one: SimNode, other: SimNode, held: Duration) -> bool {
        let mended = async {
            loop {
                let changed = self.changed.notified();
                if !self.is_cut(one, other) {
                    return;
                }
                changed.await;
            }
        };
        timeout(held, mended).await.is_ok()
    }

    /// Returns a random delay of one direction.
    pub(crate) fn one_way(&self, one: SimNode, other: SimNode) -> Duration {
        let (least, most) = self.quality(one, other).delay;
        self.chance.between(least, most)
    }

    fn quality(&self, one: SimNode, other: SimNode) -> LinkQuality {
        self.state().bad.get(&link(one, other)).copied().unwrap_or_else(|| ordinary(one, other))
    }

    fn fate(&self, one: SimNode, other: SimNode) -> MessageFate {
        let quality = self.quality(one, other);
        let (least, most) = if self.chance.happens(quality.late) { LATE } else { quality.delay };
        MessageFate {
            request: self.chance.between(least, most),
            answer: self.one_way(one, other),
            request_lost: self.chance.happens(quality.lost_requests),
            answer_lost: self.chance.happens(quality.lost_answers),
            resets: self.chance.happens(500),
        }
    }

    /// Sends a request, which `serve` carries out at the receiver, and waits for the answer.
    pub(crate) async fn call<F>(
        self: &Arc<Self>,
        from: &NodeLife,
        to: &NodeLife,
        patience: Duration,
        serve: F,
    ) -> Result<F::Output, LostCall>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        if from.crashed.is_cancelled() {
            std::future::pending::<()>().await;
        }
        self.moves(from.node).await;
        let fate = self.fate(from.node, to.node);
        let refused = to.crashed.is_cancelled() || (self.is_cut(from.node, to.node) && fate.resets);
        if refused {
            sleep(fate.request.min(patience)).await;
            return Err(LostCall::NotSent);
        }
        let (answer, answered) = oneshot::channel();
        let carried = self.clone().carry(from.clone(), to.clone(), fate, serve, answer);
        tokio::spawn(carried);
        match timeout(patience, answered).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => Err(LostCall::Broken),
            Err(_) => Err(LostCall::Silent),
        }
    }

    async fn carry<F: Future>(
        self: Arc<Self>,
        from: NodeLife,
        to: NodeLife,
        fate: MessageFate,
        serve: F,
        answer: oneshot::Sender<F::Output>,
    ) {
        let lost = async |answer: oneshot::Sender<F::Output>| {
            if !fate.resets {
                sleep(HELD * 3).await; // silence
            }
            drop(answer);
        };
        sleep(fate.request).await;
        if fate.request_lost || !self.passes(from.node, to.node, HELD).await {
            return lost(answer).await;
        }
        self.moves(to.node).await;
        let served = tokio::select! {
            biased;
            () = to.crashed.cancelled() => return lost(answer).await,
            served = serve => served,
        };
        if fate.answer_lost {
            return lost(answer).await;
        }
        sleep(fate.answer).await;
        self.moves(to.node).await;
        if !self.passes(from.node, to.node, HELD).await {
            return lost(answer).await;
        }
        self.moves(from.node).await;
        drop(answer.send(served)); // a caller that timed out has dropped the receiver
    }
}
