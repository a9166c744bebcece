//! Running notifications: the handles that services use, and the tasks behind them.

use std::sync::Arc;

use usher_model::settings::Settings;
use usher_runtime::tasks::TaskGroup;

use super::{
    metrics::{deliveries::DeliveryMetrics, hooks::HookMetrics},
    ports::{ApplicationCalls, ServerHooks},
    rules::delivery::DeliveryLimits,
    tasks::{
        callback_key::CallbackKeys,
        deliveries::{DeliveryBook, DeliveryWorker},
        hooks::{HookKeeper, WebhookRegistry},
    },
};
use crate::engine::{Engine, EngineDependencies};

/// The handles of the running notifications; clones share everything.
#[derive(Clone)]
pub struct Notifications {
    /// Book of the deliveries that wait.
    pub deliveries: DeliveryBook,
    /// Webhooks that applications registered.
    pub hooks: WebhookRegistry,
    /// The key that seals callback addresses.
    pub callback_keys: CallbackKeys,
}

impl Notifications {
    /// Starts the delivery worker, the holder of the callback key and the keeper of the servers'
    /// hooks. The tasks stop with `tasks`.
    pub fn start(
        settings: &Settings,
        engine: &Engine,
        (applications, servers): (Arc<dyn ApplicationCalls>, Arc<dyn ServerHooks>),
        (delivery_metrics, hook_metrics): (DeliveryMetrics, HookMetrics),
        tasks: &TaskGroup,
    ) -> Self {
        let Engine { fleet, feed, epoch_writer, leadership, .. } = engine.clone();
        let EngineDependencies { store, wall, .. } = engine.dependencies.clone();
        let callback_keys = CallbackKeys::new((store.clone(), epoch_writer.clone()), fleet.clone());
        let figures = (delivery_metrics, engine.alarms.clone());
        let deliveries = DeliveryBook::new(
            (store.clone(), epoch_writer.clone()),
            wall.clone(),
            &settings.callbacks,
            figures,
        );
        let hooks = WebhookRegistry::new(
            (store, epoch_writer),
            fleet.clone(),
            deliveries.clone(),
            callback_keys.clone(),
            servers,
            (wall, hook_metrics),
            settings,
        );
        let worker = DeliveryWorker::new(
            deliveries.clone(),
            applications,
            feed.clone(),
            (fleet, callback_keys.clone()),
            leadership.clone(),
            tasks.clone(),
            DeliveryLimits::new(settings.callbacks.retry_for),
        );
        let keeper =
            HookKeeper::new(hooks.clone(), feed, leadership, tasks.clone(), settings.health.interval);
        let keys = callback_keys.clone();
        tasks.spawn("courier", |stop| worker.run(stop));
        tasks.spawn("callback key", |stop| keys.run(stop));
        tasks.spawn("hook keeper", |stop| keeper.run(stop));
        Self { deliveries, hooks, callback_keys }
    }
}
