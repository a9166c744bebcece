//! The row of a server in lists, and its object in JSON.

use serde::Serialize;
use usher_bbb::checksum::ChecksumAlgorithm;
use usher_proto::v1;

use crate::printer::{TableRow, ago};

/// A server as tables, JSON and YAML show it.
#[derive(Serialize)]
pub(in crate::commands) struct ServerRow {
    pub(in crate::commands) id: String,
    url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
    admin_state: &'static str,
    /// The older entry of the same server (ADR 21), or empty. With one, this entry takes no meetings.
    pub(in crate::commands) same_as: String,
    /// For the entry of a former address, the server that moved to another address by force; else empty.
    former_of: String,
    health: &'static str,
    health_since: Option<String>,
    pub(in crate::commands) health_reason: String,
    recover_count: u32,
    error_count: u32,
    weight: f64,
    tags: Vec<String>,
    checksum_algorithm: &'static str,
    meetings: u32,
    listed_meetings: u32,
    users: u32,
    effective_load: f64,
    zombies: u32,
    sample_age_seconds: Option<f64>,
    #[serde(skip)]
    sample_age: String,
}

impl From<v1::Server> for ServerRow {
    fn from(server: v1::Server) -> Self {
        Self {
            admin_state: match server.admin_state() {
                v1::AdminState::Enabled => "enabled",
                v1::AdminState::Cordoned => "cordoned",
                v1::AdminState::Disabled => "disabled",
                v1::AdminState::Unspecified => "unknown",
            },
            health: match server.health() {
                v1::Health::Online => "online",
                v1::Health::Unhealthy => "unhealthy",
                v1::Health::Offline => "offline",
                v1::Health::Unspecified => "unknown",
            },
            checksum_algorithm: ChecksumAlgorithm::from(server.checksum_algorithm()).name(),
            id: server.name.trim_start_matches("servers/").to_owned(),
            former_of: server.former_of.trim_start_matches("servers/").to_owned(),
            same_as: server.same_as.trim_start_matches("servers/").to_owned(),
            health_since: server.health_since_time.map(|time| time.to_string()),
            sample_age: ago(server.sample_age.as_ref()),
            sample_age_seconds: server.sample_age.map(|age| age.seconds as f64 + f64::from(age.nanos) / 1e9),
            secret: Some(server.secret).filter(|secret| !secret.is_empty()),
            url: server.url,
            health_reason: server.health_reason,
            recover_count: server.recover_count,
            error_count: server.error_count,
            weight: server.weight,
            tags: server.tags,
            meetings: server.meetings,
            listed_meetings: server.listed_meetings,
            users: server.users,
            effective_load: server.effective_load,
            zombies: server.zombies,
        }
    }
}

impl TableRow for ServerRow {
    const COLUMNS: &'static [&'static str] =
        &["ID", "STATE", "HEALTH", "MEETINGS", "USERS", "LOAD", "WEIGHT", "ZOMBIES", "SAMPLE", "TAGS", "URL"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.id.clone(),
            match (self.former_of.as_str(), self.same_as.as_str()) {
                ("", "") => self.admin_state.to_owned(),
                ("", original) => format!("{}, same as {original}", self.admin_state),
                (moved, _) => format!("old address of {moved}"),
            },
            self.health.to_owned(),
            self.meetings.to_string(),
            self.users.to_string(),
            format!("{:.1}", self.effective_load),
            // A weight that was computed from a multiplier has many digits.
            ((self.weight * 1000.0).round() / 1000.0).to_string(),
            self.zombies.to_string(),
            self.sample_age.clone(),
            self.tags.join(","),
            self.url.clone(),
        ]
    }
}
