//! A tenant as it is shown.

use serde::Serialize;
use usher_common::proto::v1;

use crate::printer::Row;

/// A tenant as it is shown.
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
}

impl From<v1::Tenant> for TenantRow {
    fn from(tenant: v1::Tenant) -> Self {
        Self {
            id: tenant.name.trim_start_matches("tenants/").to_owned(),
            enabled: tenant.enabled.unwrap_or(true),
            secrets: tenant.secrets,
            secret_count: tenant.secret_count,
            hosts: tenant.hosts,
            meetings: tenant.meetings,
            users: tenant.users,
        }
    }
}

impl Row for TenantRow {
    const COLUMNS: &'static [&'static str] = &["ID", "STATE", "MEETINGS", "USERS", "SECRETS", "HOSTS"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.id.clone(),
            if self.enabled { "enabled" } else { "disabled" }.to_owned(),
            self.meetings.to_string(),
            self.users.to_string(),
            self.secret_count.to_string(),
            self.hosts.join(","),
        ]
    }
}
