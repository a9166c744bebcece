//! Registration of the first hook of a kind. The replica that accepts it registers Usher at the
//! servers before the application is answered, so that events after the answer are not missed. The
//! leader does the same, and continues if this replica could not.

use std::{sync::Arc, time::Duration};

use futures::StreamExt;
use tracing::debug;
use usher_model::{
    callback::{CallbackKey, HookState},
    server::{AdminState, Health, Server},
    settings::Settings,
};
use usher_runtime::clock;

use crate::{
    notifications::{
        ports::ServerHooks, rules::hooks::keeper::WantedHooks, tasks::callback_key::CallbackKeys,
    },
    tasks::fleet_handle::FleetHandle,
};

/// Longest time that an application waits for servers.
const PATIENCE: Duration = Duration::from_secs(2);
/// Largest number of servers that are called at the same time.
const AT_ONCE: usize = 64;

/// Registers Usher at the servers; clones share one state.
#[derive(Clone)]
pub(super) struct HookAnnouncer {
    fleet: FleetHandle,
    keys: CallbackKeys,
    servers: Arc<dyn ServerHooks>,
    /// Longest time that an application waits for servers, well within the deadline of its call.
    patience: Duration,
}

impl HookAnnouncer {
    /// Returns the announcer for the servers of `fleet`. `keys` seals the addresses that servers get.
    pub(super) fn new(
        fleet: FleetHandle,
        keys: CallbackKeys,
        servers: Arc<dyn ServerHooks>,
        settings: &Settings,
    ) -> Self {
        let patience = PATIENCE.min(settings.meetings.call_timeout / 4);
        Self { fleet, keys, servers, patience }
    }

    /// Registers a kind of hook at every server that answers in time. The servers send their events
    /// to the edges' public address `base`.
    pub(super) async fn announce(&self, ask: WantedHooks, base: &str) {
        // The key may be unknown yet, if this replica has just started.
        let deadline = clock::now() + self.patience;
        let key = self.keys.get(deadline).await;
        let Some(key) = key.and_then(|key| CallbackKey::parse(&key).ok()) else { return };
        let servers: Vec<Server> = self.fleet.read(|fleet| {
            let used = fleet.servers().filter(|server| server.admin() != AdminState::Disabled);
            let there = used.filter(|server| server.health() != Health::Offline);
            there.map(|server| server.stored.value.clone()).collect()
        });
        let asked = futures::stream::iter(&servers).for_each_concurrent(AT_ONCE, |server| {
            let state = HookState { server: server.id.clone(), raw: ask.raw, base: base.to_owned() };
            let url = state.url(&key);
            async move {
                if let Err(error) = self.servers.create_hook(server, &url, ask.raw).await {
                    debug!(server = %server.id, %error, "server has no hook yet");
                }
            }
        });
        if tokio::time::timeout_at(deadline.into(), asked).await.is_err() {
            debug!("not every server has its hook in time");
        }
    }
}
