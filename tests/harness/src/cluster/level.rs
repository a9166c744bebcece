//! Whether a cluster leads, and whether all of its parts know the same.

use std::{cell::Cell, collections::BTreeMap};

use anyhow::{Context, Result, ensure};
use usher_proto::v1;

use super::Cluster;
use crate::wait;

impl Cluster {
    /// Returns the control plane that leads.
    ///
    /// # Errors
    /// When none does in time.
    pub async fn leader(&self) -> Result<usize> {
        wait::until("a control plane to lead", || async {
            for number in 0..self.control_planes.len() {
                let look = self.admin(number);
                let status = tokio::time::timeout(wait::GLANCE, look.status()).await;
                if matches!(status, Ok(Ok(status)) if status.leading) {
                    return Ok(number);
                }
            }
            anyhow::bail!("none says so")
        })
        .await
    }

    /// Waits until every control plane and every edge has what any control plane knows now. Where they
    /// are of different epochs, or another begins meanwhile: what is known once they agree on one.
    ///
    /// # Errors
    /// When they do not get there.
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
