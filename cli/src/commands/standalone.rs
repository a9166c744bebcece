//! Runs `usher standalone`: control plane and edge in this process.

use std::time::Duration;

use usher_model::settings::{Settings, StoreKind};
use usher_runtime::{
    config::{self, SettingSource},
    signals::StopSignals,
    telemetry,
};

use crate::{
    args::StandaloneArgs, core::server_list::ServerSpec, exit::CommandFailure, fleet_sync,
    printer::OutputPrinter, standalone::StandaloneUsher,
};

/// Runs control plane and edge until a signal stops them.
pub(super) async fn run(printer: &mut OutputPrinter, args: StandaloneArgs) -> Result<(), CommandFailure> {
    let mut base = Settings::default();
    base.store.kind = StoreKind::Embedded;
    // No other edge could take over, so a wait for the network balancer would only delay the shutdown.
    base.edge.shutdown_wait = Duration::ZERO;
    let usage = |faults: config::ConfigFaults| CommandFailure::Usage(faults.to_string());
    let mut source = SettingSource::read(base, args.config.as_deref(), args.flags()).map_err(usage)?;
    source.masked = args.print_config;
    let (settings, warnings) = config::load(&source).map_err(usage)?;
    if args.print_config {
        return printer.text(&config::print(&settings));
    }
    // Read before the start: with a list that has faults no part starts.
    let servers = args.servers.as_deref().map(fleet_sync::read).transpose()?.unwrap_or_default();
    let telemetry = telemetry::init(&settings.telemetry, "usher");
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    if settings.secrets.is_empty() {
        tracing::warn!("no secret is set: applications can call only if the store has one; add --secret");
    }
    let served = serve(printer, &settings, &servers).await;
    telemetry.shutdown().await;
    served
}

async fn serve(
    printer: &mut OutputPrinter,
    settings: &Settings,
    servers: &[ServerSpec],
) -> Result<(), CommandFailure> {
    let mut signals = StopSignals::listen()?;
    // A signal during the start ends the process at once: no request was accepted yet.
    let standalone = signals.or(StandaloneUsher::start(settings, servers)).await??;
    printer.text(&standalone.addresses().to_string())?;
    serve_until_stopped(&mut signals, standalone).await
}

/// Waits for a signal or the end of a part, and stops all parts in order (style P16).
pub(super) async fn serve_until_stopped(
    signals: &mut StopSignals,
    standalone: StandaloneUsher,
) -> Result<(), CommandFailure> {
    let ended = standalone.ended();
    let is_requested = tokio::select! {
        () = signals.next() => true,
        () = ended.cancelled() => false,
    };
    tracing::info!("stopping; a second signal stops at once");
    signals.or(standalone.stop()).await?;
    if is_requested {
        Ok(())
    } else {
        Err(anyhow::anyhow!("a part of the program has ended; see the log").into())
    }
}
