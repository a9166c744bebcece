//! Tools that create servers, tenants and webhooks, and repeat a request at another replica if its
//! answer was lost (ADR 35).

mod create_order;

use std::{sync::Arc, time::Duration};

use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

use self::create_order::CreateOrder;
use crate::{
    cluster::SimCluster,
    network::{NodeLife, SimNode},
    witness::ViolationKind,
};

/// The mean time between two requests.
const EVERY: Duration = Duration::from_secs(2);
/// The timeout of a tool's call.
const PATIENCE: Duration = Duration::from_secs(6);
/// The share of answers that are lost on their last step to the tool, in a thousand.
const LOST: u32 = 400;
/// The time after the end of all faults within which every tool gets an answer.
const GRACE: Duration = Duration::from_mins(2);

impl SimCluster {
    /// Runs tools until `until`, and returns when each has an answer. Two tools with different requests
    /// create each resource.
    pub(crate) async fn tools(self: Arc<Self>, until: Instant) {
        let (mut orders, mut tool) = (JoinSet::new(), 0);
        while Instant::now() < until {
            sleep(self.chance.until_next(EVERY)).await;
            orders.spawn(self.clone().create(CreateOrder::new(tool), until + GRACE));
            tool += 1;
        }
        while orders.join_next().await.is_some() {}
    }

    /// Sends one request to replica after replica until an answer arrives, and has it judged.
    async fn create(self: Arc<Self>, order: CreateOrder, until: Instant) {
        let tool = NodeLife::new(SimNode::Edge(self.chance.below(self.shape.edges as u64) as usize));
        let mut at = self.chance.below(self.replicas.len() as u64) as usize;
        loop {
            let answer = match self.replicas[at].running() {
                Some(replica) => {
                    let there = replica.life.clone();
                    self.net.call(&tool, &there, PATIENCE, order.clone().send(replica)).await.ok().flatten()
                }
                None => None,
            };
            if let Some(answer) = answer.filter(|_| !self.chance.happens(LOST)) {
                self.witness.create_answered(&order.key(), order.tool, &answer);
                return;
            }
            if Instant::now() > until {
                let text = format!("no replica answers the request of a tool to create {}", order.key());
                self.witness.checker().fail(ViolationKind::Rest, None, text);
                return;
            }
            sleep(self.chance.between(Duration::from_millis(50), Duration::from_secs(2))).await;
            at = (at + 1) % self.replicas.len();
        }
    }
}
