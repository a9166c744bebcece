//! Reads the tenants: `tenants`, each `tenant:ID` and its settings.

use std::collections::BTreeMap;

use usher_bbb::secret::Secret;
use usher_model::{
    id::TenantId,
    tenant::{ParameterRule, RuleAction},
};

use super::{
    inventory::{FoundTenant, ScaleliteInventory},
    keys::{HashFields, RedisHash, ScaleliteKeys, field},
};

/// The fields of the learning record store of a tenant, which Usher does not support.
const LRS: [&str; 2] = ["lrs_endpoint", "kc_token_url"];

/// Reads the tenants and returns their names by the ids of Scalelite.
pub(super) fn read(keys: &ScaleliteKeys, found: &mut ScaleliteInventory) -> BTreeMap<String, TenantId> {
    let mut names = BTreeMap::new();
    for (id, entry) in &keys.tenants {
        let key = format!("tenant:{id}");
        let fields = match entry {
            RedisHash::Missing => {
                found.fault(keys, &key, "is named in `tenants` and does not exist");
                continue;
            }
            RedisHash::Unreadable => {
                found.fault(keys, &key, "is not a hash of text");
                continue;
            }
            RedisHash::Fields(fields) => fields,
        };
        match tenant(keys, id, fields) {
            Ok(mut tenant) => {
                names.insert(id.clone(), tenant.id.clone());
                tenant.rules = rules(keys, id, found);
                if LRS.iter().any(|name| field(fields, name).is_some()) {
                    found.note(
                        keys,
                        &key,
                        "its learning record store is not taken over: Usher does not support one",
                    );
                }
                found.tenants.push(tenant);
            }
            Err(problem) => found.fault(keys, &key, problem),
        }
    }
    found.tenants.sort_by(|a, b| a.id.cmp(&b.id));
    names
}

fn tenant(keys: &ScaleliteKeys, id: &str, fields: &HashFields) -> Result<FoundTenant, String> {
    let name = field(fields, "name").ok_or("`name` is missing")?;
    let tenant =
        TenantId::parse(name).map_err(|error| format!("`name` cannot be a tenant's here: {error}"))?;
    // If two tenants have one name, Scalelite serves the one in its index.
    if keys.tenant_names.get(name).is_some_and(|index| index != id) {
        return Err(format!("another tenant has the name `{tenant}`, and Scalelite serves that one"));
    }
    let secrets = field(fields, "secrets").unwrap_or_default().split(':').map(str::trim);
    let secrets: Vec<Secret> = secrets.filter(|secret| !secret.is_empty()).map(Secret::new).collect();
    if secrets.is_empty() {
        return Err("`secrets` is empty: no application can call Scalelite as this tenant".into());
    }
    Ok(FoundTenant { id: tenant, secrets, rules: Vec::new() })
}

fn rules(keys: &ScaleliteKeys, tenant: &str, found: &mut ScaleliteInventory) -> Vec<ParameterRule> {
    let mut rules = Vec::new();
    for (id, entry) in keys.settings.get(tenant).into_iter().flatten() {
        let key = format!("tenant_setting:{id}");
        let RedisHash::Fields(fields) = entry else {
            found.fault(keys, &key, "is named in the settings of a tenant and is not a hash of text");
            continue;
        };
        match rule(fields) {
            Ok(rule) => rules.push(rule),
            Err(problem) => found.fault(keys, &key, problem),
        }
    }
    rules
}

fn rule(fields: &HashFields) -> Result<ParameterRule, String> {
    let parameter = field(fields, "param").ok_or("`param` is missing")?;
    let value = fields.get("value").map(String::as_str).unwrap_or_default();
    let action =
        if field(fields, "override") == Some("true") { RuleAction::Override } else { RuleAction::Default };
    ParameterRule::new(action, parameter, value).map_err(|error| format!("cannot become a rule: {error}"))
}
