//! A running simulated server and the handles to it.

use std::{net::SocketAddr, sync::Arc};

use usher_bbb::{checksum, secret::Secret};
use usher_runtime::tasks::TaskGroup;

use crate::{
    apps,
    callbacks::{self, SharedCallbacks, SimCallback},
    control,
    faults::{FaultKind, SimFault},
    hooks::{self, SharedHooks, SimHook, SimHookPost},
    options::SimOptions,
    recording::SimRecording,
    server,
    state::ServerState,
    view::{SimCall, SimMeeting},
};

/// The server cannot listen on its address.
#[derive(Debug, thiserror::Error)]
#[error("listen on {address}")]
pub struct SimStartError {
    address: SocketAddr,
    #[source]
    source: std::io::Error,
}

/// A running simulated server. Dropping it stops it; [`BbbSim::stop`] also waits for the end.
#[derive(Debug)]
pub struct BbbSim {
    state: Arc<ServerState>,
    tasks: TaskGroup,
    address: SocketAddr,
}

/// Sets and clears the faults of a server while it runs.
#[derive(Debug, Clone)]
pub struct FaultControl(Arc<ServerState>);

impl BbbSim {
    /// Starts a server with its listener, its callbacks and its webhooks.
    ///
    /// # Errors
    /// The server cannot listen on the address.
    #[expect(clippy::unused_async, reason = "an async function says that it needs a runtime, which it does")]
    pub async fn start(options: SimOptions) -> Result<Self, SimStartError> {
        let address = options.listen;
        let failed = |source| SimStartError { address, source };
        let listener = server::listen(address).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let base = format!("http://{address}");
        let (callbacks, queued_callbacks) =
            SharedCallbacks::new(options.secret.clone(), options.callback_pauses.clone());
        let (hooks, queued_events) = SharedHooks::new(&options, &base);
        let (callbacks, hooks) = (Arc::new(callbacks), Arc::new(hooks));
        let state = Arc::new(ServerState::new(options, base, Arc::clone(&callbacks), Arc::clone(&hooks)));
        let tasks = TaskGroup::new();
        tasks.spawn("bbb-sim-callbacks", |stop| {
            callbacks::run(callbacks, queued_callbacks, tasks.clone(), stop)
        });
        tasks.spawn("bbb-sim-hooks", |stop| hooks::run(hooks, queued_events, tasks.clone(), stop));
        let ending = Arc::clone(&state);
        tasks.spawn("bbb-sim-apps", |stop| apps::run(ending, stop));
        tasks.spawn("bbb-sim", |stop| server::run(Arc::clone(&state), listener, tasks.clone(), stop));
        Ok(Self { state, tasks, address })
    }

    /// Returns the base address of its API, with `/bigbluebutton/api/` at the end.
    pub fn url(&self) -> String {
        format!("{}/bigbluebutton/api/", self.state.base)
    }

    /// Returns its address for browsers and operators, without a slash at the end.
    pub fn base(&self) -> &str {
        &self.state.base
    }

    /// Returns the address on which it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns its name on session pages.
    pub fn name(&self) -> &str {
        &self.state.name
    }

    /// Returns its shared secret.
    pub fn secret(&self) -> &Secret {
        &self.state.options.secret
    }

    /// Returns the signed address of a call to it.
    pub fn signed_url(&self, call: &str, query: &str) -> String {
        let algorithm = self.state.options.algorithms.first().copied().unwrap_or_default();
        let query = checksum::sign_query(algorithm, call, query.to_owned(), self.secret());
        format!("{}{call}?{query}", self.url())
    }

    /// Returns the handle to its faults.
    pub fn faults(&self) -> FaultControl {
        FaultControl(Arc::clone(&self.state))
    }

    /// Returns every meeting in its memory, breakout rooms included.
    pub fn meetings(&self) -> Vec<SimMeeting> {
        SimMeeting::all_of(&self.state.memory())
    }

    /// Returns its recordings, deleted ones included.
    pub fn recordings(&self) -> Vec<SimRecording> {
        self.state.memory().recordings().to_vec()
    }

    /// Adds a recording to the server.
    pub fn add_recording(&self, recording: SimRecording) {
        self.state.memory().add_recording(recording);
    }

    /// Returns the latest calls that arrived, oldest first.
    pub fn calls(&self) -> Vec<SimCall> {
        self.state.calls()
    }

    /// Empties the log of calls.
    pub fn forget_calls(&self) {
        self.state.forget_calls();
    }

    /// Ends a meeting by its `meetingID` or internal id, as its last moderator does. Returns
    /// whether it existed.
    pub fn end_meeting(&self, id: &str) -> bool {
        control::end(&self.state, id)
    }

    /// Publishes the recording of an ended meeting if it is still processing, and sends callback
    /// and event. They are sent also if the recording is published already or the meeting was not
    /// recorded. Returns whether the meeting existed.
    pub fn publish_recording(&self, id: &str) -> bool {
        control::publish(&self.state, id)
    }

    /// Returns every attempt of a callback, oldest first.
    pub fn callbacks(&self) -> Vec<SimCallback> {
        control::callbacks(&self.state)
    }

    /// Returns every webhook, in the order of creation.
    pub fn hooks(&self) -> Vec<SimHook> {
        self.state.hooks.registry().hooks().to_vec()
    }

    /// Removes every webhook, permanent ones included, as a loss of its Redis does. A restart
    /// removes none.
    pub fn forget_hooks(&self) {
        self.state.hooks.registry().forget();
    }

    /// Returns every request to a webhook, oldest first.
    pub fn hook_posts(&self) -> Vec<SimHookPost> {
        control::hook_posts(&self.state)
    }

    /// Connects the client of the user who joined with this session token, so that the user is
    /// present. Returns whether there is such a session.
    pub fn connect(&self, session_token: &str) -> bool {
        control::connect(&self.state, session_token)
    }

    /// Connects the clients of all users who joined a meeting. Returns whether the meeting exists.
    pub fn connect_all(&self, id: &str) -> bool {
        control::connect_all(&self.state, id)
    }

    /// Lets the apps server confirm every create and carry out every end that was accepted.
    pub fn settle(&self) {
        control::settle(&self.state);
    }

    /// Removes all users with this full name from a meeting. Returns whether there was one.
    pub fn leave(&self, id: &str, full_name: &str) -> bool {
        control::leave(&self.state, id, full_name)
    }

    /// Opens a breakout room of a meeting, as its moderators do. Returns it if the meeting exists.
    pub fn add_breakout(&self, parent: &str) -> Option<SimMeeting> {
        control::add_breakout(&self.state, parent)
    }

    /// Sets the number of simulated participants of a meeting, who count but have no names. Returns
    /// whether the meeting exists.
    pub fn set_crowd(&self, id: &str, users: usize) -> bool {
        control::set_crowd(&self.state, id, users)
    }

    /// Removes every meeting, as a restart does.
    pub fn restart(&self) {
        self.state.memory().forget();
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

impl FaultControl {
    /// Sets a fault, in place of one of the same kind for the same call. The fault is active when
    /// this returns.
    pub async fn set(&self, fault: impl Into<SimFault>) {
        control::set_fault(&self.0, fault.into()).await;
    }

    /// Clears every fault and closes hanging connections. The server works again when this returns.
    pub async fn clear(&self) {
        control::clear_faults(&self.0, None).await;
    }

    /// Clears the faults of one kind.
    pub async fn clear_kind(&self, kind: FaultKind) {
        control::clear_faults(&self.0, Some(kind.name())).await;
    }

    /// Returns the active faults, with their remaining counts.
    pub fn list(&self) -> Vec<SimFault> {
        self.0.faults.list()
    }
}
