//! Turns of client addresses for work on requests. A runtime thread works on all tasks that are ready in
//! the order of their arrival: a join would wait until all requests of a crowd that came before it are done.

use std::{
    future::{Future, poll_fn},
    hash::Hash,
    pin::pin,
    task::Poll,
    thread,
};

use crate::{
    core::admission::{AddressGroup, ShedReason},
    upstream::{FairTurns, TooManyWait},
};

/// Requests of one address that may wait for a turn: more than the connections of a busy application.
const WAITING_MAX: usize = 4096;

/// The client whose requests take turns; `None` for all whose address is not known.
type TurnOwner = Option<AddressGroup>;

/// Turns for requests that are not prompt. A request needs one for each piece of work between two waits, and
/// none while it waits for a server. At most half of the runtime's threads, and at least one, are in a turn.
#[derive(Debug, Clone)]
pub(in crate::server) struct RequestTurns {
    turns: FairTurns<TurnOwner>,
}

impl RequestTurns {
    /// Returns turns for this machine.
    pub(in crate::server) fn new() -> Self {
        let processors = thread::available_parallelism().map_or(1, usize::from);
        Self { turns: FairTurns::new((processors / 2).max(1), WAITING_MAX) }
    }

    /// Does the work of a request in turns.
    ///
    /// # Errors
    /// Too many requests of the address wait.
    pub(in crate::server) async fn take<F: Future>(
        &self,
        owner: TurnOwner,
        work: F,
    ) -> Result<F::Output, ShedReason> {
        in_turns(&self.turns, &owner, work).await.map_err(|TooManyWait| ShedReason::AddressRequests)
    }
}

/// Polls `work` only in a turn of `owner`.
async fn in_turns<K: Clone + Eq + Hash, F: Future>(
    turns: &FairTurns<K>,
    owner: &K,
    work: F,
) -> Result<F::Output, TooManyWait> {
    let mut work = pin!(work);
    loop {
        let mut turn = Some(turns.turn(owner, 1).await?);
        // The requests that are ready now queue behind this one first. Without the pause each would find the
        // place free, and they would all be worked on before a join that is ready too.
        tokio::task::yield_now().await;
        let mut polled = false;
        let done = poll_fn(|context| {
            if polled {
                return Poll::Ready(None); // woken: the next piece needs a turn of its own
            }
            polled = true;
            let done = work.as_mut().poll(context).map(Some);
            turn = None;
            done
        });
        if let Some(output) = done.await {
            return Ok(output);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    };

    use super::*;

    /// Work of several pieces, each of which leaves a mark.
    async fn pieces(name: usize, number: usize, marks: Arc<Mutex<Vec<usize>>>) {
        for _ in 0..number {
            marks.lock().unwrap().push(name);
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_join_waits_for_two_pieces_of_a_crowd_at_most() {
        let (turns, marks) = (FairTurns::new(1, WAITING_MAX), Arc::default());
        let mut crowd = tokio::task::JoinSet::new();
        for _ in 0..100 {
            let (turns, work) = (turns.clone(), pieces(1, 3, Arc::clone(&marks)));
            crowd.spawn(async move { in_turns(&turns, &1, work).await });
        }
        // Ready behind the whole crowd, as a join is that arrives with it.
        let prompt = tokio::spawn(pieces(0, 1, Arc::clone(&marks)));
        prompt.await.unwrap();
        let before = marks.lock().unwrap().iter().filter(|mark| **mark == 1).count();
        assert!(before <= 2, "{before} pieces came first");
        while let Some(done) = crowd.join_next().await {
            assert_eq!(done.unwrap(), Ok(()));
        }
        assert_eq!(marks.lock().unwrap().len(), 301);
    }

    #[tokio::test]
    async fn addresses_take_turns() {
        let (turns, marks) = (FairTurns::new(1, WAITING_MAX), Arc::default());
        let works = [vec![1; 100], vec![2]].concat();
        let works = works.into_iter().map(|name| {
            let (turns, work) = (turns.clone(), pieces(name, 1, Arc::clone(&marks)));
            async move { in_turns(&turns, &name, work).await }
        });
        futures::future::join_all(works).await;
        let marks = marks.lock().unwrap();
        let place = marks.iter().position(|mark| *mark == 2).unwrap();
        assert!(place as u64 <= crate::core::admission::QUANTUM + 1, "{place} of the crowd came first");
    }

    #[tokio::test]
    async fn waiting_work_holds_no_turn_and_dropped_work_leaves_none_behind() {
        let (turns, polls) = (FairTurns::new(1, WAITING_MAX), AtomicUsize::new(0));
        let hung = async {
            polls.fetch_add(1, Ordering::Relaxed);
            std::future::pending::<()>().await;
        };
        let mut hung = Box::pin(in_turns(&turns, &1, hung));
        while polls.load(Ordering::Relaxed) == 0 {
            assert!(futures::poll!(&mut hung).is_pending());
            tokio::task::yield_now().await;
        }
        assert_eq!(in_turns(&turns, &1, async {}).await, Ok(()), "the waiting work holds no turn");
        let mut dropped = Box::pin(in_turns(&turns, &1, async {}));
        assert!(futures::poll!(&mut dropped).is_pending());
        let mut behind = Box::pin(in_turns(&turns, &2, async {}));
        assert!(futures::poll!(&mut behind).is_pending());
        drop((dropped, hung));
        assert_eq!(behind.await, Ok(()));
    }

    #[tokio::test]
    async fn an_address_with_too_many_waiting_requests_is_refused() {
        let turns = FairTurns::new(1, 1);
        let mut first = Box::pin(in_turns(&turns, &1, async {}));
        let mut second = Box::pin(in_turns(&turns, &1, async {}));
        assert!(futures::poll!(&mut first).is_pending());
        assert!(futures::poll!(&mut second).is_pending());
        assert_eq!(in_turns(&turns, &1, async {}).await, Err(TooManyWait));
        assert_eq!((first.await, second.await), (Ok(()), Ok(())));
    }
}
