//! Recordings of the whole fleet: whose they are, which of them were asked for, and what becomes of a
//! change that concerns several servers.

pub mod change;
pub mod filter;
pub mod list;
pub mod validate;

use std::{borrow::Cow, collections::HashSet};

use usher_bbb::{
    parse::ListedRecording,
    query::{RawQuery, decode},
};
use usher_model::{id::TenantId, scope::TenantScope};

/// Metadata by which a recording says whose it is.
const TENANT_MARK: &str = "meta_usher-tenant";
/// Prefix of metadata that only Usher may set.
const OURS: &str = "meta_usher-";

/// A tenant, as far as recordings need to know it.
#[derive(Debug, Clone, Copy)]
pub struct RecordingOwner<'a> {
    /// The tenant.
    pub tenant: &'a TenantId,
    /// How its meetings are called on servers.
    pub scope: &'a TenantScope,
}

impl RecordingOwner<'_> {
    /// Tells whether a recording is the tenant's. Those without our mark are `default`'s.
    pub fn owns(self, recording: &ListedRecording<'_>) -> bool {
        recording.tenant().unwrap_or(TenantId::DEFAULT) == self.tenant.as_str()
    }

    /// Returns the `meetingID` of a recording as the tenant knows it. Breakout rooms, and meetings from
    /// before Usher, have no other than the server's.
    fn own_id<'r>(self, recording: &'r ListedRecording<'_>) -> &'r str {
        self.scope.original(&recording.meeting_id).unwrap_or(&recording.meeting_id)
    }

    /// Returns the element of a recording as the tenant may see it.
    fn shown<'r>(self, recording: &ListedRecording<'r>) -> Cow<'r, str> {
        let scoped = self.own_id(recording).len() < recording.meeting_id.len();
        recording.shown(if scoped { self.scope.prefix() } else { "" })
    }
}

/// Returns the entries of a comma list, each once and in order.
fn entries(list: &str) -> Vec<&str> {
    let mut seen = HashSet::new();
    list.split(',').map(str::trim).filter(|entry| !entry.is_empty() && seen.insert(*entry)).collect()
}

/// Returns every parameter that names metadata: the name decoded, and the key as servers take it; no key
/// where servers take none.
fn metadata(parameters: &str) -> impl Iterator<Item = (String, Option<String>, Cow<'_, str>)> {
    RawQuery::new(parameters).pairs().filter_map(|pair| {
        let name = decode(pair.name).into_owned();
        let key = name.strip_prefix("meta_")?;
        // Anything else would be written into a file of XML as the name of an element.
        let sound = key.starts_with(|c: char| c.is_ascii_alphabetic())
            && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        let key = sound.then(|| key.to_ascii_lowercase());
        Some((name, key, decode(pair.value)))
    })
}

fn is_ours(name: &str) -> bool {
    name.get(..OURS.len()).is_some_and(|start| start.eq_ignore_ascii_case(OURS))
}
