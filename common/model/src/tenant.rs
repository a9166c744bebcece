//! The policy of a tenant, which operators decide: rules for its parameters, limits, server tag, presentation,
//! voice bridges.

mod rule;

use std::time::Duration;

pub use rule::{ParameterRule, RuleAction, RuleError};

use crate::voice::VoiceRange;

/// The policy of one tenant. The default changes no request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TenantPolicy {
    /// Rules for the parameters of creates.
    pub create_rules: Vec<ParameterRule>,
    /// Rules for the parameters of joins.
    pub join_rules: Vec<ParameterRule>,
    /// Longest duration of a meeting, whole minutes; zero means that the tenant has no limit of its own.
    pub max_duration: Duration,
    /// Largest number of concurrent meetings; 0 means no limit.
    pub max_meetings: u32,
    /// Largest number of concurrent users in all its meetings together; 0 means no limit.
    pub max_users: u32,
    /// Largest cost of its calls under way at one edge, within its share; 0 means that the share alone limits it.
    pub max_cost: u32,
    /// Server tag of its meetings, in the form of `meta_server-tag`; empty means any server.
    pub server_tag: String,
    /// Document with which its meetings are created.
    pub presentation: Option<PresentationDocument>,
    /// Range of the voice bridges of its meetings; without one the configured range applies.
    pub voice_bridges: Option<VoiceRange>,
    /// Telephone number that users see; if it is empty, the number of the application stays.
    pub dial_number: String,
    /// Whether its lists of recordings may lack the parts of servers that have not answered. Otherwise such a list
    /// is refused as retryable, because some applications delete the recordings that a list does not contain.
    pub partial_recordings: bool,
}

/// A document with which meetings are created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresentationDocument {
    /// URL from which servers fetch the document.
    pub url: String,
    /// File name with the extension that tells servers its type; empty means the last part of the URL.
    pub name: String,
    /// Whether the document replaces documents of the application; else it is used only if there are none.
    pub forced: bool,
}

impl TenantPolicy {
    /// Returns a duration in whole minutes, as BBB counts them. A limit below one minute becomes one.
    pub fn whole_minutes(duration: Duration) -> Duration {
        Duration::from_secs(duration.as_secs().div_ceil(60) * 60)
    }
}

impl PresentationDocument {
    /// Returns the file name of the document for servers.
    pub fn file_name(&self) -> &str {
        if !self.name.is_empty() {
            return &self.name;
        }
        let path = self.url.split(['?', '#']).next().unwrap_or_default();
        path.rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or("presentation.pdf")
    }
}
