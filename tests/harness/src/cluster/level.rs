//! The leader of a cluster, and whether all parts have the same revision.

use std::{cell::Cell, collections::BTreeMap};

use anyhow::{Context, Result, ensure};
use usher_proto::v1;

use super::TestCluster;
use crate::wait;

impl TestCluster {
    /// Returns the index of the control plane that leads.
    ///
    /// # Errors
    /// When no control plane leads in time.
    pub async fn leader(&self) -> Result<usize> {
        wait::until("a control plane to lead", || async {
            for number in 0..self.control_planes.len() {
                let look = self.admin(number);
                let status = tokio::time::timeout(wait::GLANCE, look.status()).await;
                if matches!(status, Ok(Ok(status)) if status.leading) {
                    return Ok(number);
                }
            }
            anyhow::bail!("no control plane reports that it leads")
        })
        .await
    }

    /// Waits until every control plane and every edge has the newest revision that any control
    /// plane has now. If the control planes have different epochs, or a new epoch begins meanwhile,
    /// the newest revision is determined again after they agree on one epoch.
    ///
    /// # Errors
    /// When the parts do not agree in time.
    pub async fn is_level(&self) -> Result<()> {
        let agreed = Cell::new(None::<v1::Revision>);
        wait::until("every edge to be level with the control planes", || async {
            let revisions = self.revisions().await?;
            let newest = revisions.iter().copied().max_by_key(|revision| revision.seq);
            let newest = newest.context("a cluster has control planes")?;
            let one_epoch = revisions.iter().all(|revision| revision.epoch == newest.epoch);
            ensure!(one_epoch, "control planes of different epochs: {revisions:?}");
            let goal = agreed.get().filter(|goal| goal.epoch == newest.epoch).unwrap_or(newest);
            agreed.set(Some(goal));
            let has = |at: &v1::Revision| at.epoch == goal.epoch && at.seq >= goal.seq;
            let mut edges = Vec::new();
            for number in 0..self.control_planes.len() {
                edges.extend(self.admin(number).edges().await?);
            }
            ensure!(edges.len() == self.edges.len(), "{} of {} edges", edges.len(), self.edges.len());
            let level =
                revisions.iter().all(has) && edges.iter().all(|edge| edge.applied.as_ref().is_some_and(has));
            ensure!(
                level,
                "wanted {goal:?}: control planes at {revisions:?}, edges at {:?}",
                applied(&edges)
            );
            Ok(())
        })
        .await
    }

    async fn revisions(&self) -> Result<Vec<v1::Revision>> {
        let mut revisions = Vec::new();
        for number in 0..self.control_planes.len() {
            revisions.push(self.admin(number).status().await?.revision.context("it holds a revision")?);
        }
        Ok(revisions)
    }
}

fn applied(edges: &[v1::Edge]) -> BTreeMap<&str, Option<v1::Revision>> {
    edges.iter().map(|edge| (edge.name.as_str(), edge.applied)).collect()
}
