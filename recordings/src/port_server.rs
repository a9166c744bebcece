//! The port of the library, for edges: gRPC, and the uploads that edges pass on.

use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::service::{Routes, interceptor::InterceptedService};
use usher_proto::v1::library_service_server::LibraryServiceServer;
use usher_runtime::admin_auth::AdminAuth;

use crate::{
    grpc::LibraryRpc,
    uploads::{self, UploadService},
};

/// The longest time for requests under way to finish at a stop. Uploads that are cut off go on later.
const GRACE: Duration = Duration::from_secs(10);

/// Serves until `stop`, then finishes the requests under way.
///
/// # Errors
/// The listener fails.
pub(crate) async fn serve(
    listener: TcpListener,
    library: LibraryRpc,
    uploads: UploadService,
    auth: AdminAuth,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let guarded = InterceptedService::new(LibraryServiceServer::new(library), auth);
    let router: Router = Routes::new(guarded).prepare().into_axum_router().merge(uploads::router(uploads));
    let stopped = stop.clone();
    let serving = axum::serve(listener, router).with_graceful_shutdown(stopped.cancelled_owned());
    let overdue = async {
        stop.cancelled().await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        served = serving => Ok(served?),
        () = overdue => Ok(()),
    }
}
