//! The actions of operators, and their recovery after a loss of all data.

use std::{sync::Arc, time::Duration};

use tokio::time::sleep;
use usher_model::{id::ServerId, server::AdminState};
use usher_runtime::clock;

use crate::{
    cluster::{SimCluster, meeting},
    replica::RunningReplica,
    servers::{SimServers, second_entry, server_id},
};

/// The timeout of an operator's call.
const PATIENCE: Duration = Duration::from_secs(5);

impl SimCluster {
    fn some_replica(&self) -> Option<Arc<RunningReplica>> {
        let running: Vec<_> = self.running().into_iter().filter(|one| one.engine.fleet.complete()).collect();
        (!running.is_empty()).then(|| self.chance.one_of(&running).clone())
    }

    /// Cordons, disables or panics a server and enables it again; or frees an id.
    pub(super) async fn operate(&self, server: usize, lasts: Duration) {
        let Some(replica) = self.some_replica() else { return };
        let id = if self.known(&second_entry(server)) && self.chance.happens(500) {
            second_entry(server)
        } else {
            server_id(server)
        };
        let key = meeting(self.chance.below(2));
        let (fleet, admin) = (&replica.engine.fleet, &replica.engine.admin);
        let which = self.chance.below(4);
        // The state that the operator sees; the order may arrive late, after a change.
        let (seen, instance) = fleet.read(|fleet| {
            let server = fleet.server(&id).map(|server| server.stored.modified);
            (server, fleet.record(&key).and_then(|stored| stored.value.state.internal_id().cloned()))
        });
        if self.chance.happens(400) {
            sleep(self.chance.between(Duration::ZERO, lasts / 2)).await;
        }
        let deadline = clock::now() + PATIENCE;
        match which {
            0 => {
                self.witness.operator_supersedes(&key);
                let _ = admin.supersede(&key, instance, deadline).await; // most ids have no meeting to supersede
                return;
            }
            1 => {
                self.witness.note(&format!("! an operator panics {id}"));
                let _ = admin.panic_server(&id, seen, deadline).await; // the call may end half-way; the sweep continues it
            }
            2 => {
                self.witness.note(&format!("! an operator cordons {id}"));
                let _ = admin.set_admin(&id, seen, AdminState::Cordoned, deadline).await;
            }
            _ => {
                self.witness.note(&format!("! an operator disables {id}"));
                let _ = admin.set_admin(&id, seen, AdminState::Disabled, deadline).await; // refused if the server has meetings
            }
        }
        sleep(lasts).await;
        self.enable(&id).await;
    }

    /// Adds a second entry of a server, and removes it some time later if it has no meetings.
    pub(super) async fn list_twice(&self, server: usize, lasts: Duration) {
        let id = second_entry(server);
        if let Some(replica) = self.some_replica().filter(|_| !self.known(&id)) {
            self.witness.note(&format!("! an operator adds {} again as {id}", server_id(server)));
            let described = SimServers::described(id.clone());
            let _ = replica.engine.admin.create_server(&described, clock::now() + PATIENCE).await;
        }
        sleep(lasts).await;
        if let Some(replica) = self.some_replica() {
            let _ = replica.engine.admin.delete_server(&id, None, clock::now() + PATIENCE).await;
        }
    }

    async fn enable(&self, id: &ServerId) {
        while let Some(replica) = self.some_replica().filter(|_| self.known(id)) {
            let deadline = clock::now() + PATIENCE;
            if replica.engine.admin.set_admin(id, None, AdminState::Enabled, deadline).await.is_ok() {
                return;
            }
            sleep(Duration::from_millis(500)).await;
        }
    }

    /// Restores all settings that an operator can restore.
    pub(crate) async fn enable_all(&self) {
        for index in 0..self.servers.count() {
            self.enable(&server_id(index)).await;
            self.enable(&second_entry(index)).await;
        }
    }

    /// Deletes all data of the store, by its keys or with its disks. Operators add the servers
    /// again.
    pub(crate) async fn lose_the_store(self: &Arc<Self>) {
        if self.chance.happens(500) {
            self.witness.note("! every key is deleted");
            self.store.wipe();
        } else {
            self.store.lose_all_data(self.chance.below(u64::MAX));
        }
        self.add_servers().await;
        self.add_hostile_tenant().await; // edges keep their tables until the tenant exists
        self.witness.note("! the servers and the tenant are added again");
    }
}
