//! The row of a tenant in lists, and its object in JSON.

use serde::Serialize;
use usher_model::tenant::{ParameterRule, TenantPolicy};
use usher_proto::v1;

use crate::printer::TableRow;

/// A tenant as tables, JSON and YAML show it.
#[derive(Serialize)]
pub(super) struct TenantRow {
    id: String,
    enabled: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    secrets: Vec<String>,
    secret_count: u32,
    hosts: Vec<String>,
    meetings: u32,
    users: u32,
    create_rules: Vec<String>,
    join_rules: Vec<String>,
    #[serde(skip_serializing_if = "is_zero")]
    max_duration_seconds: u64,
    #[serde(skip_serializing_if = "is_zero")]
    max_meetings: u64,
    #[serde(skip_serializing_if = "is_zero")]
    max_users: u64,
    #[serde(skip_serializing_if = "is_zero")]
    max_cost: u64,
    #[serde(skip_serializing_if = "String::is_empty")]
    server_tag: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    presentation: Option<PresentationView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    voice_bridges: Option<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    dial_number: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    partial_recordings: bool,
}

/// The document that its meetings begin with.
#[derive(Serialize)]
struct PresentationView {
    url: String,
    name: String,
    forced: bool,
}

/// Tells whether a limit is 0, which means no limit, so that JSON leaves it out.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields so")]
fn is_zero(limit: &u64) -> bool {
    *limit == 0
}

impl From<v1::Tenant> for TenantRow {
    fn from(tenant: v1::Tenant) -> Self {
        let policy = TenantPolicy::from(tenant.policy.unwrap_or_default());
        let rules = |rules: &[ParameterRule]| rules.iter().map(ToString::to_string).collect();
        Self {
            id: tenant.name.trim_start_matches("tenants/").to_owned(),
            enabled: tenant.enabled.unwrap_or(true),
            secrets: tenant.secrets,
            secret_count: tenant.secret_count,
            hosts: tenant.hosts,
            meetings: tenant.meetings,
            users: tenant.users,
            create_rules: rules(&policy.create_rules),
            join_rules: rules(&policy.join_rules),
            max_duration_seconds: policy.max_duration.as_secs(),
            max_meetings: policy.max_meetings.into(),
            max_users: policy.max_users.into(),
            max_cost: policy.max_cost.into(),
            server_tag: policy.server_tag,
            presentation: policy.presentation.map(|shown| PresentationView {
                name: shown.file_name().to_owned(),
                url: shown.url,
                forced: shown.forced,
            }),
            voice_bridges: policy.voice_bridges.map(|range| range.to_string()),
            dial_number: policy.dial_number,
            partial_recordings: policy.partial_recordings,
        }
    }
}

impl TableRow for TenantRow {
    const COLUMNS: &'static [&'static str] = &["ID", "STATE", "MEETINGS", "USERS", "SECRETS", "HOSTS"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.id.clone(),
            if self.enabled { "enabled" } else { "disabled" }.to_owned(),
            of(self.meetings, self.max_meetings),
            of(self.users, self.max_users),
            self.secret_count.to_string(),
            self.hosts.join(","),
        ]
    }
}

/// Returns a number with its limit: "3/10", or "3" without a limit.
fn of(number: u32, limit: u64) -> String {
    if limit == 0 { number.to_string() } else { format!("{number}/{limit}") }
}
