//! Long work on the answers of servers, in turns of the tenants: the lists of a crowd wait behind each other,
//! and not in front of those of other tenants.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;
use usher_model::id::TenantId;
use usher_runtime::compute_pool::{ComputeFailure, ComputePool, INLINE_MAX};

use crate::{
    core::admission::{FairQueue, QueueEntry, ShedReason},
    metrics::ShedCounters,
};

/// Works of one tenant that may wait. The calls that a tenant has under way bound them more closely, unless
/// `edge.max_cost` is switched off.
const WAITING_MAX: usize = 512;

/// The tenant for which work is done, or `None` for work that all tenants share.
type WorkOwner = Option<TenantId>;
type TurnQueue = FairQueue<WorkOwner, oneshot::Sender<WorkTurn>>;

/// The reason for which work was not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ComputeRefusal {
    /// Too much work of the tenant waits.
    #[error("too much work of the tenant waits")]
    Full,
    /// The work did not end.
    #[error(transparent)]
    Failed(#[from] ComputeFailure),
}

/// A pool for long work whose threads tenants get in turns; clones share it.
#[derive(Debug, Clone)]
pub struct FairCompute {
    pool: ComputePool,
    turns: Arc<Mutex<TurnQueue>>,
    shed: ShedCounters,
}

impl FairCompute {
    /// Returns turns for `pool`. `shed` counts the work that was refused.
    pub fn new(pool: ComputePool, shed: ShedCounters) -> Self {
        let turns = Arc::new(Mutex::new(FairQueue::new(pool.threads(), WAITING_MAX)));
        Self { pool, turns, shed }
    }

    /// Does `work` for a tenant on an input of `size` bytes: at once if it is small, else on a thread of the
    /// pool when the tenant's turn comes. `None` is the owner of work that all tenants share.
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
        let turn = self.turn(tenant.cloned(), (size / INLINE_MAX) as u64).await?;
        // The turn ends with the work, also if the caller is dropped meanwhile.
        let done = self.pool.run(size, move || {
            let _turn = turn;
            work()
        });
        Ok(done.await?)
    }

    /// Waits for a turn. `cost` is in units of the largest work that is done at once.
    async fn turn(&self, owner: WorkOwner, cost: u64) -> Result<WorkTurn, ComputeRefusal> {
        let (sender, receiver) = oneshot::channel();
        let entry = lock(&self.turns).enter(&owner, cost, sender);
        match entry {
            QueueEntry::Runs(_) => Ok(WorkTurn { turns: Some(Arc::clone(&self.turns)) }),
            // The queue drops no sender before it has sent a turn.
            QueueEntry::Waits => receiver.await.map_err(|_| ComputeFailure.into()),
            QueueEntry::Full(_) => {
                self.shed.count(ShedReason::TenantCost);
                Err(ComputeRefusal::Full)
            }
        }
    }
}

fn lock(turns: &Mutex<TurnQueue>) -> MutexGuard<'_, TurnQueue> {
    turns.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A turn, which goes to the next work when it is dropped.
#[derive(Debug)]
struct WorkTurn {
    /// `None` once the turn has been given up.
    turns: Option<Arc<Mutex<TurnQueue>>>,
}

impl Drop for WorkTurn {
    fn drop(&mut self) {
        let Some(turns) = self.turns.take() else { return };
        loop {
            let next = lock(&turns).leave();
            let Some(next) = next else { return };
            let Err(mut unwanted) = next.send(WorkTurn { turns: Some(Arc::clone(&turns)) }) else { return };
            // The caller of that work has gone: the loop, and not a recursion, looks for another one.
            unwanted.turns = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use usher_runtime::tasks::TaskGroup;

    use super::*;

    const LONG: usize = INLINE_MAX + 1;

    fn compute() -> FairCompute {
        let mut compute = FairCompute::new(ComputePool::new(TaskGroup::new()), ShedCounters::default());
        compute.turns = Arc::new(Mutex::new(FairQueue::new(1, WAITING_MAX)));
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
        while lock(&compute.turns).running() == 0 {
            tokio::task::yield_now().await;
        }
        (release, running)
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
            Err::<(), _>(ComputeFailure.into())
        );
        assert_eq!(work().await, Ok(()));
    }
}
