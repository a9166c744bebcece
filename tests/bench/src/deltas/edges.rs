//! Many edges without their HTTP side: each has its own subscriber and table.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Result, ensure};
use usher_edge_proxy::{
    control::{
        current_table::CurrentTable,
        subscriber::{EdgeIdentity, RoutingSubscriber, SubscriberTimeouts},
    },
    metrics::StreamMetrics,
};
use usher_model::{id::EdgeId, revision::Revision};
use usher_runtime::control_planes::ControlPlanes;
use usher_runtime::tasks::TaskGroup;

use super::marks::RevisionMarks;

pub(crate) struct SubscribedEdges {
    tables: Vec<Arc<CurrentTable>>,
    tasks: TaskGroup,
}

impl SubscribedEdges {
    /// Starts `count` edges that subscribe to the control plane.
    pub(crate) fn subscribe(control_plane: SocketAddr, count: usize) -> Result<Self> {
        let (mut tables, tasks) = (Vec::new(), TaskGroup::new());
        for number in 0..count {
            let current = Arc::new(CurrentTable::default());
            let subscriber = RoutingSubscriber {
                planes: ControlPlanes::new(&[format!("http://{control_plane}")], None)?,
                current: Arc::clone(&current),
                identity: EdgeIdentity {
                    id: EdgeId::parse(&format!("bench-{number}"))?,
                    address: format!("bench:{number}"),
                },
                patience: SubscriberTimeouts::default(),
                metrics: StreamMetrics::default(),
                from_disk: false,
            };
            tasks.spawn("edge", |stop| subscriber.run(stop));
            tables.push(current);
        }
        Ok(Self { tables, tasks })
    }

    /// Waits until every edge has applied `revision`.
    pub(crate) async fn reach(&self, revision: Revision, patience: Duration) -> Result<()> {
        for (number, current) in self.tables.iter().enumerate() {
            let reached = current.reach(revision, patience).await;
            ensure!(reached, "edge {number} is at {:?}, not at {revision}", current.revision());
        }
        Ok(())
    }

    /// Records the revisions that each edge applies from now on, until it is stopped.
    pub(crate) fn mark(&self, marks: &Arc<RevisionMarks>) {
        for current in &self.tables {
            let (mut revisions, marks) = (current.follow(), Arc::clone(marks));
            let mut before = revisions.borrow_and_update().map_or(0, |at| at.seq);
            self.tasks.spawn("mark", |stop| async move {
                loop {
                    let stopping = tokio::select! {
                        changed = revisions.changed() => {
                            changed?;
                            false
                        }
                        () = stop.cancelled() => true,
                    };
                    // Also after the stop: the last revisions may not have been read yet.
                    let now = revisions.borrow_and_update().map_or(0, |at| at.seq);
                    marks.applied(before, now);
                    before = now;
                    if stopping {
                        return Ok(());
                    }
                }
            });
        }
    }

    pub(crate) async fn stop(self) {
        self.tasks.shutdown().await;
    }
}

#[cfg(test)]
mod tests {
    use usher_edge_proxy::control::table::LiveTable;

    use super::{super::marks::AcknowledgedCommit, *};

    /// On one thread: no task runs before the stop, neither at its start nor at a change of the
    /// table.
    #[tokio::test]
    async fn applied_revisions_are_marked_although_the_task_runs_late() {
        let current = Arc::new(CurrentTable::default());
        current.replace(LiveTable::empty(Revision::new(1, 10)));
        let edges = SubscribedEdges { tables: vec![Arc::clone(&current)], tasks: TaskGroup::new() };
        let marks = Arc::new(RevisionMarks::after(10));
        edges.mark(&marks);
        current.replace(LiveTable::empty(Revision::new(1, 12)));
        edges.reach(Revision::new(1, 12), Duration::from_secs(1)).await.unwrap();
        edges.stop().await;
        let commits = [11, 12].map(|revision| AcknowledgedCommit { revision, at_micros: 0 });
        assert_eq!(marks.latencies(&commits, 1).unwrap().len(), 2);
    }
}
