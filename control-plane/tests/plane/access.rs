//! Access control, reflection and health of the control port.

use tonic::{Code, Request};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};
use usher_bbb::secret::Secret;
use usher_control_plane::{app::RunningControlPlane, store::embedded::EmbeddedStore};
use usher_proto::v1::*;

use crate::bench::{Bench, FleetServiceClient, settings};

#[tokio::test(flavor = "multi_thread")]
async fn with_a_token_only_its_bearers_get_in() {
    let mut settings = settings();
    settings.admin.token = Some(Secret::new("s3cret"));
    let bench = Bench::with(settings, 0).await;
    let mut client = FleetServiceClient::new(bench.channel.clone());
    let status = client.get_status(GetStatusRequest {}).await.expect_err("has no token");
    assert_eq!(status.code(), Code::Unauthenticated);
    let mut request = Request::new(GetStatusRequest {});
    request.metadata_mut().insert("authorization", "Bearer s3cret".parse().expect("is ascii"));
    client.get_status(request).await.expect("has the token");
    let health = HealthClient::new(bench.channel.clone()).check(HealthCheckRequest::default()).await;
    health.expect("probes need no token");
    bench.stop().await;
}

#[tokio::test]
async fn an_open_port_is_refused_unless_it_is_meant() {
    let mut settings = settings();
    settings.addresses.control = ([0, 0, 0, 0], 0).into();
    let store = || std::sync::Arc::new(EmbeddedStore::open(None).expect("opens"));
    let (ops, tasks) = Default::default();
    let error = RunningControlPlane::start(&settings, store(), &ops, &tasks).await.expect_err("is refused");
    assert!(error.to_string().contains("admin.token"), "{error}");
    settings.admin.insecure = true;
    let plane = RunningControlPlane::start(&settings, store(), &ops, &tasks).await.expect("is meant");
    plane.shutdown().await;
    tasks.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reflection_lists_every_service() {
    let bench = Bench::with_servers(0).await;
    let ask = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut answers = ServerReflectionClient::new(bench.channel.clone())
        .server_reflection_info(futures::stream::iter([ask]))
        .await
        .expect("answers")
        .into_inner();
    let answer = answers.message().await.expect("is well").expect("is one").message_response;
    let Some(MessageResponse::ListServicesResponse(list)) = answer else { panic!("{answer:?}") };
    let names: Vec<String> = list.service.into_iter().map(|service| service.name).collect();
    for service in ["Routing", "Placement", "Server", "Meeting", "Fleet", "Edge"] {
        assert!(names.contains(&format!("usher.v1.{service}Service")), "{names:?}");
    }
    assert!(names.contains(&"grpc.health.v1.Health".to_owned()), "{names:?}");
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reflection_describes_what_errors_carry() {
    let bench = Bench::with_servers(0).await;
    let mut client = ServerReflectionClient::new(bench.channel.clone());
    let symbols = ["usher.v1.ServerService", "google.rpc.ErrorInfo", "google.rpc.BadRequest"];
    let symbols = symbols.map(|symbol| MessageRequest::FileContainingSymbol(symbol.into()));
    // A reader of the services resolves the files that theirs import.
    let files =
        ["google/api/annotations.proto", "google/api/resource.proto", "google/protobuf/duration.proto"];
    let files = files.map(|file| MessageRequest::FileByFilename(file.into()));
    for ask in symbols.into_iter().chain(files) {
        let symbol = format!("{ask:?}");
        let ask = ServerReflectionRequest { host: String::new(), message_request: Some(ask) };
        let answers = client.server_reflection_info(tokio_stream::iter([ask])).await.expect("answers");
        let answer = answers.into_inner().message().await.expect("reads").expect("is one");
        let found = matches!(answer.message_response, Some(MessageResponse::FileDescriptorResponse(_)));
        assert!(found, "{symbol}: {answer:?}");
    }
    bench.stop().await;
}
