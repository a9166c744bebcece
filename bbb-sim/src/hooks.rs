//! The webhooks application beside a server, bbb-webhooks (wire-contract 2, wire-contract 3,
//! wire-contract 6). It keeps the registered addresses with the events they want, independent of the
//! meetings (the real one keeps them in Redis, so that a restart forgets none), and sends the events.

mod api;
mod event;
mod post;
mod sender;

use std::time::Duration;

pub(crate) use api::answer;
pub(crate) use event::Event;
pub(crate) use sender::{Parcel, run};
use usher_bbb::checksum::ChecksumAlgorithm;

use crate::{chance, options::BbbVersion};

/// Which bbb-webhooks it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HooksVersion {
    /// 2.x, of BBB up to 2.7: ids are numbers; calls are signed with SHA-1 only; what is sent is signed
    /// over JSON that is not what is sent.
    V2,
    /// 3.x, of BBB 3.0: ids are UUIDs; what is sent is signed as it is sent.
    V3,
}

impl From<BbbVersion> for HooksVersion {
    fn from(version: BbbVersion) -> Self {
        match version {
            BbbVersion::V2_4 => Self::V2,
            BbbVersion::V3_0 => Self::V3,
        }
    }
}

/// How the webhooks application of a server is set up.
#[derive(Debug, Clone)]
pub struct HookOptions {
    /// Which one it is; that of its BBB if not set.
    pub version: Option<HooksVersion>,
    /// The hashes that 3.x accepts calls in.
    pub algorithms: Vec<ChecksumAlgorithm>,
    /// The hash that 3.x signs with; SHA-1 by default.
    pub signs_with: ChecksumAlgorithm,
    /// `auth2_0`: what is sent carries the server's secret as a bearer token, and no checksum.
    pub bearer: bool,
    /// What it calls its server; the address it listens on if not set.
    pub domain: Option<String>,
    /// Pauses before something that was not taken is sent again; bbb-webhooks' own by default.
    pub pauses: Vec<Duration>,
    /// Longest wait for one answer; five seconds by default.
    pub timeout: Duration,
    /// Addresses that hear of everything, and that no call and no failure removes.
    pub permanent: Vec<String>,
}

impl Default for HookOptions {
    fn default() -> Self {
        let milliseconds = [100, 500, 1000, 2000, 4000, 8000, 10_000, 30_000, 60_000, 60_000, 60_000, 60_000];
        Self {
            version: None,
            algorithms: ChecksumAlgorithm::ALL.to_vec(),
            signs_with: ChecksumAlgorithm::Sha1,
            bearer: false,
            domain: None,
            pauses: milliseconds.map(Duration::from_millis).to_vec(),
            timeout: Duration::from_secs(5),
            permanent: Vec::new(),
        }
    }
}

/// One hook: an address, and what it hears of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimHook {
    /// Its id: a number of 2.x, a UUID of 3.x.
    pub id: String,
    /// Where it is told.
    pub callback_url: String,
    /// The one `meetingID` it hears of; none means every meeting.
    pub meeting_id: Option<String>,
    /// The events it hears of, in lower case; none means every one.
    pub event_ids: Option<Vec<String>>,
    /// Whether nothing but a change of the configuration removes it.
    pub permanent: bool,
    /// Whether it gets what is on the server's bus and not what is made of it.
    pub raw: bool,
}

impl SimHook {
    fn hears_of(&self, event: &Event) -> bool {
        let meeting = self.meeting_id.as_deref().is_none_or(|id| id == event.meeting_id);
        // What is on the bus has no event id, so a list of ids lets none of it through.
        let wanted = |ids: &Vec<String>| !self.raw && ids.iter().any(|id| id == event.id);
        meeting && self.event_ids.as_ref().is_none_or(wanted)
    }
}

/// One try to tell a hook something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimHookPost {
    /// The hook.
    pub hook_id: String,
    /// Its address as it was registered, without a checksum.
    pub callback_url: String,
    /// The event's id, also where a hook gets what is on the bus.
    pub event: String,
    /// What was sent.
    pub body: String,
    /// What was answered; none when nothing was.
    pub status: Option<u16>,
}

/// What `hooks/create` asks for.
#[derive(Debug, Clone, Default)]
pub(crate) struct HookAsk {
    pub(crate) callback_url: String,
    pub(crate) meeting_id: Option<String>,
    pub(crate) event_ids: Option<Vec<String>>,
    pub(crate) permanent: bool,
    pub(crate) raw: bool,
}

/// Every hook of one server, in the order of their creation.
#[derive(Debug)]
pub(crate) struct Registry {
    version: HooksVersion,
    last_id: u64,
    hooks: Vec<SimHook>,
}

impl Registry {
    pub(crate) fn new(options: &HookOptions, version: BbbVersion) -> Self {
        let version = options.version.unwrap_or(version.into());
        let mut registry = Self { version, last_id: 0, hooks: Vec::new() };
        for url in &options.permanent {
            let ask = HookAsk { callback_url: url.clone(), permanent: true, ..HookAsk::default() };
            // An address that is configured twice is one hook.
            let _known = registry.create(ask);
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

    /// Adds a hook; fails with the one that has this address already, whatever else it asks for.
    fn create(&mut self, ask: HookAsk) -> Result<&SimHook, &SimHook> {
        if let Some(at) = self.hooks.iter().position(|hook| hook.callback_url == ask.callback_url) {
            return Err(&self.hooks[at]);
        }
        self.last_id += 1;
        let id = match self.version {
            HooksVersion::V2 => self.last_id.to_string(),
            HooksVersion::V3 => chance::uuid(),
        };
        let HookAsk { callback_url, meeting_id, event_ids, permanent, raw } = ask;
        self.hooks.push(SimHook { id, callback_url, meeting_id, event_ids, permanent, raw });
        Ok(&self.hooks[self.hooks.len() - 1])
    }

    /// Removes a hook that is not permanent; tells whether there was one.
    pub(crate) fn destroy(&mut self, id: &str) -> bool {
        let before = self.hooks.len();
        self.hooks.retain(|hook| hook.permanent || hook.id != id);
        self.hooks.len() < before
    }

    /// Forgets every hook, as when the server's Redis is lost.
    pub(crate) fn forget(&mut self) {
        self.hooks.clear();
    }

    /// Returns the hooks that hear of an event.
    pub(crate) fn hearing<'r>(&'r self, event: &'r Event) -> impl Iterator<Item = &'r SimHook> {
        self.hooks.iter().filter(|hook| hook.hears_of(event))
    }

    /// Returns what `hooks/list` lists: of a meeting, those that hear of it.
    fn listed<'r>(&'r self, meeting_id: Option<&'r str>) -> impl Iterator<Item = &'r SimHook> {
        self.hooks.iter().filter(move |hook| {
            let theirs = hook.meeting_id.as_deref();
            meeting_id.is_none() || theirs.is_none() || theirs == meeting_id
        })
    }
}

#[cfg(test)]
mod tests;
