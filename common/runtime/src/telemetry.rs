//! Logs and traces of one process. Logs go to standard error, traces to an OTLP endpoint if one is set. Other code
//! uses only `tracing`; [`propagation`] carries a trace from one process to the next.

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

/// The longest time that the export of the last traces may take at shutdown.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(3);

/// The filter of traces: the spans of Usher at any log filter, and never the spans of the exporter itself.
const TRACED: &str = "info,opentelemetry=off,h2=off,hyper=off,hyper_util=off,tonic=off,tower=off,reqwest=off";

/// The log target of a library that logs untrusted certificates as errors, although its caller reports them with
/// their meaning. A filter that names the target shows them nevertheless.
const QUIET: &str = "rustls_platform_verifier=off";

/// Flushes traces that are not exported yet, at shutdown or drop.
#[derive(Debug)]
#[must_use = "dropping the guard ends the export of traces"]
pub struct TelemetryGuard {
    provider: Option<SdkTracerProvider>,
}

impl TelemetryGuard {
    /// Exports the remaining traces and waits for the export, at most a few seconds.
    pub async fn shutdown(mut self) {
        if let Some(provider) = self.provider.take() {
            // On a blocking thread, because the thread of the exporter needs this runtime during the wait.
            let flushed =
                tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(FLUSH_TIMEOUT)).await;
            if !matches!(flushed, Ok(Ok(()))) {
                tracing::debug!("the last traces were not exported");
            }
        }
    }

    /// Exports the remaining traces without ending the exporter.
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
            // A failed flush cannot be reported any more, because logging has ended.
            drop(provider.shutdown_with_timeout(FLUSH_TIMEOUT));
        }
    }
}

/// Starts logging and tracing for this process. With an `otlp_endpoint` it must be called within a tokio runtime.
/// Only the first call in a process has an effect, so that several programs or tests can run in one process. A part
/// that cannot be set up is logged and left out.
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
