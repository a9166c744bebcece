//! Long work on the answers of servers, in turns of the tenants: the lists of a crowd wait behind each other,
//! and not in front of those of other tenants.

use std::thread;

#[cfg(test)]
use futures::FutureExt as _;
use tracing::Span;
use usher_model::id::TenantId;
use usher_runtime::tasks::TaskGroup;

use super::fair_turns::FairTurns;
use crate::{core::admission::ShedReason, metrics::ShedCounters};

/// The largest input that is worked on at once, bytes. Reading or rewriting so much XML takes some tenths of
/// a millisecond, and moving the work to another thread is not free either.
const INLINE_MAX: usize = 64 << 10;

/// Works of one tenant that may wait. The calls that a tenant has under way bound them more closely, unless
/// `edge.max_cost` is switched off.
const WAITING_MAX: usize = 512;

/// The tenant for which work is done, or `None` for work that all tenants share.
type WorkOwner = Option<TenantId>;

/// The reason for which work was not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ComputeRefusal {
    /// Too much work of the tenant waits.
    #[error("too much work of the tenant waits")]
    Full,
    /// The work panicked, or the program stops.
    #[error("the work did not end")]
    Failed,
}

/// A few threads for work that occupies a processor for longer than about a millisecond, kept away from the
/// threads that serve requests. Tenants get them in turns; clones share them.
#[derive(Debug, Clone)]
pub struct FairCompute {
    tasks: TaskGroup,
    turns: FairTurns<WorkOwner>,
    shed: ShedCounters,
}

impl FairCompute {
    /// Returns turns for at most half of the processors, and at least one. `tasks` owns the work, and `shed`
    /// counts the work that was refused.
    pub fn new(tasks: TaskGroup, shed: ShedCounters) -> Self {
        let processors = thread::available_parallelism().map_or(1, usize::from);
        Self { tasks, turns: FairTurns::new((processors / 2).max(1), WAITING_MAX), shed }
    }

    /// Returns turns for tests: so many at a time, and none of any tenant that waits.
    #[cfg(test)]
    pub(crate) fn with_turns(turns: usize) -> Self {
        let places = FairTurns::new(turns, 0);
        if turns == 0 {
            // One place is the least; it is never given back.
            let taken = places.turn(&None, 1).now_or_never();
            std::mem::forget(taken);
        }
        Self { tasks: TaskGroup::new(), turns: places, shed: ShedCounters::default() }
    }

    /// Does `work` for a tenant on an input of `size` bytes: at once if it is small, else on another
    /// thread when the tenant's turn comes. `None` is the owner of work that all tenants share.
    ///
    /// # Errors
    /// Too much work of the tenant waits, or the work panicked.
    pub async fn run<T: Send + 'static>(
        &self,
        tenant: Option<&TenantId>,
        size: usize,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ComputeRefusal> {
        if size <= INLINE_MAX {
            return Ok(work());
        }
        let turn = self.turns.turn(&tenant.cloned(), (size / INLINE_MAX) as u64).await;
        let turn = turn.map_err(|_| {
            self.shed.count(ShedReason::TenantCost);
            ComputeRefusal::Full
        })?;
        let span = Span::current();
        // The turn ends with the work, also if the caller is dropped meanwhile.
        let working = self.tasks.spawn_blocking(move || {
            let _turn = turn;
            span.in_scope(work)
        });
        working.await.map_err(|_| ComputeRefusal::Failed)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc, Barrier,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    };

    use super::*;

    const LONG: usize = INLINE_MAX + 1;

    fn compute() -> FairCompute {
        let mut compute = FairCompute::new(TaskGroup::new(), ShedCounters::default());
        compute.turns = FairTurns::new(1, WAITING_MAX);
        compute
    }

    fn tenant(name: &str) -> TenantId {
        TenantId::parse(name).unwrap()
    }

    /// Occupies the only turn until the sender is used or dropped.
    async fn occupied(compute: &FairCompute) -> (mpsc::Sender<()>, tokio::task::JoinHandle<()>) {
        let (release, wait) = mpsc::channel::<()>();
        let other = compute.clone();
        let running = tokio::spawn(async move {
            let _ = other.run(None, LONG, move || wait.recv()).await;
        });
        while compute.turns.running() == 0 {
            tokio::task::yield_now().await;
        }
        (release, running)
    }

    #[tokio::test]
    async fn small_work_is_done_at_once_and_large_work_on_another_thread() {
        let (compute, here) = (compute(), thread::current().id());
        assert_eq!(compute.run(None, INLINE_MAX, || thread::current().id()).await, Ok(here));
        assert_ne!(compute.run(None, LONG, || thread::current().id()).await, Ok(here));
    }

    #[tokio::test]
    async fn as_many_works_run_at_once_as_there_are_turns_and_no_more() {
        let mut compute = compute();
        compute.turns = FairTurns::new(2, WAITING_MAX);
        let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let pair = Arc::new(Barrier::new(2));
        let works = (0..6).map(|_| {
            let (running, most, pair) = (Arc::clone(&running), Arc::clone(&most), Arc::clone(&pair));
            compute.run(None, LONG, move || {
                most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                pair.wait();
                running.fetch_sub(1, Ordering::SeqCst);
            })
        });
        assert_eq!(futures::future::join_all(works).await, [Ok(()); 6]);
        assert_eq!(most.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn work_of_another_tenant_does_not_wait_for_a_crowd() {
        let compute = compute();
        let (release, running) = occupied(&compute).await;
        let (sender, order) = mpsc::channel();
        let work = |name: &'static str| {
            let (compute, sender) = (compute.clone(), sender.clone());
            async move { compute.run(Some(&tenant(name)), LONG, move || sender.send(name)).await }
        };
        let mut crowd = futures::future::join_all((0..100).map(|_| work("crowd")).collect::<Vec<_>>());
        assert!(futures::poll!(&mut crowd).is_pending());
        let mut other = std::pin::pin!(work("other"));
        assert!(futures::poll!(&mut other).is_pending());
        drop(release);
        let (_, other, _) = tokio::join!(crowd, other, running);
        assert!(other.is_ok());
        let place = order.try_iter().position(|name| name == "other").unwrap();
        assert!(place as u64 <= crate::core::admission::QUANTUM, "{place} of the crowd came first");
    }

    #[tokio::test]
    async fn callers_that_go_leave_no_turn_behind_and_a_full_queue_refuses() {
        let compute = compute();
        let (release, running) = occupied(&compute).await;
        let name = tenant("crowd");
        let work = || compute.run(Some(&name), LONG, || ());
        let mut waiting: Vec<_> = (0..WAITING_MAX).map(|_| Box::pin(work())).collect();
        for work in &mut waiting {
            assert!(futures::poll!(work).is_pending());
        }
        assert_eq!(work().await, Err(ComputeRefusal::Full));
        assert_eq!(compute.shed.of(ShedReason::TenantCost).get(), 1);
        drop(waiting);
        drop(release);
        running.await.unwrap();
        assert_eq!(work().await, Ok(()));
        assert_eq!(
            compute.run(None, LONG, || panic!("on purpose")).await,
            Err::<(), _>(ComputeRefusal::Failed)
        );
        assert_eq!(work().await, Ok(()));
    }
}
