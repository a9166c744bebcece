//! A running simulated server and the handles to it.

use std::{net::SocketAddr, sync::Arc};

use tokio::sync::mpsc;
use usher_bbb::{checksum, secret::Secret};
use usher_runtime::tasks::Tasks;

use crate::{
    callbacks::{self, SimCallback},
    control,
    faults::{Fault, FaultKind},
    hooks::{self, SimHook, SimHookPost},
    options::SimOptions,
    recording::SimRecording,
    server,
    shared::Shared,
    view::{SimCall, SimMeeting},
};

/// A simulated server could not start.
#[derive(Debug, thiserror::Error)]
#[error("listen on {address}")]
pub struct StartError {
    address: SocketAddr,
    #[source]
    source: std::io::Error,
}

/// A running simulated server. Dropping it stops it; [`BbbSim::stop`] also waits until it has.
#[derive(Debug)]
pub struct BbbSim {
    shared: Arc<Shared>,
    tasks: Tasks,
    address: SocketAddr,
}

/// Sets and clears the faults of a server while it runs.
#[derive(Debug, Clone)]
pub struct Faults(Arc<Shared>);

impl BbbSim {
    /// Starts a server.
    ///
    /// # Errors
    /// The address cannot be listened on.
    #[expect(clippy::unused_async, reason = "an async function says that it needs a runtime, which it does")]
    pub async fn start(options: SimOptions) -> Result<Self, StartError> {
        let address = options.listen;
        let failed = |source| StartError { address, source };
        let listener = server::listen(address).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let (notices, wanted) = mpsc::unbounded_channel();
        let (parcels, posted) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared::new(options, address, notices, parcels));
        let tasks = Tasks::new();
        let telling = Arc::clone(&shared);
        tasks.spawn("bbb-sim-callbacks", |stop| callbacks::run(telling, wanted, tasks.clone(), stop));
        let sending = Arc::clone(&shared);
        tasks.spawn("bbb-sim-hooks", |stop| hooks::run(sending, posted, tasks.clone(), stop));
        tasks.spawn("bbb-sim", |stop| server::run(Arc::clone(&shared), listener, tasks.clone(), stop));
        Ok(Self { shared, tasks, address })
    }

    /// Returns the base of its API, ending in `/bigbluebutton/api/`.
    pub fn url(&self) -> String {
        format!("{}/bigbluebutton/api/", self.shared.base)
    }

    /// Returns where browsers and operators reach it, without a slash at the end.
    pub fn base(&self) -> &str {
        &self.shared.base
    }

    /// Returns where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns what its session pages call it.
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// Returns its shared secret.
    pub fn secret(&self) -> &Secret {
        &self.shared.options.secret
    }

    /// Returns the signed address of a call to it.
    pub fn signed_url(&self, call: &str, query: &str) -> String {
        let algorithm = self.shared.options.algorithms.first().copied().unwrap_or_default();
        let query = checksum::sign_query(algorithm, call, query.to_owned(), self.secret());
        format!("{}{call}?{query}", self.url())
    }

    /// Returns the handle to its faults.
    pub fn faults(&self) -> Faults {
        Faults(Arc::clone(&self.shared))
    }

    /// Returns every meeting it remembers, breakout rooms included.
    pub fn meetings(&self) -> Vec<SimMeeting> {
        self.shared.world().meetings().map(SimMeeting::from).collect()
    }

    /// Returns its recordings, deleted ones included.
    pub fn recordings(&self) -> Vec<SimRecording> {
        self.shared.world().recordings().to_vec()
    }

    /// Puts a recording there.
    pub fn add_recording(&self, recording: SimRecording) {
        self.shared.world().add_recording(recording);
    }

    /// Returns the latest calls that arrived, oldest first.
    pub fn calls(&self) -> Vec<SimCall> {
        self.shared.calls()
    }

    /// Forgets which calls arrived.
    pub fn forget_calls(&self) {
        self.shared.forget_calls();
    }

    /// Ends a meeting by its `meetingID` or internal id, as when its last moderator does; tells
    /// whether there was one.
    pub fn end_meeting(&self, id: &str) -> bool {
        control::end(&self.shared, id)
    }

    /// Publishes the recording of a meeting that is over, however far it is, and tells so; tells so again
    /// if it is published already, or if the meeting was not recorded. Tells whether there was such a meeting.
    pub fn publish_recording(&self, id: &str) -> bool {
        control::publish(&self.shared, id)
    }

    /// Returns every try of a callback, oldest first.
    pub fn callbacks(&self) -> Vec<SimCallback> {
        self.shared.callbacks()
    }

    /// Returns every webhook, in the order of their creation.
    pub fn hooks(&self) -> Vec<SimHook> {
        self.shared.hooks()
    }

    /// Forgets every webhook, permanent ones included, as when its Redis is lost. A restart forgets none.
    pub fn forget_hooks(&self) {
        self.shared.forget_hooks();
    }

    /// Returns every try to tell a webhook something, oldest first.
    pub fn hook_posts(&self) -> Vec<SimHookPost> {
        self.shared.hook_posts()
    }

    /// Lets everybody of this name leave a meeting; tells whether there was anybody.
    pub fn leave(&self, id: &str, full_name: &str) -> bool {
        control::leave(&self.shared, id, full_name)
    }

    /// Opens a breakout room of a meeting, as its moderators do; returns it if there is such a meeting.
    pub fn add_breakout(&self, parent: &str) -> Option<SimMeeting> {
        control::add_breakout(&self.shared, parent)
    }

    /// Gives a meeting so many participants that only count; tells whether there is such a meeting.
    pub fn set_crowd(&self, id: &str, users: usize) -> bool {
        control::set_crowd(&self.shared, id, users)
    }

    /// Forgets every meeting, as a restart does.
    pub fn restart(&self) {
        self.shared.world().forget();
    }

    /// Stops it and waits until its listener and every connection are closed.
    pub async fn stop(self) {
        self.tasks.shutdown().await;
    }
}

impl Drop for BbbSim {
    fn drop(&mut self) {
        self.tasks.stop();
    }
}

impl Faults {
    /// Sets a fault; it stands when this returns. One of the same kind for the same call is replaced.
    pub async fn set(&self, fault: impl Into<Fault>) {
        self.0.set_fault(fault.into());
        control::settle(&self.0).await;
    }

    /// Clears every fault and closes what hangs; the server is well again when this returns.
    pub async fn clear(&self) {
        self.0.clear_faults(None);
        control::settle(&self.0).await;
    }

    /// Clears the faults of one kind.
    pub async fn clear_kind(&self, kind: FaultKind) {
        self.0.clear_faults(Some(kind.name()));
        control::settle(&self.0).await;
    }

    /// Returns the faults that stand, with what is left of their counts.
    pub fn list(&self) -> Vec<Fault> {
        self.0.faults()
    }
}
