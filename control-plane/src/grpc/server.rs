//! The gRPC port: all services, reflection and health.

use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::{
    codec::CompressionEncoding,
    service::interceptor::InterceptedService,
    transport::{Server, server::TcpIncoming},
};
use tonic_health::server::HealthReporter;
use usher_proto::{
    DESCRIPTORS,
    v1::{
        callback_service_server::{self, CallbackServiceServer},
        delivery_service_server::{self, DeliveryServiceServer},
        edge_service_server::{self, EdgeServiceServer},
        fleet_service_server::FleetServiceServer,
        hook_service_server::{self, HookServiceServer},
        meeting_service_server::{self, MeetingServiceServer},
        placement_service_server::{self, PlacementServiceServer},
        replica_service_server::{self, ReplicaServiceServer},
        routing_service_server::{self, RoutingServiceServer},
        server_service_server::{self, ServerServiceServer},
        tenant_service_server::{self, TenantServiceServer},
    },
};
use usher_runtime::{admin_auth::AdminAuth, clock, tasks::TaskGroup, telemetry};

use super::{
    edges::{EdgeAdmin, EdgeList},
    fleet::FleetStatus,
    meetings::MeetingRpc,
    placement::PlacementRpc,
    readiness::{HealthReport, ReadGate},
    replicas::ReplicaRpc,
    routing::RoutingRpc,
    servers::ServerRpc,
    tenants::TenantRpc,
    watch::Watchers,
};
use crate::{
    engine::{Engine, EngineDependencies},
    notifications::{
        grpc::{callbacks::CallbackIntake, deliveries::DeliveryAdmin, hooks::HookAdmin},
        running::Notifications,
    },
    tasks::replicas::ReplicaDirectory,
};

/// Interval of HTTP/2 pings on a connection, and the longest time of their answer.
const KEEP_ALIVE: (Duration, Duration) = (Duration::from_secs(15), Duration::from_secs(10));
/// Largest request in bytes; real requests take at most a few kilobytes.
const MAX_REQUEST: usize = 1 << 20;
/// Largest callback in bytes: the largest body that an edge takes, and its envelope.
const MAX_CALLBACK: usize = 2 << 20;
/// Longest time for requests under way to finish at shutdown.
const GRACE: Duration = Duration::from_secs(10);

/// Services that answer from the fleet.
const FLEET_SERVICES: [&str; 7] = [
    routing_service_server::SERVICE_NAME,
    placement_service_server::SERVICE_NAME,
    server_service_server::SERVICE_NAME,
    meeting_service_server::SERVICE_NAME,
    tenant_service_server::SERVICE_NAME,
    edge_service_server::SERVICE_NAME,
    replica_service_server::SERVICE_NAME,
];
/// Services that answer from the fleet and from the waiting deliveries.
const DELIVERY_SERVICES: [&str; 3] = [
    callback_service_server::SERVICE_NAME,
    delivery_service_server::SERVICE_NAME,
    hook_service_server::SERVICE_NAME,
];

/// The handles that the services share out among themselves.
#[derive(Clone)]
pub struct ServiceHandles {
    /// Engine that the services use.
    pub engine: Engine,
    /// Notifications that the services use.
    pub notifications: Notifications,
    /// The replicas, with the edges that are connected to this one.
    pub replicas: ReplicaDirectory,
    /// Owner of the routing streams and of polls that callbacks ask for.
    pub tasks: TaskGroup,
}

/// The times that the services keep.
#[derive(Debug, Clone, Copy)]
pub struct ServiceTiming {
    /// Longest call to a BBB server.
    pub call_timeout: Duration,
    /// Longest call to the store.
    pub store_timeout: Duration,
    /// Interval of heartbeats on an idle routing stream.
    pub heartbeat: Duration,
}

/// Serves until `stop`, then finishes the requests under way within `GRACE`.
pub async fn serve(
    listener: TcpListener,
    handles: ServiceHandles,
    timing: ServiceTiming,
    auth: AdminAuth,
    health: HealthReporter,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let ServiceHandles { engine, notifications, replicas, tasks } = handles;
    let EngineDependencies { store, servers, replica, .. } = engine.dependencies;
    let fleet = engine.fleet;
    let edges = replicas.own().edges.clone();
    let all_edges = EdgeList::new(replicas.clone(), fleet.clone());
    let read = ReadGate::of_fleet(fleet.clone());
    let deliveries_read = ReadGate::of_deliveries(fleet.clone(), notifications.deliveries.is_read());
    let of_fleet = (read.clone(), FLEET_SERVICES.to_vec());
    let of_deliveries = (deliveries_read.clone(), DELIVERY_SERVICES.to_vec());
    // Before the port accepts a connection, so that no probe sees a service that serves too early.
    health.set_serving::<FleetServiceServer<FleetStatus>>().await;
    let report = HealthReport::begin(health.clone(), of_fleet, of_deliveries).await;
    tasks.spawn("gRPC health", |stop| report.run(stop));
    let routing =
        RoutingRpc::new(fleet.clone(), edges.clone(), replicas.libraries(), tasks.clone(), timing.heartbeat);
    let routing = RoutingServiceServer::new(routing).send_compressed(CompressionEncoding::Gzip);
    let placement = PlacementRpc::new(
        engine.placer.clone(),
        engine.resolver.clone(),
        fleet.clone(),
        engine.poll_requests.clone(),
    );
    let callbacks = CallbackIntake {
        deliveries: notifications.deliveries.clone(),
        keys: notifications.callback_keys,
        fleet: fleet.clone(),
        polls: engine.poll_requests.clone(),
        tasks: tasks.clone(),
    };
    let watchers = Watchers::new(fleet.clone(), tasks);
    let deliveries = DeliveryAdmin(notifications.deliveries.clone());
    let status = FleetStatus {
        fleet: fleet.clone(),
        edges,
        all_edges: all_edges.clone(),
        replicas: replicas.clone(),
        watchers: watchers.clone(),
        deliveries: notifications.deliveries,
        hooks: notifications.hooks.clone(),
        leadership: engine.leadership.clone(),
        space: engine.space,
        store,
        replica,
        ask_within: timing.store_timeout,
        started: clock::now(),
    };
    let meetings = MeetingRpc::new(
        fleet.clone(),
        (engine.placer, engine.resolver),
        engine.admin.clone(),
        servers.clone(),
        timing.call_timeout,
        watchers.clone(),
    );
    let tenants = TenantRpc::new(fleet.clone(), engine.admin.clone(), notifications.hooks.clone());
    let server_admin = ServerRpc::new(
        fleet.clone(),
        engine.admin,
        engine.pollers,
        engine.poll_requests,
        engine.leadership,
        servers,
        watchers.clone(),
    );
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            // The descriptors of error details: without them a client prints error details as
            // bytes.
            .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
    };
    let routes = Server::builder()
        .trace_fn(span)
        .http2_keepalive_interval(Some(KEEP_ALIVE.0))
        .http2_keepalive_timeout(Some(KEEP_ALIVE.1))
        // Health needs no token, because probes of an orchestrator cannot send one and health
        // reveals no secret.
        .add_service(tonic_health::pb::health_server::HealthServer::new(
            tonic_health::server::HealthService::from_health_reporter(health),
        ))
        .add_service(InterceptedService::new(reflection().build_v1()?, auth.clone()))
        .add_service(InterceptedService::new(reflection().build_v1alpha()?, auth.clone()))
        .add_service(guarded(routing.max_decoding_message_size(MAX_REQUEST), &read, &auth))
        .add_service(guarded(PlacementServiceServer::new(placement), &read, &auth))
        .add_service(guarded(ServerServiceServer::new(server_admin), &read, &auth))
        .add_service(guarded(MeetingServiceServer::new(meetings), &read, &auth))
        .add_service(guarded(TenantServiceServer::new(tenants), &read, &auth))
        // The status is open before the store was read, because operators look there for the reason;
        // it says that its counts are not known.
        .add_service(InterceptedService::new(FleetServiceServer::new(status), auth.clone()))
        .add_service(guarded(
            CallbackServiceServer::new(callbacks).max_decoding_message_size(MAX_CALLBACK),
            &deliveries_read,
            &auth,
        ))
        .add_service(guarded(DeliveryServiceServer::new(deliveries), &deliveries_read, &auth))
        .add_service(guarded(
            HookServiceServer::new(HookAdmin(notifications.hooks)).max_decoding_message_size(MAX_CALLBACK),
            &deliveries_read,
            &auth,
        ))
        .add_service(guarded(ReplicaServiceServer::new(ReplicaRpc(replicas)), &read, &auth))
        .add_service(guarded(EdgeServiceServer::new(EdgeAdmin::new(all_edges, watchers)), &read, &auth));
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let stopped = stop.clone();
    let serving = routes.serve_with_incoming_shutdown(incoming, stopped.cancelled_owned());
    let overdue = async {
        stop.cancelled().await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        served = serving => Ok(served?),
        () = overdue => Ok(()), // requests that are left are cut off
    }
}

/// Continues the caller's trace in the work that a call causes: writes, and calls to BBB servers.
fn span(request: &http::Request<()>) -> tracing::Span {
    let path = request.uri().path().trim_start_matches('/');
    if !path.starts_with("usher.") {
        return tracing::Span::none(); // probes and reflection
    }
    let span = tracing::info_span!("rpc", otel.name = path, otel.kind = "server");
    telemetry::extract(request.headers(), &span);
    span
}

/// Refuses the requests to `service` that `auth` does not accept, then those that are too early for
/// `read`.
fn guarded<S>(
    service: S,
    read: &ReadGate,
    auth: &AdminAuth,
) -> InterceptedService<InterceptedService<S, ReadGate>, AdminAuth> {
    InterceptedService::new(InterceptedService::new(service, read.clone()), auth.clone())
}
