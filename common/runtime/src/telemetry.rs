//! Logs and traces of one process. Logs go to standard error; traces by OTLP where an endpoint is set.
//! Nothing here is asked for by name later: code uses `tracing`, and [`propagation`] carries a trace
//! from one process to the next.

pub mod propagation;

use std::{io::IsTerminal, time::Duration};

use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};
use tracing::Subscriber;
use tracing_subscriber::{
    EnvFilter, Layer, Registry, layer::SubscriberExt, registry::LookupSpan, util::SubscriberInitExt,
};

pub use propagation::{extract, extract_metadata, inject, inject_metadata};

use usher_model::settings::{LogFormat, TelemetrySettings};

/// Longest time the last traces may take to leave at shutdown.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(3);

/// What is traced: our own spans, whatever the log filter, and never those of the exporter itself.
const TRACED: &str = "info,opentelemetry=off,h2=off,hyper=off,hyper_util=off,tonic=off,tower=off,reqwest=off";

/// What a library calls an error although its caller is told, and says what it means: the certificate of an
/// application or a server that is not trusted. Whoever names it in the filter hears it all the same.
const QUIET: &str = "rustls_platform_verifier=off";

/// Flushes what is not yet exported when shut down or dropped.
#[derive(Debug)]
#[must_use = "dropping the guard ends the export of traces"]
pub struct TelemetryGuard {
    provider: Option<SdkTracerProvider>,
}

impl TelemetryGuard {
    /// Exports what is left and waits for it, up to a few seconds.
    pub async fn shutdown(mut self) {
        if let Some(provider) = self.provider.take() {
            // Blocking: the exporter's own thread needs this runtime while it is waited for.
            let flushed =
                tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(FLUSH_TIMEOUT)).await;
            if !matches!(flushed, Ok(Ok(()))) {
                tracing::debug!("the last traces were not exported");
            }
        }
    }

    /// Exports what is left, without ending the export.
    pub async fn flush(&self) {
        if let Some(provider) = self.provider.clone() {
            let flushed = tokio::task::spawn_blocking(move || provider.force_flush()).await;
            if !matches!(flushed, Ok(Ok(()))) {
                tracing::debug!("traces were not exported");
            }
        }
    }
}

impl Drop for TelemetryGuard {
    fn drop(&mut self) {
        if let Some(provider) = self.provider.take() {
            // Nobody is left to hear that the flush failed.
            drop(provider.shutdown_with_timeout(FLUSH_TIMEOUT));
        }
    }
}

/// Starts logging and tracing for this process. With an `otlp_endpoint` it must be called within a
/// tokio runtime. The first call in a process counts; later ones change nothing, so that several
/// programs, or tests, fit into one process. What cannot be set up is said in the log and left out.
pub fn init(settings: &TelemetrySettings, service: &'static str) -> TelemetryGuard {
    let mut problems = Vec::new();
    let filter = EnvFilter::try_new(format!("{QUIET},{}", settings.log)).unwrap_or_else(|error| {
        problems.push(format!("log filter: {error}"));
        EnvFilter::new(format!("{QUIET},info"))
    });
    let provider = settings.otlp_endpoint.as_deref().and_then(|endpoint| match exporter(endpoint, service) {
        Ok(provider) => Some(provider),
        Err(error) => {
            problems.push(format!("otlp export: {error}"));
            None
        }
    });
    let spans = provider.as_ref().map(|provider| {
        tracing_opentelemetry::layer()
            .with_tracer(provider.tracer("usher"))
            .with_filter(EnvFilter::new(TRACED))
    });
    let first = Registry::default().with(spans).with(lines(settings.log_format, filter)).try_init().is_ok();
    for problem in problems {
        tracing::warn!(problem, "telemetry is incomplete");
    }
    TelemetryGuard { provider: provider.filter(|_| first) }
}

fn exporter(
    endpoint: &str,
    service: &'static str,
) -> Result<SdkTracerProvider, opentelemetry_otlp::ExporterBuildError> {
    let exporter = SpanExporter::builder().with_tonic().with_endpoint(endpoint).build()?;
    let resource = Resource::builder().with_service_name(service).build();
    Ok(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build())
}

fn lines<S>(format: LogFormat, filter: EnvFilter) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    match format {
        LogFormat::Text => layer.with_ansi(std::io::stderr().is_terminal()).with_filter(filter).boxed(),
        LogFormat::Json => layer.json().flatten_event(true).with_filter(filter).boxed(),
    }
}
