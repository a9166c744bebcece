//! What operators do, and what they do when everything is lost.

use std::{sync::Arc, time::Duration};

use tokio::time::sleep;
use usher_common::{id::ServerId, runtime::clock, server::AdminState};

use crate::{
    cluster::{Cluster, meeting},
    replica::Running,
    servers::server_id,
};

/// How long an operator waits for an answer.
const PATIENCE: Duration = Duration::from_secs(5);

impl Cluster {
    fn some_replica(&self) -> Option<Arc<Running>> {
        let running: Vec<_> = self.running().into_iter().filter(|one| one.engine.fleet.complete()).collect();
        (!running.is_empty()).then(|| self.chance.one_of(&running).clone())
    }

    /// Cordons, disables or panics a server and enables it again; or frees an id.
    pub(super) async fn operate(&self, server: usize, lasts: Duration) {
        let Some(replica) = self.some_replica() else { return };
        let (id, deadline) = (server_id(server), clock::now() + PATIENCE);
        let admin = &replica.engine.admin;
        match self.chance.below(4) {
            0 => {
                let key = meeting(self.chance.below(2));
                self.witness.operator_supersedes(&key);
                let _ = admin.supersede(&key, None, deadline).await; // most often there is nothing to supersede
                return;
            }
            1 => {
                self.witness.note(&format!("! an operator panics {id}"));
                let _ = admin.panic_server(&id, None, deadline).await; // perhaps half way; the sweep goes on
            }
            2 => {
                self.witness.note(&format!("! an operator cordons {id}"));
                let _ = admin.set_admin(&id, None, AdminState::Cordoned, deadline).await;
            }
            _ => {
                self.witness.note(&format!("! an operator disables {id}"));
                let _ = admin.set_admin(&id, None, AdminState::Disabled, deadline).await; // refused with meetings
            }
        }
        sleep(lasts).await;
        self.enable(&id).await;
    }

    async fn enable(&self, id: &ServerId) {
        while let Some(replica) = self.some_replica() {
            let deadline = clock::now() + PATIENCE;
            if replica.engine.admin.set_admin(id, None, AdminState::Enabled, deadline).await.is_ok() {
                return;
            }
            sleep(Duration::from_millis(500)).await;
        }
    }

    /// Mends whatever an operator can.
    pub(crate) async fn enable_all(&self) {
        for id in self.server_ids() {
            self.enable(&id).await;
        }
    }

    /// Everything in the store is lost: by a foreign hand, or with its disks. Operators add the
    /// servers again.
    pub(crate) async fn lose_the_store(self: &Arc<Self>) {
        if self.chance.happens(500) {
            self.witness.note("! every key is deleted");
            self.store.wipe();
        } else {
            self.store.lose_everything(self.chance.below(u64::MAX));
        }
        self.add_servers().await;
        self.witness.note("! the servers are added again");
    }
}
