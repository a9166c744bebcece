//! One trace shows a create from end to end; the test receives it over OTLP, as a collector does.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Result, ensure};
use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    trace::v1::Span,
};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status, transport::Server};
use usher_harness::{cluster::TestCluster, wait};

/// Keeps every span with the name of its service.
#[derive(Debug, Clone, Default)]
struct Collector(Arc<Mutex<Vec<(String, Span)>>>);

impl Collector {
    fn of_trace(&self, trace: &[u8]) -> Vec<(String, Span)> {
        let spans = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        spans.iter().filter(|(_, span)| span.trace_id == trace).cloned().collect()
    }
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for resource in request.into_inner().resource_spans {
            let attributes = resource.resource.map(|resource| resource.attributes).unwrap_or_default();
            let service = attributes.iter().find(|attribute| attribute.key == "service.name");
            let service = service.map(|attribute| format!("{:?}", attribute.value)).unwrap_or_default();
            let spans = resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
            kept.extend(spans.map(|span| (service.clone(), span)));
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

async fn collect() -> Result<(SocketAddr, Collector)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let (address, collector) = (listener.local_addr()?, Collector::default());
    let service = TraceServiceServer::new(collector.clone());
    tokio::spawn(
        Server::builder().add_service(service).serve_with_incoming(TcpListenerStream::new(listener)),
    );
    Ok((address, collector))
}

/// A create carries a `traceparent` → spans of the edge and of the control plane belong to the
/// caller's trace, each below a known parent, without secrets.
#[tokio::test]
async fn one_trace_shows_a_create_from_the_application_to_the_server() -> Result<()> {
    let (address, collector) = collect().await?;
    let cluster = TestCluster::builder()
        .edges(1)
        .set("telemetry.otlp_endpoint", &format!("http://{address}"))
        .start()
        .await?;
    let trace = *b"\x0a\xf7\x65\x19\x16\xcd\x43\xdd\x84\x48\xeb\x21\x1c\x80\x31\x9c";
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let client = cluster.client(0);
    let url = client.url("create", "name=Traced&meetingID=traced&moderatorPW=mp");
    let answer = reqwest::Client::new().get(url).header("traceparent", parent).send().await?;
    ensure!(answer.text().await?.contains("SUCCESS"));

    let spans = wait::until("spans from the edge and the control plane in the caller's trace", || async {
        let spans = collector.of_trace(&trace);
        let services: BTreeSet<_> = spans.iter().map(|(service, _)| service.clone()).collect();
        ensure!(services.len() == 2 && spans.len() >= 3, "{:?}", names(&spans));
        Ok(spans)
    })
    .await?;
    let known: BTreeSet<_> = spans.iter().map(|(_, span)| span.span_id.clone()).collect();
    let root = hex_id("b7ad6b7169203331");
    for (service, span) in &spans {
        let parent = &span.parent_span_id;
        assert!(*parent == root || known.contains(parent), "{service} {} hangs in the air", span.name);
        let text = format!("{span:?}");
        assert!(!text.contains("checksum=") && !text.contains("moderatorPW"), "{text}");
    }
    Ok(())
}

fn names(spans: &[(String, Span)]) -> Vec<(&str, &str)> {
    spans.iter().map(|(service, span)| (service.as_str(), span.name.as_str())).collect()
}

fn hex_id(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks(2).filter_map(|pair| std::str::from_utf8(pair).ok());
    digits.filter_map(|pair| u8::from_str_radix(pair, 16).ok()).collect()
}
