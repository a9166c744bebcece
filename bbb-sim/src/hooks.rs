//! The webhooks application of a server, bbb-webhooks (wire-contract 2, 3 and 6): the registered
//! addresses, the events that each receives, and the requests that it gets. Hooks outlive their
//! meetings and a restart: the real program keeps them in Redis.

mod api;
mod event;
mod post;
mod sender;
mod shared;

pub(crate) use api::answer;
use event::ServerEvent;
pub(crate) use sender::run;
pub(crate) use shared::SharedHooks;

use crate::{
    chance,
    options::{BbbVersion, HookOptions, HooksVersion},
};

/// A hook: an address, and the events that it receives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimHook {
    /// The id: a number in 2.x, a UUID in 3.x.
    pub id: String,
    /// The address that receives the events.
    pub callback_url: String,
    /// The only `meetingID` of which it receives events; `None` means all meetings.
    pub meeting_id: Option<String>,
    /// The event ids that it receives, in lower case; `None` means all.
    pub event_ids: Option<Vec<String>>,
    /// Whether only a change of the configuration removes the hook.
    pub permanent: bool,
    /// Whether it receives the messages of the server's bus and not the events made of them.
    pub raw: bool,
}

impl SimHook {
    fn receives(&self, event: &ServerEvent) -> bool {
        let meeting = self.meeting_id.as_deref().is_none_or(|id| id == event.meeting_id);
        // Messages of the bus have no event id, so a raw hook with a list of ids receives no event.
        let wanted = |ids: &Vec<String>| !self.raw && ids.iter().any(|id| id == event.id);
        meeting && self.event_ids.as_ref().is_none_or(wanted)
    }
}

/// One attempt to send an event to a hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimHookPost {
    /// The id of the hook.
    pub hook_id: String,
    /// The address as registered, without a checksum.
    pub callback_url: String,
    /// The event's id, also for a raw hook.
    pub event: String,
    /// The body of the request.
    pub body: String,
    /// The status of the answer; `None` without an answer.
    pub status: Option<u16>,
}

/// The parameters of `hooks/create`.
#[derive(Debug, Clone, Default)]
pub(crate) struct SimHookRequest {
    pub(crate) callback_url: String,
    pub(crate) meeting_id: Option<String>,
    pub(crate) event_ids: Option<Vec<String>>,
    pub(crate) permanent: bool,
    pub(crate) raw: bool,
}

/// Every hook of one server, in the order of creation.
#[derive(Debug)]
pub(crate) struct HookRegistry {
    version: HooksVersion,
    last_id: u64,
    hooks: Vec<SimHook>,
}

impl HookRegistry {
    pub(crate) fn new(options: &HookOptions, version: BbbVersion) -> Self {
        let version = options.version.unwrap_or(version.into());
        let mut registry = Self { version, last_id: 0, hooks: Vec::new() };
        for url in &options.permanent {
            let request =
                SimHookRequest { callback_url: url.clone(), permanent: true, ..SimHookRequest::default() };
            // Two configured entries with the same address are one hook.
            let _known = registry.create(request);
        }
        registry
    }

    pub(crate) fn version(&self) -> HooksVersion {
        self.version
    }

    pub(crate) fn hooks(&self) -> &[SimHook] {
        &self.hooks
    }

    pub(crate) fn knows(&self, id: &str) -> bool {
        self.hooks.iter().any(|hook| hook.id == id)
    }

    /// Adds a hook. Fails with the existing hook if there is one with the same address; its other
    /// parameters are not compared.
    fn create(&mut self, request: SimHookRequest) -> Result<&SimHook, &SimHook> {
        if let Some(at) = self.hooks.iter().position(|hook| hook.callback_url == request.callback_url) {
            return Err(&self.hooks[at]);
        }
        self.last_id += 1;
        let id = match self.version {
            HooksVersion::V2 => self.last_id.to_string(),
            HooksVersion::V3 => chance::uuid(),
        };
        let SimHookRequest { callback_url, meeting_id, event_ids, permanent, raw } = request;
        self.hooks.push(SimHook { id, callback_url, meeting_id, event_ids, permanent, raw });
        Ok(&self.hooks[self.hooks.len() - 1])
    }

    /// Removes a hook that is not permanent; returns whether there was one.
    pub(crate) fn destroy(&mut self, id: &str) -> bool {
        let before = self.hooks.len();
        self.hooks.retain(|hook| hook.permanent || hook.id != id);
        self.hooks.len() < before
    }

    /// Removes every hook, as a loss of the server's Redis does.
    pub(crate) fn forget(&mut self) {
        self.hooks.clear();
    }

    /// Returns the hooks that receive an event.
    fn receivers_of<'r>(&'r self, event: &'r ServerEvent) -> impl Iterator<Item = &'r SimHook> {
        self.hooks.iter().filter(|hook| hook.receives(event))
    }

    /// Returns the hooks that `hooks/list` lists: all, or those that receive events of one meeting.
    fn listed<'r>(&'r self, meeting_id: Option<&'r str>) -> impl Iterator<Item = &'r SimHook> {
        self.hooks.iter().filter(move |hook| {
            let theirs = hook.meeting_id.as_deref();
            meeting_id.is_none() || theirs.is_none() || theirs == meeting_id
        })
    }
}

#[cfg(test)]
mod tests;
