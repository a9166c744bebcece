//! Conversion of operators' messages into tenants: every field is checked, and every fault names
//! the remedy.

mod policy;

use usher_bbb::secret::Secret;
use usher_model::{id::TenantId, routing::TenantRoute, tenant::TenantPolicy};
use usher_proto::v1;

use crate::grpc::status::{RequestViolation, RpcRefusal};

/// The fields that an update may name.
const FIELDS: [&str; 4] = ["secrets", "hosts", "enabled", "policy"];
/// Largest number of secrets of one tenant; a request with a bad checksum costs a hash for each.
const MAX_SECRETS: usize = 64;
/// Largest number of hosts of one tenant.
const MAX_HOSTS: usize = 64;
/// Longest host name (RFC 1035).
const MAX_HOST: usize = 253;

/// Reads a new tenant.
///
/// # Errors
/// Names every invalid field.
pub(super) fn new_tenant(wire: v1::Tenant, id: &str) -> Result<TenantRoute, RpcRefusal> {
    let mut faults = Vec::new();
    let id = or_fault(TenantId::parse(id).map_err(|error| error.to_string()), "tenant_id", &mut faults);
    let secrets = or_fault(secrets(&wire.secrets), "tenant.secrets", &mut faults);
    let hosts = or_fault(hosts(&wire.hosts), "tenant.hosts", &mut faults);
    let policy = policy::policy(wire.policy.unwrap_or_default(), &mut faults);
    match (id, secrets, hosts) {
        (Some(id), Some(secrets), Some(hosts)) if faults.is_empty() => {
            let enabled = wire.enabled.unwrap_or(true);
            Ok(TenantRoute { secrets, hosts, enabled, policy, ..TenantRoute::new(id) })
        }
        _ => Err(RpcRefusal::Invalid(faults)),
    }
}

/// A checked update; fields that are `None` remain unchanged.
#[derive(Debug, Clone, Default)]
pub(super) struct MaskedTenantUpdate {
    secrets: Option<Vec<Secret>>,
    hosts: Option<Vec<String>>,
    enabled: Option<bool>,
    policy: TenantPolicy,
    /// The fields of the policy that the mask names.
    policy_fields: Vec<String>,
}

impl MaskedTenantUpdate {
    /// Reads an update. Without a mask, every field that is set is updated.
    ///
    /// # Errors
    /// Names every invalid field.
    pub(super) fn parse(wire: v1::Tenant, mask: &[String]) -> Result<Self, RpcRefusal> {
        let mut faults = Vec::new();
        let known = || FIELDS.iter().chain(&policy::FIELDS).copied();
        for path in mask.iter().filter(|path| !known().any(|field| field == *path) && *path != "*") {
            let problem = format!("`{path}` is not one of {}", known().collect::<Vec<_>>().join(", "));
            faults.push(RequestViolation::new("update_mask", problem));
        }
        let named = |field: &str, set: bool| match mask {
            [] => set,
            mask => mask.iter().any(|path| path == field || path == "*"),
        };
        let mut update = Self::default();
        if named("secrets", !wire.secrets.is_empty()) {
            update.secrets = or_fault(secrets(&wire.secrets), "tenant.secrets", &mut faults);
        }
        if named("hosts", !wire.hosts.is_empty()) {
            update.hosts = or_fault(hosts(&wire.hosts), "tenant.hosts", &mut faults);
        }
        if named("enabled", wire.enabled.is_some()) {
            update.enabled = Some(wire.enabled.unwrap_or(true));
        }
        let whole = named("policy", wire.policy.is_some());
        let is_updated = |field: &&&str| whole || mask.iter().any(|path| path == **field);
        update.policy_fields = policy::FIELDS.iter().filter(is_updated).map(ToString::to_string).collect();
        update.policy = policy::policy(wire.policy.unwrap_or_default(), &mut faults);
        if faults.is_empty() { Ok(update) } else { Err(RpcRefusal::Invalid(faults)) }
    }

    /// Returns the tenant with the update applied.
    pub(super) fn apply(&self, tenant: &TenantRoute) -> TenantRoute {
        let named = |field: &str| self.policy_fields.iter().any(|known| known == field);
        TenantRoute {
            secrets: self.secrets.clone().unwrap_or_else(|| tenant.secrets.clone()),
            hosts: self.hosts.clone().unwrap_or_else(|| tenant.hosts.clone()),
            enabled: self.enabled.unwrap_or(tenant.enabled),
            policy: policy::updated(&tenant.policy, &self.policy, named),
            created_by: tenant.created_by,
            ..TenantRoute::new(tenant.id.clone())
        }
    }
}

/// Reads one secret.
///
/// # Errors
/// The secret is empty; an empty secret would let any request in.
pub(super) fn secret(field: &str, text: &str) -> Result<Secret, RpcRefusal> {
    match text.trim() {
        "" => Err(RpcRefusal::field(field, "is missing")),
        text => Ok(Secret::new(text)),
    }
}

fn or_fault<T>(value: Result<T, String>, field: &str, faults: &mut Vec<RequestViolation>) -> Option<T> {
    value.map_err(|problem| faults.push(RequestViolation::new(field, problem))).ok()
}

fn secrets(texts: &[String]) -> Result<Vec<Secret>, String> {
    let mut secrets: Vec<Secret> = Vec::new();
    for text in texts.iter().map(|text| text.trim()) {
        if text.is_empty() {
            return Err("holds an empty secret, which would let everybody in".into());
        }
        let secret = Secret::new(text);
        if !secrets.contains(&secret) {
            secrets.push(secret);
        }
    }
    match secrets.len() {
        0 => Err("is missing; give the tenant at least one, for example from `openssl rand -hex 32`".into()),
        1..=MAX_SECRETS => Ok(secrets),
        _ => Err(format!("holds more than {MAX_SECRETS} secrets")),
    }
}

/// Normalizes host names for comparison with requests: lower case, no final dot.
fn hosts(texts: &[String]) -> Result<Vec<String>, String> {
    let mut hosts = texts.iter().map(|text| host(text)).collect::<Result<Vec<_>, _>>()?;
    hosts.sort();
    hosts.dedup();
    if hosts.len() > MAX_HOSTS { Err(format!("holds more than {MAX_HOSTS} hosts")) } else { Ok(hosts) }
}

fn host(text: &str) -> Result<String, String> {
    let host = text.trim().trim_end_matches('.').to_ascii_lowercase();
    let is_name = host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'));
    let is_address = host.parse::<std::net::Ipv6Addr>().is_ok();
    if host.is_empty() || host.len() > MAX_HOST || !(is_name || is_address) {
        Err(format!(
            "`{text}` is no host name; write it without scheme, port and path, as in `bbb.school.example`"
        ))
    } else {
        Ok(host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(secrets: &[&str], hosts: &[&str]) -> v1::Tenant {
        let own = |texts: &[&str]| texts.iter().map(ToString::to_string).collect();
        v1::Tenant { secrets: own(secrets), hosts: own(hosts), ..v1::Tenant::default() }
    }

    fn fields(refusal: RpcRefusal) -> Vec<String> {
        match refusal {
            RpcRefusal::Invalid(violations) => violations.into_iter().map(|v| v.field).collect(),
            other => panic!("not a list of faults: {other:?}"),
        }
    }

    #[test]
    fn a_new_tenant_is_enabled_and_its_hosts_are_in_one_form() {
        let tenant = new_tenant(wire(&["a", " b ", "a"], &["BBB.School.test.", "::1"]), "school").unwrap();
        assert!(tenant.enabled);
        assert_eq!(tenant.secrets, [Secret::new("a"), Secret::new("b")]);
        assert_eq!(tenant.hosts, ["::1", "bbb.school.test"]);
    }

    #[test]
    fn every_fault_is_named_at_once() {
        let refused = new_tenant(wire(&[], &["https://x"]), "a b").unwrap_err();
        assert_eq!(fields(refused), ["tenant_id", "tenant.secrets", "tenant.hosts"]);
        for host in ["", "a/b", "a:80", "a b", "é.test"] {
            assert!(new_tenant(wire(&["s"], &[host]), "a").is_err(), "{host}");
        }
        assert!(new_tenant(wire(&["s", ""], &[]), "a").is_err(), "an empty secret lets everybody in");
    }

    #[test]
    fn a_mask_names_the_fields_of_an_update() {
        let old = new_tenant(wire(&["s"], &["a.test"]), "school").unwrap();
        let off = v1::Tenant { enabled: Some(false), ..wire(&["t"], &[]) };
        let masked =
            MaskedTenantUpdate::parse(off.clone(), &["enabled".into(), "hosts".into()]).unwrap().apply(&old);
        assert_eq!((masked.enabled, masked.hosts.len(), &masked.secrets), (false, 0, &old.secrets));
        let all = MaskedTenantUpdate::parse(off.clone(), &[]).unwrap().apply(&old);
        assert_eq!((all.enabled, &all.hosts, &all.secrets[..]), (false, &old.hosts, &[Secret::new("t")][..]));
        assert_eq!(fields(MaskedTenantUpdate::parse(off, &["name".into()]).unwrap_err()), ["update_mask"]);
    }
}
