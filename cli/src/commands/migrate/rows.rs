//! Rows that show the plan of a migration. Secrets appear only as their number (I14).

use serde::Serialize;

use crate::{
    core::migration::{MigrationPlan, NewTenant},
    printer::TableRow,
};

/// One change or remark of a plan.
#[derive(Serialize)]
pub(super) struct PlanRow {
    /// `create`, `adopt`, `note` or `conflict`.
    action: &'static str,
    /// `tenant`, `server`, `meeting`, or `key` of Redis.
    kind: &'static str,
    name: String,
    detail: String,
}

impl TableRow for PlanRow {
    const COLUMNS: &'static [&'static str] = &["ACTION", "KIND", "NAME", "DETAIL"];

    fn cells(&self) -> Vec<String> {
        vec![self.action.to_owned(), self.kind.to_owned(), self.name.clone(), self.detail.clone()]
    }
}

/// Returns a row for each change and remark of a plan.
pub(super) fn rows(plan: &MigrationPlan) -> Vec<PlanRow> {
    let tenants = plan.tenants.iter().map(|tenant| PlanRow {
        action: "create",
        kind: "tenant",
        name: tenant.found.id.to_string(),
        detail: tenant_detail(tenant),
    });
    let servers = plan.servers.iter().map(|server| PlanRow {
        action: "create",
        kind: "server",
        name: server.spec.id.to_string(),
        detail: format!("{} {:?}", server.spec.url, server.admin).to_lowercase(),
    });
    let meetings = plan.meetings.iter().flat_map(|(server, keys)| {
        keys.iter().map(move |key| PlanRow {
            action: "adopt",
            kind: "meeting",
            name: key.to_string(),
            detail: format!("on {server}"),
        })
    });
    let remarks = plan.remarks.iter().map(|remark| PlanRow {
        action: if remark.is_conflict { "conflict" } else { "note" },
        kind: remark.kind,
        name: remark.name.clone(),
        detail: remark.text.clone(),
    });
    tenants.chain(servers).chain(meetings).chain(remarks).collect()
}

fn tenant_detail(tenant: &NewTenant) -> String {
    let (secrets, rules) = (tenant.found.secrets.len(), tenant.found.rules.len());
    let host = tenant.host.as_ref().map_or_else(String::new, |host| format!(", host {host}"));
    format!("{secrets} secret(s), {rules} rule(s){host}")
}
