//! Carries a trace across processes: W3C Trace Context in HTTP headers and gRPC metadata.

use std::str::FromStr;

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tonic::metadata::MetadataMap;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// Adds the trace context of the current span to an outgoing HTTP request, if traces are on.
pub fn inject(headers: &mut HeaderMap) {
    inject_span(&Span::current(), headers);
}

/// Adds the trace context of `span` to an outgoing HTTP request, as [`inject`] does for the current one.
pub fn inject_span(span: &Span, headers: &mut HeaderMap) {
    TraceContextPropagator::new().inject_context(&span.context(), &mut Outgoing(headers));
}

/// Adds the trace context of the current span to an outgoing gRPC request, if traces are on.
pub fn inject_metadata(metadata: &mut MetadataMap) {
    let mut headers = std::mem::take(metadata).into_headers();
    inject(&mut headers);
    *metadata = MetadataMap::from_headers(headers);
}

/// Makes `span` a child of the trace of an incoming HTTP request. The span must not have been entered yet.
/// Without a valid `traceparent` it begins a new trace.
pub fn extract(headers: &HeaderMap, span: &Span) {
    if headers.contains_key("traceparent") {
        let context = TraceContextPropagator::new().extract(&Incoming(headers));
        // The call fails if traces are off or the span is filtered out; then no trace needs the parent.
        drop(span.set_parent(context));
    }
}

/// Makes `span` a child of the trace of an incoming gRPC request, as [`extract`] does for HTTP.
pub fn extract_metadata(metadata: &MetadataMap, span: &Span) {
    extract(metadata.as_ref(), span);
}

struct Outgoing<'a>(&'a mut HeaderMap);

impl Injector for Outgoing<'_> {
    fn set(&mut self, key: &str, value: String) {
        if value.is_empty() {
            return; // an empty `tracestate` says nothing
        }
        if let (Ok(name), Ok(value)) = (HeaderName::from_str(key), HeaderValue::from_str(&value)) {
            self.0.insert(name, value);
        }
    }
}

struct Incoming<'a>(&'a HeaderMap);

impl Extractor for Incoming<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::TracerProvider;
    use opentelemetry_sdk::trace::SdkTracerProvider;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn traced(test: impl FnOnce()) {
        let provider = SdkTracerProvider::builder().build();
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), test);
    }

    #[test]
    fn a_trace_goes_through_http_and_grpc() {
        traced(|| {
            let incoming = HeaderMap::from_iter([(
                HeaderName::from_static("traceparent"),
                HeaderValue::from_static(PARENT),
            )]);
            let span = tracing::info_span!("request");
            extract(&incoming, &span);
            let _entered = span.enter();
            let mut metadata = MetadataMap::new();
            metadata.insert("authorization", "Bearer x".parse().expect("is ascii"));
            inject_metadata(&mut metadata);
            let sent = metadata.get("traceparent").and_then(|v| v.to_str().ok()).expect("was injected");
            assert!(sent.starts_with("00-0af7651916cd43dd8448eb211c80319c-") && sent != PARENT, "{sent}");
            assert!(metadata.get("authorization").is_some());

            let next = tracing::info_span!("rpc");
            extract_metadata(&metadata, &next);
            let mut headers = HeaderMap::new();
            inject_span(&next, &mut headers);
            let hop = headers["traceparent"].to_str().expect("is ascii");
            assert!(hop.starts_with("00-0af7651916cd43dd8448eb211c80319c-") && hop != sent, "{hop}");
        });
    }

    #[test]
    fn without_tracing_no_header_is_sent() {
        let mut headers = HeaderMap::new();
        inject(&mut headers);
        extract(&headers, &Span::none());
        assert!(headers.is_empty());
    }

    #[test]
    fn a_malformed_parent_begins_a_new_trace() {
        traced(|| {
            let bad = HeaderMap::from_iter([(
                HeaderName::from_static("traceparent"),
                HeaderValue::from_static("00-zz-1"),
            )]);
            let span = tracing::info_span!("request");
            extract(&bad, &span);
            let mut headers = HeaderMap::new();
            inject_span(&span, &mut headers);
            assert!(headers.contains_key("traceparent"));
        });
    }
}
