//! A control plane that has not read the store.

use std::sync::Arc;

use tonic::{Code, Status, transport::Channel};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tonic_types::StatusExt;
use usher_control_plane::{app::RunningControlPlane, ports::Store, store::etcd::EtcdStore};
use usher_model::settings::StoreSettings;
use usher_proto::v1::{
    callback_service_client::CallbackServiceClient, delivery_service_client::DeliveryServiceClient,
    hook_service_client::HookServiceClient, replica_service_client::ReplicaServiceClient,
    tenant_service_client::TenantServiceClient, *,
};
use usher_runtime::{ops::OpsHandle, tasks::TaskGroup};

use crate::bench::{
    Bench, EdgeServiceClient, FleetServiceClient, MeetingServiceClient, PlacementServiceClient,
    RoutingServiceClient, ServerServiceClient, key, settings, until,
};

/// The services that answer from the store.
const SERVICES: [&str; 10] = [
    "Callback",
    "Delivery",
    "Edge",
    "Hook",
    "Meeting",
    "Placement",
    "Replica",
    "Routing",
    "Server",
    "Tenant",
];

/// Returns a store that no call reaches. The listener refuses no connection and answers none.
async fn silent_store() -> (Arc<dyn Store>, tokio::net::TcpListener) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let endpoint = format!("http://{}", listener.local_addr().expect("has one"));
    let settings = StoreSettings { endpoints: vec![endpoint], ..StoreSettings::default() };
    (Arc::new(EtcdStore::connect(&settings).expect("is well")), listener)
}

async fn health(channel: &Channel, service: &str) -> ServingStatus {
    let request = HealthCheckRequest { service: service.into() };
    let answer = HealthClient::new(channel.clone()).check(request).await.expect("is registered");
    answer.into_inner().status()
}

fn name(service: &str) -> String {
    format!("usher.v1.{service}Service")
}

/// Calls each service once, with requests that are well formed.
async fn refusals(channel: Channel) -> Vec<(&'static str, Result<(), Status>)> {
    let mut servers = ServerServiceClient::new(channel.clone());
    let mut meetings = MeetingServiceClient::new(channel.clone());
    let mut placement = PlacementServiceClient::new(channel.clone());
    let mut tenants = TenantServiceClient::new(channel.clone());
    let mut edges = EdgeServiceClient::new(channel.clone());
    let mut hooks = HookServiceClient::new(channel.clone());
    let mut deliveries = DeliveryServiceClient::new(channel.clone());
    let mut callbacks = CallbackServiceClient::new(channel.clone());
    let mut replicas = ReplicaServiceClient::new(channel.clone());
    let mut routing = RoutingServiceClient::new(channel);
    let server = GetServerRequest { name: "servers/bbb1".into(), view: 0 };
    let all = || "tenants/-".to_owned();
    let meeting_list = ListMeetingsRequest { parent: all(), ..ListMeetingsRequest::default() };
    let place = PlaceMeetingRequest { key: Some(key("m")), ..PlaceMeetingRequest::default() };
    let resolve = ResolveMeetingRequest { key: Some(key("m")) };
    let hook_list = ListHooksRequest { parent: all(), ..ListHooksRequest::default() };
    let delivery_list = ListDeliveriesRequest { parent: all(), ..ListDeliveriesRequest::default() };
    vec![
        ("ListServers", servers.list_servers(ListServersRequest::default()).await.map(drop)),
        ("GetServer", servers.get_server(server).await.map(drop)),
        ("ListMeetings", meetings.list_meetings(meeting_list).await.map(drop)),
        ("ListZombies", meetings.list_zombies(ListZombiesRequest::default()).await.map(drop)),
        ("PlaceMeeting", placement.place_meeting(place).await.map(drop)),
        ("ResolveMeeting", placement.resolve_meeting(resolve).await.map(drop)),
        ("ListTenants", tenants.list_tenants(ListTenantsRequest::default()).await.map(drop)),
        ("ListEdges", edges.list_edges(ListEdgesRequest::default()).await.map(drop)),
        ("ListReplicas", replicas.list_replicas(ListReplicasRequest::default()).await.map(drop)),
        ("WatchServers", servers.watch_servers(WatchServersRequest::default()).await.map(drop)),
        ("ListHooks", hooks.list_hooks(hook_list).await.map(drop)),
        ("ListDeliveries", deliveries.list_deliveries(delivery_list).await.map(drop)),
        ("GetCallbackKey", callbacks.get_callback_key(GetCallbackKeyRequest::default()).await.map(drop)),
        ("StreamRoutes", routing.stream_routes(futures::stream::pending()).await.map(drop)),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_has_not_read_the_store_says_nothing_about_it() {
    let (store, _listener) = silent_store().await;
    let (ops, tasks) = (OpsHandle::new(), TaskGroup::new());
    let plane = RunningControlPlane::start(&settings(), store, &ops, &tasks).await.expect("starts");
    let endpoint = format!("http://{}", plane.grpc_addr());
    let channel = Channel::from_shared(endpoint).expect("is a URL").connect().await.expect("connects");

    for (call, answer) in refusals(channel.clone()).await {
        let status = answer.expect_err(call);
        assert_eq!(status.code(), Code::Unavailable, "{call}: {status}");
        let reason = status.get_details_error_info().map(|info| info.reason);
        assert_eq!(reason.as_deref(), Some("NOT_READY"), "{call}");
    }
    for service in SERVICES.iter().map(|service| name(service)).chain([String::new()]) {
        assert_eq!(health(&channel, &service).await, ServingStatus::NotServing, "{service}");
    }
    assert_eq!(health(&channel, &name("Fleet")).await, ServingStatus::Serving);
    let status = FleetServiceClient::new(channel).get_status(GetStatusRequest {}).await.expect("answers");
    assert!(status.into_inner().unread, "operators see why the other services refuse");

    plane.shutdown().await;
    tasks.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_service_is_healthy_once_the_store_was_read() {
    let bench = Bench::with_servers(0).await;
    for service in SERVICES.iter().map(|service| name(service)).chain([String::new(), name("Fleet")]) {
        until(&service, async || {
            (health(&bench.channel, &service).await == ServingStatus::Serving).then_some(())
        })
        .await;
    }
    let status = FleetServiceClient::new(bench.channel.clone()).get_status(GetStatusRequest {}).await;
    assert!(!status.expect("answers").into_inner().unread);
    bench.stop().await;
}
