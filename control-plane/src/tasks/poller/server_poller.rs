//! The times at which one server is polled: by its schedule, and on request; never twice at once.

use std::{sync::Arc, time::Duration};

use futures::{FutureExt, future::BoxFuture};
use tokio::{
    sync::{mpsc, oneshot},
    time::{MissedTickBehavior, interval_at},
};
use tokio_util::sync::CancellationToken;
use usher_model::id::ServerId;
use usher_runtime::clock;

use super::poll_once::{PollKind, PollOnce};
use crate::core::poll_schedule::PollSchedule;

/// The task that polls one server.
pub(super) struct ServerPoller {
    pub(super) id: ServerId,
    pub(super) poll_once: Arc<PollOnce>,
    pub(super) interval: Duration,
    pub(super) beat: PollSchedule,
    pub(super) asked: mpsc::Receiver<oneshot::Sender<()>>,
}

impl ServerPoller {
    /// Polls until either token is cancelled.
    pub(super) async fn run(mut self, stop: CancellationToken, stopping: CancellationToken) {
        let begun = clock::now();
        // A new server gets its scheduled poll now, without the timer: a request that came before a
        // slightly late timer would turn the first poll into one that moves no counter.
        let at_once = self.beat.first.is_zero();
        let first = if at_once { self.beat.second } else { self.beat.first };
        let mut beat = interval_at((begun + first).into(), self.interval);
        beat.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut second = (!at_once).then(|| begun + self.beat.second);
        let mut poll: Option<BoxFuture<'static, ()>> = at_once.then(|| self.start(PollKind::Check));
        let mut waiting: Vec<oneshot::Sender<()>> = Vec::new();
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = stopping.cancelled() => return,
                () = async { if let Some(poll) = &mut poll { poll.await } }, if poll.is_some() => {
                    poll = None;
                    for asker in waiting.drain(..) {
                        let _ = asker.send(()); // fails only if the requester stopped waiting
                    }
                }
                _ = beat.tick() => {
                    if let Some(second) = second.take() {
                        beat.reset_at(second.into());
                    }
                    match poll {
                        None => poll = Some(self.start(PollKind::Check)),
                        Some(_) => self.poll_once.skipped(&self.id),
                    }
                }
                Some(asker) = self.asked.recv() => {
                    waiting.push(asker);
                    if poll.is_none() {
                        poll = Some(self.start(PollKind::Look));
                    }
                }
            }
        }
    }

    fn start(&self, count: PollKind) -> BoxFuture<'static, ()> {
        let (poll_once, id) = (self.poll_once.clone(), self.id.clone());
        async move { poll_once.poll(&id, count).await }.boxed()
    }
}
