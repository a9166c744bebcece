//! Registration of the first hook of a kind. The replica that accepts it registers Usher at the
//! servers before the application is answered, so that events after the answer are not missed. The
//! leader does the same, and continues if this replica could not.

use std::time::Duration;

use futures::StreamExt;
use tracing::debug;
use usher_model::{
    callback::{CallbackKey, HookState},
    server::{AdminState, Health, Server},
};
use usher_runtime::clock;

use super::WebhookRegistry;
use crate::notifications::rules::hooks::keeper::WantedHooks;

/// Longest time that an application waits for servers.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);
/// Largest number of servers that are called at the same time.
const AT_ONCE: usize = 64;

/// Registers a kind of hook at every server that answers in time.
pub(super) async fn announce(hooks: &WebhookRegistry, ask: WantedHooks) {
    // The key may be unknown yet, if this replica has just started.
    let deadline = clock::now() + hooks.patience;
    let key = hooks.keys.get(deadline).await;
    let key = key.and_then(|key| CallbackKey::parse(&key).ok());
    let (Some(key), Some(base)) = (key, hooks.public_url.as_deref()) else { return };
    let servers: Vec<Server> = hooks.fleet.read(|fleet| {
        let used = fleet.servers().filter(|server| server.admin() != AdminState::Disabled);
        let there = used.filter(|server| server.health() != Health::Offline);
        there.map(|server| server.stored.value.clone()).collect()
    });
    let asked = futures::stream::iter(&servers).for_each_concurrent(AT_ONCE, |server| {
        let state = HookState { server: server.id.clone(), raw: ask.raw, base: base.to_owned() };
        let url = state.url(&key);
        async move {
            if let Err(error) = hooks.servers.create_hook(server, &url, ask.raw).await {
                debug!(server = %server.id, %error, "server has no hook yet");
            }
        }
    });
    if tokio::time::timeout_at(deadline.into(), asked).await.is_err() {
        debug!("not every server has its hook in time");
    }
}
