//! What must be done so that Usher serves what a Scalelite serves. Only what is not there is made; what
//! stands otherwise is told and left as it is. A plan is plain data; made again after it was carried out,
//! it is empty.

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

/// What Usher has.
#[derive(Debug, Clone, Default)]
pub struct UsherInventory {
    /// Its servers, secrets included.
    pub servers: Vec<CurrentServer>,
    /// Its tenants.
    pub tenants: Vec<CurrentTenant>,
    /// Where its meetings live.
    pub meetings: BTreeMap<MeetingKey, ServerId>,
}

/// A tenant as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CurrentTenant {
    /// Its name.
    pub id: TenantId,
    /// Its secrets.
    pub secrets: Vec<Secret>,
    /// Its hosts, in lower case.
    pub hosts: Vec<String>,
}

/// A tenant to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTenant {
    /// What Scalelite says of it.
    pub found: FoundTenant,
    /// The host its requests come to.
    pub host: Option<String>,
}

/// Something to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationRemark {
    /// `tenant`, `server`, `meeting` or `key`.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// What it is, and what to do.
    pub text: String,
    /// Whether somebody has to decide; else it is only to be known.
    pub is_conflict: bool,
}

/// What is to be done, in this order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MigrationPlan {
    /// Tenants to be made.
    pub tenants: Vec<NewTenant>,
    /// Servers to be made.
    pub servers: Vec<FoundServer>,
    /// Meetings to be taken over, by their servers' ids here.
    pub meetings: BTreeMap<ServerId, Vec<MeetingKey>>,
    /// What is not done, and why.
    pub remarks: Vec<MigrationRemark>,
    /// How many tenants, servers and meetings are here already.
    pub already_here: [usize; 3],
}

/// Plans the way from what Usher has to what `found` says. `url_host` is Scalelite's own: its tenants are
/// told by `NAME.url_host`.
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
    let homes: BTreeMap<ServerId, Home> = servers.collect();
    plan.without_default(usher, found);
    for meeting in &found.meetings {
        // Of a server that is not taken over everything is said already.
        if let Some(home) = homes.get(&meeting.server) {
            plan.meeting(usher, &meeting.key, home);
        }
    }
    plan
}

/// A server by its id here.
struct Home {
    id: ServerId,
    admin: AdminState,
}

impl MigrationPlan {
    /// Tells whether nothing is to be done.
    pub fn is_empty(&self) -> bool {
        self.tenants.is_empty() && self.servers.is_empty() && self.meetings.is_empty()
    }

    /// Adds something to be told.
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
                self.remark(true, "tenant", name, format!("its host {host} is tenant {}'s", owner.id));
            }
            let host = host.filter(|_| owner.is_none());
            self.tenants.push(NewTenant { found: found.clone(), host });
            return;
        };
        self.already_here[0] += 1;
        let missing = found.secrets.iter().filter(|secret| !current.secrets.contains(secret)).count();
        if missing > 0 {
            let text = format!(
                "stands without {missing} of its secrets in Scalelite; `usher tenants secret add {name}` adds one"
            );
            self.remark(true, "tenant", name, text);
        }
        if let Some(host) = host.filter(|host| !current.hosts.contains(host)) {
            self.remark(false, "tenant", name, format!("stands without the host {host}"));
        }
    }

    /// Meetings of no tenant are tenant `default`'s, whose secrets Scalelite does not keep in Redis.
    fn without_default(&mut self, usher: &UsherInventory, found: &ScaleliteInventory) {
        let is_default = |tenant: &TenantId| tenant.as_str() == TenantId::DEFAULT;
        let has_meetings = found.meetings.iter().any(|meeting| is_default(&meeting.key.tenant));
        let exists = usher.tenants.iter().any(|tenant| is_default(&tenant.id));
        let comes = self.tenants.iter().any(|tenant| is_default(&tenant.found.id));
        if has_meetings && !exists && !comes {
            let text = "is not there, and nobody can join its meetings: give LOADBALANCER_SECRET as the setting `secrets`";
            self.remark(true, "tenant", TenantId::DEFAULT, text);
        }
    }

    /// Plans one server; none is returned where its meetings cannot be taken over.
    fn server(&mut self, usher: &UsherInventory, found: &FoundServer) -> Option<Home> {
        let (spec, admin) = (&found.spec, found.admin);
        let name = spec.id.as_str();
        if let Some(current) = usher.servers.iter().find(|server| server.id == spec.id) {
            self.already_here[1] += 1;
            if current.url != spec.url {
                let text = format!(
                    "stands with another URL than Scalelite's, {}; `usher servers update {name} --url` changes it, \
                     `usher servers remove {name}` makes room",
                    spec.url
                );
                self.remark(true, "server", name, text);
                return None;
            }
            self.compare(current, found);
            return Some(Home { id: current.id.clone(), admin: current.admin });
        }
        if let Some(current) = usher.servers.iter().find(|server| server.url == spec.url) {
            self.already_here[1] += 1;
            self.compare(current, found);
            return Some(Home { id: current.id.clone(), admin: current.admin });
        }
        if let Some(planned) = self.servers.iter().find(|server| server.spec.url == spec.url) {
            let first = planned.spec.id.clone();
            let home = Home { id: first.clone(), admin: planned.admin };
            self.remark(true, "server", name, format!("has the URL of server {first}, and is left out"));
            return Some(home);
        }
        self.servers.push(found.clone());
        Some(Home { id: spec.id.clone(), admin })
    }

    fn compare(&mut self, current: &CurrentServer, found: &FoundServer) {
        let name = current.id.as_str();
        if current.secret != found.spec.secret {
            let text = format!(
                "stands with another secret than Scalelite's; `usher servers check {name}` tells whether it is right"
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
            let text =
                format!("stands with another {} than Scalelite's, and keeps it", differs.join(" and "));
            self.remark(false, "server", name, text);
        }
    }

    fn meeting(&mut self, usher: &UsherInventory, key: &MeetingKey, home: &Home) {
        let name = key.to_string();
        match usher.meetings.get(key) {
            Some(server) if *server == home.id => self.already_here[2] += 1,
            Some(server) => {
                let text = format!(
                    "lives on server {server} here, and on {} for Scalelite: end one of the two",
                    home.id
                );
                self.remark(true, "meeting", &name, text);
            }
            None if home.admin == AdminState::Disabled => {
                let text = format!("server {} is disabled, and nobody could join", home.id);
                self.remark(false, "meeting", &name, text);
            }
            None => self.meetings.entry(home.id.clone()).or_default().push(key.clone()),
        }
    }
}
