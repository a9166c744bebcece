//! `usher standalone`.

use std::time::Duration;

use usher_model::settings::{Settings, StoreKind};
use usher_runtime::{
    config::{self, Source},
    signals::Signals,
    telemetry,
};

use crate::{
    args::StandaloneArgs, core::inventory::ServerSpec, exit::Failure, inventory, printer::Printer,
    standalone::Standalone,
};

/// Runs a whole Usher until it is told to stop.
pub(super) async fn run(printer: &mut Printer, args: StandaloneArgs) -> Result<(), Failure> {
    let mut base = Settings::default();
    base.store.kind = StoreKind::Embedded;
    // There is no other edge that a balancer could send anybody to.
    base.edge.shutdown_wait = Duration::ZERO;
    let usage = |faults: config::Faults| Failure::Usage(faults.to_string());
    let mut source = Source::read(base, args.config.as_deref(), args.flags()).map_err(usage)?;
    source.masked = args.print_config;
    let (settings, warnings) = config::load(&source).map_err(usage)?;
    if args.print_config {
        return printer.text(&config::print(&settings));
    }
    // A list that cannot be used is a reason not to start at all.
    let servers = args.servers.as_deref().map(inventory::read).transpose()?.unwrap_or_default();
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

async fn serve(printer: &mut Printer, settings: &Settings, servers: &[ServerSpec]) -> Result<(), Failure> {
    let mut signals = Signals::listen()?;
    // A signal while it starts ends the process: nothing was promised to anybody yet.
    let standalone = signals.or(Standalone::start(settings, servers)).await??;
    printer.text(&standalone.addresses().to_string())?;
    until_told(&mut signals, standalone).await
}

/// Waits for a signal, or for the end of a part, and stops in order.
pub(super) async fn until_told(signals: &mut Signals, standalone: Standalone) -> Result<(), Failure> {
    let ended = standalone.ended();
    let asked = tokio::select! {
        () = signals.next() => true,
        () = ended.cancelled() => false,
    };
    tracing::info!("stopping; a second signal stops at once");
    signals.or(standalone.stop()).await?;
    if asked { Ok(()) } else { Err(anyhow::anyhow!("a part of the program has ended; see the log").into()) }
}
