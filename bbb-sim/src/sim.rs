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
    state::Shared,
    view::{SimCall, SimMeeting},
};

/// The server cannot listen on its address.
#[derive(Debug, thiserror::Error)]
#[error("listen on {address}")]
pub struct StartError {
    address: SocketAddr,
    #[source]
    source: std::io::Error,
}

/// A running simulated server. Dropping it stops it; [`BbbSim::stop`] also waits for the end.
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
    /// Starts a server with its listener, its callbacks and its webhooks.
    ///
    /// # Errors
    /// The server cannot listen on the address.
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

    /// Returns the base address of its API, with `/bigbluebutton/api/` at the end.
    pub fn url(&self) -> String {
        format!("{}/bigbluebutton/api/", self.shared.base)
    }

    /// Returns its address for browsers and operators, without a slash at the end.
    pub fn base(&self) -> &str {
        &self.shared.base
    }

    /// Returns the address on which it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns its name on session pages.
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

    /// Returns every meeting in its memory, breakout rooms included.
    pub fn meetings(&self) -> Vec<SimMeeting> {
        self.shared.world().meetings().map(SimMeeting::from).collect()
    }

    /// Returns its recordings, deleted ones included.
    pub fn recordings(&self) -> Vec<SimRecording> {
        self.shared.world().recordings().to_vec()
    }

    /// Adds a recording to the server.
    pub fn add_recording(&self, recording: SimRecording) {
        self.shared.world().add_recording(recording);
    }

    /// Returns the latest calls that arrived, oldest first.
    pub fn calls(&self) -> Vec<SimCall> {
        self.shared.calls()
    }

    /// Empties the log of calls.
    pub fn forget_calls(&self) {
        self.shared.forget_calls();
    }

    /// Ends a meeting by its `meetingID` or internal id, as its last moderator does. Returns
    /// whether it existed.
    pub fn end_meeting(&self, id: &str) -> bool {
        control::end(&self.shared, id)
    }

    /// Publishes the recording of an ended meeting if it is still processing, and sends callback
    /// and event. They are sent also if the recording is published already or the meeting was not
    /// recorded. Returns whether the meeting existed.
    pub fn publish_recording(&self, id: &str) -> bool {
        control::publish(&self.shared, id)
    }

    /// Returns every attempt of a callback, oldest first.
    pub fn callbacks(&self) -> Vec<SimCallback> {
        self.shared.callbacks()
    }

    /// Returns every webhook, in the order of creation.
    pub fn hooks(&self) -> Vec<SimHook> {
        self.shared.hooks()
    }

    /// Removes every webhook, permanent ones included, as a loss of its Redis does. A restart
    /// removes none.
    pub fn forget_hooks(&self) {
        self.shared.forget_hooks();
    }

    /// Returns every request to a webhook, oldest first.
    pub fn hook_posts(&self) -> Vec<SimHookPost> {
        self.shared.hook_posts()
    }

    /// Removes all users with this full name from a meeting. Returns whether there was one.
    pub fn leave(&self, id: &str, full_name: &str) -> bool {
        control::leave(&self.shared, id, full_name)
    }

    /// Opens a breakout room of a meeting, as its moderators do. Returns it if the meeting exists.
    pub fn add_breakout(&self, parent: &str) -> Option<SimMeeting> {
        control::add_breakout(&self.shared, parent)
    }

    /// Sets the number of simulated participants of a meeting, who count but have no names. Returns
    /// whether the meeting exists.
    pub fn set_crowd(&self, id: &str, users: usize) -> bool {
        control::set_crowd(&self.shared, id, users)
    }

    /// Removes every meeting, as a restart does.
    pub fn restart(&self) {
        self.shared.world().forget();
    }

    /// Stops the server and waits until its listener and every connection are closed.
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
    /// Sets a fault, in place of one of the same kind for the same call. The fault is active when
    /// this returns.
    pub async fn set(&self, fault: impl Into<Fault>) {
        self.0.set_fault(fault.into());
        control::settle(&self.0).await;
    }

    /// Clears every fault and closes hanging connections. The server works again when this returns.
    pub async fn clear(&self) {
        self.0.clear_faults(None);
        control::settle(&self.0).await;
    }

    /// Clears the faults of one kind.
    pub async fn clear_kind(&self, kind: FaultKind) {
        self.0.clear_faults(Some(kind.name()));
        control::settle(&self.0).await;
    }

    /// Returns the active faults, with their remaining counts.
    pub fn list(&self) -> Vec<Fault> {
        self.0.faults()
    }
}
