//! When one server is polled: at its own beat, and whenever somebody asks; never twice at once.

use std::{sync::Arc, time::Duration};

use futures::{FutureExt, future::BoxFuture};
use tokio::{
    sync::{mpsc, oneshot},
    time::{MissedTickBehavior, interval_at},
};
use tokio_util::sync::CancellationToken;
use usher_model::id::ServerId;
use usher_runtime::clock;

use super::Round;
use crate::core::poll_schedule::Beat;

/// One server's beat.
pub(super) struct Cadence {
    pub(super) id: ServerId,
    pub(super) round: Arc<Round>,
    pub(super) interval: Duration,
    pub(super) beat: Beat,
    pub(super) asked: mpsc::Receiver<oneshot::Sender<()>>,
}

/// Whether a poll moves the health counters. They have a time base, so a poll between two beats
/// brings a fresh sample and no more: otherwise asking often would turn a server red or green. One that
/// fails is as a failed call: it takes the server out of placement, and brings red no nearer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Count {
    /// It is a check.
    Check,
    /// It is only a look.
    Look,
}

impl Cadence {
    /// Polls until either token is cancelled.
    pub(super) async fn run(mut self, stop: CancellationToken, stopping: CancellationToken) {
        let begun = clock::now();
        // A new server is checked now, before anybody's ask makes its first poll a mere look: a timer
        // that is due now may be a moment late.
        let at_once = self.beat.first.is_zero();
        let first = if at_once { self.beat.second } else { self.beat.first };
        let mut beat = interval_at((begun + first).into(), self.interval);
        beat.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut second = (!at_once).then(|| begun + self.beat.second);
        let mut poll: Option<BoxFuture<'static, ()>> = at_once.then(|| self.start(Count::Check));
        let mut waiting: Vec<oneshot::Sender<()>> = Vec::new();
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = stopping.cancelled() => return,
                () = async { if let Some(poll) = &mut poll { poll.await } }, if poll.is_some() => {
                    poll = None;
                    for asker in waiting.drain(..) {
                        let _ = asker.send(()); // an asker that gave up is no matter
                    }
                }
                _ = beat.tick() => {
                    if let Some(second) = second.take() {
                        beat.reset_at(second.into());
                    }
                    match poll {
                        None => poll = Some(self.start(Count::Check)),
                        Some(_) => self.round.skipped(&self.id),
                    }
                }
                Some(asker) = self.asked.recv() => {
                    waiting.push(asker);
                    if poll.is_none() {
                        poll = Some(self.start(Count::Look));
                    }
                }
            }
        }
    }

    fn start(&self, count: Count) -> BoxFuture<'static, ()> {
        let (round, id) = (self.round.clone(), self.id.clone());
        async move { round.poll(&id, count).await }.boxed()
    }
}
