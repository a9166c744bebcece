//! Recordings of the whole fleet: their owners, the filters of requests, and changes that concern
//! several servers.

pub mod change;
pub mod filter;
pub mod library_recording;
pub mod list;
pub mod validate;

use std::{borrow::Cow, collections::HashSet};

use usher_bbb::{parse::ListedRecording, query::ParameterList};
use usher_model::{
    id::{InternalMeetingId, TenantId},
    scope::{TenantScope, is_altered},
};

/// The metadata that names the tenant of a recording.
const TENANT_MARK: &str = "meta_usher-tenant";
/// The prefix of metadata that only Usher may set.
const OURS: &str = "meta_usher-";

/// The tenant whose recordings are requested.
#[derive(Debug, Clone, Copy)]
pub struct RecordingOwner<'a> {
    /// The id of the tenant.
    pub tenant: &'a TenantId,
    /// The scope of the tenant's meeting ids on servers.
    pub scope: &'a TenantScope,
}

impl RecordingOwner<'_> {
    /// Returns whether a recording belongs to the tenant. A recording without Usher's mark belongs
    /// to `default`.
    pub fn owns(self, recording: &ListedRecording<'_>) -> bool {
        recording.tenant().unwrap_or(TenantId::DEFAULT) == self.tenant.as_str()
    }

    /// Returns the `meetingID` of a recording as the tenant knows it. For breakout rooms and for
    /// meetings older than Usher it is that of the server.
    fn own_id<'r>(self, recording: &'r ListedRecording<'_>) -> Cow<'r, str> {
        let shown = || self.scope.original(&recording.meeting_id).unwrap_or(&recording.meeting_id);
        self.exact_id(recording).unwrap_or_else(|| Cow::Borrowed(shown()))
    }

    /// Returns the exact id of a meeting whose white space the server squeezed (wire-contract 3): that
    /// of the mark, if the `recordID`, which is an internal id, confirms it.
    fn exact_id<'r>(self, recording: &'r ListedRecording<'_>) -> Option<Cow<'r, str>> {
        let exact =
            recording.exact_id().filter(|_| is_altered(&recording.meeting_id, &recording.record_id))?;
        let instance = InternalMeetingId::parse(&recording.record_id).ok()?;
        self.scope.is_instance(&exact, &instance).then_some(exact)
    }

    /// Returns the element of a recording as the tenant may see it.
    fn shown<'r>(self, recording: &ListedRecording<'r>) -> Cow<'r, str> {
        if let Some(exact) = self.exact_id(recording) {
            return recording.shown_as(&exact);
        }
        let scoped = self.own_id(recording).len() < recording.meeting_id.len();
        recording.shown(if scoped { self.scope.prefix() } else { "" })
    }
}

/// Returns the entries of a list separated by commas, each once and in order.
fn entries(list: &str) -> Vec<&str> {
    let mut seen = HashSet::new();
    list.split(',').map(str::trim).filter(|entry| !entry.is_empty() && seen.insert(*entry)).collect()
}

/// Returns every parameter that names metadata: the decoded name, the key as servers read it, and
/// the value. The key is `None` if servers ignore the parameter.
fn metadata<'p>(
    parameters: &'p ParameterList<'_>,
) -> impl Iterator<Item = (&'p str, Option<String>, Cow<'p, str>)> {
    parameters.iter().filter_map(|given| {
        let key = given.name.strip_prefix("meta_")?;
        // A server writes the key as the name of an element into an XML file. Other keys would
        // break the file.
        let sound = key.starts_with(|c: char| c.is_ascii_alphabetic())
            && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        let key = sound.then(|| key.to_ascii_lowercase());
        Some((given.name, key, given.value()))
    })
}

fn is_ours(name: &str) -> bool {
    name.get(..OURS.len()).is_some_and(|start| start.eq_ignore_ascii_case(OURS))
}
