//! Plans the changes after which Usher serves the fleet of a Scalelite. The plan creates missing entries; an entry
//! that differs is reported and left as it is, because the operator may have changed it on purpose. A plan is plain
//! data (style P2). A second plan, made after the first was carried out, is empty.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use usher_bbb::secret::Secret;
use usher_model::{
    id::{ServerId, TenantId},
    meeting::MeetingKey,
    server::AdminState,
};

use super::{
    scalelite::{FoundServer, FoundTenant, ScaleliteInventory},
    server_list::same_weight,
    sync::CurrentServer,
};

/// The servers, tenants and meetings that Usher has.
#[derive(Debug, Clone, Default)]
pub struct UsherInventory {
    /// Servers of the fleet with their secrets.
    pub servers: Vec<CurrentServer>,
    /// Tenants with their secrets and hosts.
    pub tenants: Vec<CurrentTenant>,
    /// Server of each meeting.
    pub meetings: BTreeMap<MeetingKey, ServerId>,
}

/// A tenant of Usher in its current state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CurrentTenant {
    /// Id of the tenant.
    pub id: TenantId,
    /// Secrets of the tenant.
    pub secrets: Vec<Secret>,
    /// Host names of the tenant, in lower case.
    pub hosts: Vec<String>,
}

/// A tenant to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTenant {
    /// The tenant as Scalelite has it.
    pub found: FoundTenant,
    /// The host name of its requests, if Scalelite has one and no other tenant has it.
    pub host: Option<String>,
}

/// An entry of the report: a fact that the operator should know or decide about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationRemark {
    /// `tenant`, `server`, `meeting` or `key`.
    pub kind: &'static str,
    /// Name of the tenant, server, meeting or key.
    pub name: String,
    /// The fact and its remedy.
    pub text: String,
    /// Whether the operator has to decide; else the entry only informs.
    pub is_conflict: bool,
}

/// The changes of a migration, in the order in which they are made.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MigrationPlan {
    /// Tenants to create.
    pub tenants: Vec<NewTenant>,
    /// Servers to create.
    pub servers: Vec<FoundServer>,
    /// Meetings to adopt, by the id that their server has in Usher.
    pub meetings: BTreeMap<ServerId, Vec<MeetingKey>>,
    /// Facts to report: entries that are not taken over, and differences.
    pub remarks: Vec<MigrationRemark>,
    /// Numbers of tenants, servers and meetings that Usher has already.
    pub already_here: [usize; 3],
}

/// Returns the changes after which Usher has the entries of `found`. `url_host` is the host of Scalelite: requests
/// to `NAME.url_host` belong to tenant `NAME`.
pub fn plan(usher: &UsherInventory, found: &ScaleliteInventory, url_host: Option<&str>) -> MigrationPlan {
    let mut plan = MigrationPlan::default();
    for fault in &found.faults {
        plan.remark(true, "key", &fault.key, fault.problem.clone());
    }
    for note in &found.notes {
        plan.remark(false, "key", &note.key, note.problem.clone());
    }
    for tenant in &found.tenants {
        plan.tenant(usher, tenant, url_host);
    }
    let servers = found.servers.iter().filter_map(|server| {
        let home = plan.server(usher, server)?;
        Some((server.spec.id.clone(), home))
    });
    let homes: BTreeMap<ServerId, TargetServer> = servers.collect();
    plan.without_default(usher, found);
    for meeting in &found.meetings {
        // A meeting of a server that is not taken over needs no report of its own: the server has one.
        if let Some(home) = homes.get(&meeting.server) {
            plan.meeting(usher, &meeting.key, home);
        }
    }
    plan
}

/// The server of a meeting, by its id in Usher.
struct TargetServer {
    id: ServerId,
    admin: AdminState,
}

impl MigrationPlan {
    /// Tells whether the plan makes no change.
    pub fn is_empty(&self) -> bool {
        self.tenants.is_empty() && self.servers.is_empty() && self.meetings.is_empty()
    }

    /// Adds an entry to the report.
    pub fn remark(&mut self, is_conflict: bool, kind: &'static str, name: &str, text: impl Into<String>) {
        self.remarks.push(MigrationRemark { kind, name: name.to_owned(), text: text.into(), is_conflict });
    }

    fn tenant(&mut self, usher: &UsherInventory, found: &FoundTenant, url_host: Option<&str>) {
        let name = found.id.as_str();
        let host = url_host.map(|host| format!("{name}.{host}").to_ascii_lowercase());
        let Some(current) = usher.tenants.iter().find(|tenant| tenant.id == found.id) else {
            let owner = usher
                .tenants
                .iter()
                .find(|other| host.as_ref().is_some_and(|host| other.hosts.contains(host)));
            if let (Some(owner), Some(host)) = (owner, &host) {
                self.remark(true, "tenant", name, format!("its host {host} belongs to tenant {}", owner.id));
            }
            let host = host.filter(|_| owner.is_none());
            self.tenants.push(NewTenant { found: found.clone(), host });
            return;
        };
        self.already_here[0] += 1;
        let missing = found.secrets.iter().filter(|secret| !current.secrets.contains(secret)).count();
        if missing > 0 {
            let text = format!(
                "lacks {missing} of its secrets in Scalelite; `usher tenants secret add {name}` adds one"
            );
            self.remark(true, "tenant", name, text);
        }
        if let Some(host) = host.filter(|host| !current.hosts.contains(host)) {
            self.remark(false, "tenant", name, format!("lacks the host {host}"));
        }
    }

    /// Reports a missing tenant `default`. It owns the meetings without a tenant, but Scalelite does not keep its
    /// secrets in Redis, so the migration cannot create it.
    fn without_default(&mut self, usher: &UsherInventory, found: &ScaleliteInventory) {
        let is_default = |tenant: &TenantId| tenant.as_str() == TenantId::DEFAULT;
        let has_meetings = found.meetings.iter().any(|meeting| is_default(&meeting.key.tenant));
        let exists = usher.tenants.iter().any(|tenant| is_default(&tenant.id));
        let comes = self.tenants.iter().any(|tenant| is_default(&tenant.found.id));
        if has_meetings && !exists && !comes {
            let text = "does not exist, so no user can join its meetings: give LOADBALANCER_SECRET as the setting `secrets`";
            self.remark(true, "tenant", TenantId::DEFAULT, text);
        }
    }

    /// Plans one server. Returns `None` if its meetings cannot be taken over.
    fn server(&mut self, usher: &UsherInventory, found: &FoundServer) -> Option<TargetServer> {
        let (spec, admin) = (&found.spec, found.admin);
        let name = spec.id.as_str();
        if let Some(current) = usher.servers.iter().find(|server| server.id == spec.id) {
            self.already_here[1] += 1;
            if current.url != spec.url {
                let text = format!(
                    "has another URL than in Scalelite, {}; `usher servers update {name} --url` changes it, \
                     `usher servers remove {name}` makes the id free",
                    spec.url
                );
                self.remark(true, "server", name, text);
                return None;
            }
            self.compare(current, found);
            return Some(TargetServer { id: current.id.clone(), admin: current.admin });
        }
        if let Some(current) = usher.servers.iter().find(|server| server.url == spec.url) {
            self.already_here[1] += 1;
            self.compare(current, found);
            return Some(TargetServer { id: current.id.clone(), admin: current.admin });
        }
        if let Some(planned) = self.servers.iter().find(|server| server.spec.url == spec.url) {
            let first = planned.spec.id.clone();
            let home = TargetServer { id: first.clone(), admin: planned.admin };
            self.remark(true, "server", name, format!("has the URL of server {first}, and is left out"));
            return Some(home);
        }
        self.servers.push(found.clone());
        Some(TargetServer { id: spec.id.clone(), admin })
    }

    fn compare(&mut self, current: &CurrentServer, found: &FoundServer) {
        let name = current.id.as_str();
        if current.secret != found.spec.secret {
            let text = format!(
                "has another secret than in Scalelite; `usher servers check {name}` shows whether it is right"
            );
            self.remark(true, "server", name, text);
        }
        let differs = [
            ("weight", !same_weight(current.weight, found.spec.weight)),
            ("tags", current.tags != found.spec.tags),
            ("state", current.admin != found.admin),
        ];
        let differs: Vec<_> = differs.iter().filter(|(_, differs)| *differs).map(|(name, _)| *name).collect();
        if !differs.is_empty() {
            let text = format!("has another {} than in Scalelite, and keeps it", differs.join(" and "));
            self.remark(false, "server", name, text);
        }
    }

    fn meeting(&mut self, usher: &UsherInventory, key: &MeetingKey, home: &TargetServer) {
        let name = key.to_string();
        match usher.meetings.get(key) {
            Some(server) if *server == home.id => self.already_here[2] += 1,
            Some(server) => {
                let text = format!(
                    "is on server {server} in Usher and on {} in Scalelite: end one of the two",
                    home.id
                );
                self.remark(true, "meeting", &name, text);
            }
            None if home.admin == AdminState::Disabled => {
                let text = format!("server {} is disabled, so no user could join", home.id);
                self.remark(false, "meeting", &name, text);
            }
            None => self.meetings.entry(home.id.clone()).or_default().push(key.clone()),
        }
    }
}
