//! Applications and their users: they create, join and end meetings through any edge.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep};

use crate::{
    cluster::{SimCluster, meeting},
    edge::JoinAnswer,
    servers::home,
    witness::ViolationKind,
};

/// The load of the applications.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ApplicationsLoad {
    /// The number of ids, which are used repeatedly; each create takes one of them.
    pub(crate) ids: u64,
    /// The mean time between two requests.
    pub(crate) every: Duration,
    /// The shares of creates, joins and ends.
    pub(crate) mix: [u64; 3],
    /// Creates that may supersede a meeting of an unhealthy server, in a thousand.
    pub(crate) supersede: u32,
}

impl SimCluster {
    /// Runs the applications until `until`.
    pub(crate) async fn applications(self: Arc<Self>, load: ApplicationsLoad, until: Instant) {
        while Instant::now() < until {
            sleep(self.chance.until_next(load.every)).await;
            let number = self.chance.below(load.ids);
            let key = meeting(number);
            let edge = self.some_edge();
            let which = self.chance.below(load.mix.iter().sum());
            // Only for some ids: the signed flag allows splits that would hide other violations.
            let supersede = number < 2 && self.chance.happens(load.supersede);
            let cluster = self.clone();
            tokio::spawn(async move {
                let crashed = edge.life.crashed.clone();
                let request = async {
                    if which < load.mix[0] {
                        if supersede {
                            cluster.witness.operator_supersedes(&key);
                        }
                        let created = edge.create(&key, supersede).await;
                        if created.is_some() && cluster.chance.happens(300) {
                            cluster.some_edge().join(&key).await;
                        }
                    } else if which < load.mix[0] + load.mix[1] {
                        edge.join(&key).await;
                    } else {
                        let asked = cluster.witness.end_requested(&key);
                        if edge.end(&key).await {
                            asked.acknowledged();
                        }
                    }
                };
                tokio::select! {
                    biased;
                    () = crashed.cancelled() => {}
                    () = request => {}
                }
            });
        }
    }

    /// Checks at rest that every client reaches its meeting, through every edge.
    pub(crate) async fn every_client_is_served(self: &Arc<Self>) {
        let running = self.witness.checker().running();
        for (key, server, internal) in running {
            for index in 0..self.shape.edges {
                let joined = self.edge(index).join(&key).await;
                let still = self.witness.checker().running().iter().any(|(_, _, id)| *id == internal);
                let there = matches!(&joined, JoinAnswer::At(entry) if home(entry) == server);
                if still && !there {
                    let text = format!("e{index} answers a join with {joined:?}, and {internal} runs");
                    self.witness.checker().fail(ViolationKind::Rest, Some(&key), text);
                }
            }
        }
        for index in 0..self.shape.edges {
            let key = meeting(1_000_000 + index as u64);
            if self.edge(index).create(&key, false).await.is_none() {
                let text = format!("e{index} does not create a new meeting");
                self.witness.checker().fail(ViolationKind::Rest, Some(&key), text);
            }
        }
    }
}
