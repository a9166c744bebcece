//! What operators decide about a tenant beyond who it is: rules for its parameters, limits, servers,
//! a presentation.

mod rule;

use std::time::Duration;

pub use rule::{ParameterRule, RuleAction, RuleError};

use crate::voice::VoiceRange;

/// The policy of one tenant; the default leaves everything as the application asks for it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TenantPolicy {
    /// Rules for the parameters of creates.
    pub create_rules: Vec<ParameterRule>,
    /// Rules for the parameters of joins.
    pub join_rules: Vec<ParameterRule>,
    /// Longest duration of a meeting, whole minutes; zero means no limit of this tenant's.
    pub max_duration: Duration,
    /// Most meetings at a time; 0 means no limit.
    pub max_meetings: u32,
    /// Most users at a time in all its meetings together; 0 means no limit.
    pub max_users: u32,
    /// Which servers take its meetings, written as `meta_server-tag` is; empty means any.
    pub server_tag: String,
    /// What its meetings begin with.
    pub presentation: Option<PresentationDocument>,
    /// What its rooms get the numbers from by which callers reach them; none means as configured.
    pub voice_bridges: Option<VoiceRange>,
    /// Telephone number told to users, in place of what the application sends; empty means that.
    pub dial_number: String,
}

/// A document that meetings are created with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresentationDocument {
    /// Where servers fetch it.
    pub url: String,
    /// Its name with the extension, by which servers tell its type; empty means the URL's last part.
    pub name: String,
    /// In place of what the application brings; else only where it brings nothing.
    pub forced: bool,
}

impl TenantPolicy {
    /// Returns a duration in whole minutes, as BBB counts them: a limit below one is one.
    pub fn whole_minutes(duration: Duration) -> Duration {
        Duration::from_secs(duration.as_secs().div_ceil(60) * 60)
    }
}

impl PresentationDocument {
    /// Returns its name, as servers get it.
    pub fn file_name(&self) -> &str {
        if !self.name.is_empty() {
            return &self.name;
        }
        let path = self.url.split(['?', '#']).next().unwrap_or_default();
        path.rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or("presentation.pdf")
    }
}
