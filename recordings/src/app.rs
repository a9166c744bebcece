//! Builds the library from its parts: index, storage, port, tasks.

use std::{
    net::SocketAddr,
    path::PathBuf,
    process,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::Context as _;
use tokio::{net::TcpListener, sync::RwLock};
use tracing::info;
use usher_model::{
    id::EdgeId,
    settings::{PublishPolicy, Settings},
};
use usher_runtime::{
    admin_auth::AdminAuth, clock::WallClock, control_planes::ControlPlanes, ops::OpsHandle,
    program::ProgramService, tasks::TaskGroup,
};

use crate::{
    core::import::{ImportDefaults, ImportPublication},
    fleet::{FleetView, LibraryIdentity, RouteFollower},
    grpc::LibraryRpc,
    index::SqliteIndex,
    manifests::ManifestCache,
    port_server,
    ports::{RecordingIndex, RecordingStorage},
    storage::DirectoryStorage,
    tasks::storage_sweeper::StorageSweeper,
    uploads::UploadService,
};

/// The running library of this process.
#[derive(Debug)]
pub struct RunningLibrary {
    address: SocketAddr,
    view: FleetView,
    port: TaskGroup,
    is_stopping: Arc<AtomicBool>,
}

impl RunningLibrary {
    /// Starts a library: opens index and storage, binds its port, subscribes to the fleet. If one of its parts ends,
    /// `tasks` are requested to stop.
    ///
    /// # Errors
    /// A setting cannot be used, the index or the storage cannot be opened, or the address is in use.
    pub async fn start(settings: &Settings, ops: &OpsHandle, tasks: &TaskGroup) -> anyhow::Result<Self> {
        let recordings = &settings.recordings;
        let database =
            placed(recordings.database.as_ref(), settings, "recordings.database", "recordings.db")?;
        let folder = placed(recordings.storage.as_ref(), settings, "recordings.storage", "recordings")?;
        let auth = AdminAuth::new(&settings.admin, recordings.listen)?;
        let planes = ControlPlanes::new(&settings.edge.control_plane, settings.admin.token.as_ref())?;
        let index: Arc<dyn RecordingIndex> = Arc::new(SqliteIndex::open(&database).await?);
        let storage: Arc<dyn RecordingStorage> = Arc::new(DirectoryStorage::open(&folder).await?);
        let listener = TcpListener::bind(recordings.listen)
            .await
            .with_context(|| format!("bind recordings.listen on {}", recordings.listen))?;
        let address = listener.local_addr()?;
        let (clock, view) = (WallClock::system(), FleetView::default());
        let manifests = ManifestCache::default();
        let removals = Arc::new(RwLock::new(()));
        let uploads = UploadService {
            removals: Arc::clone(&removals),
            index: Arc::clone(&index),
            storage: Arc::clone(&storage),
            manifests: manifests.clone(),
            fleet: view.clone(),
            defaults: defaults(settings),
            keep_free: recordings.keep_free,
            clock: clock.clone(),
        };
        let library = LibraryRpc {
            index: Arc::clone(&index),
            storage: Arc::clone(&storage),
            manifests,
            clock: clock.clone(),
        };
        let sweeper = StorageSweeper { index, storage, removals, clock };
        tasks.spawn("storage sweeper", |stop| sweeper.run(stop));
        let identity = LibraryIdentity {
            id: EdgeId::parse(&format!("library-{}", process::id()))?,
            address: recordings.address.clone().unwrap_or_else(|| format!("http://{address}")),
        };
        let follower = RouteFollower { planes, view: view.clone(), identity };
        tasks.spawn("fleet follower", |stop| follower.run(stop));
        let known = view.clone();
        ops.ready_when("fleet", move || {
            if known.is_known() { Ok(()) } else { Err("no control plane has told the fleet yet".into()) }
        });
        let port = TaskGroup::new();
        port.spawn("library port", |stop| port_server::serve(listener, library, uploads, auth, stop));
        // Only a stop may end the port before the other tasks: a library without its port must not go on as if it
        // served.
        let (ended, is_stopping) = (port.stopping(), Arc::new(AtomicBool::new(false)));
        let stopped = Arc::clone(&is_stopping);
        tasks.spawn("library port watch", async move |stop| {
            tokio::select! {
                () = ended.cancelled() => {}
                () = stop.cancelled() => return Ok(()),
            }
            anyhow::ensure!(stopped.load(Ordering::Acquire), "the port of the library has ended");
            stop.cancelled().await;
            Ok(())
        });
        info!(%address, "the recordings library is starting");
        Ok(Self { address, view, port, is_stopping })
    }

    /// Returns the address of the port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl ProgramService for RunningLibrary {
    fn addresses(&self) -> String {
        format!("recordings={}", self.address)
    }

    async fn until_ready(&self) {
        self.view.until_known().await;
    }

    async fn stop(&self) {
        self.is_stopping.store(true, Ordering::Release);
        self.port.shutdown().await;
    }
}

/// Returns a configured path, else one below the directory `data`.
fn placed(
    given: Option<&PathBuf>,
    settings: &Settings,
    key: &'static str,
    name: &str,
) -> anyhow::Result<PathBuf> {
    let below = || settings.data.as_ref().map(|data| data.join(name));
    given.cloned().or_else(below).with_context(|| format!("{key} is not set; set it, or `data`"))
}

fn defaults(settings: &Settings) -> ImportDefaults {
    let published = match settings.recordings.publish {
        PublishPolicy::Server => ImportPublication::AsServer,
        PublishPolicy::Yes => ImportPublication::Yes,
        PublishPolicy::No => ImportPublication::No,
    };
    ImportDefaults { published, protected: false }
}
