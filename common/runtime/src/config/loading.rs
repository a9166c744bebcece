//! The settings while they are read: each source is laid over the ones before it.

use std::collections::BTreeMap;

use usher_model::settings::Settings;

use super::{
    fault::{ConfigFault, ConfigWarning, SettingOrigin},
    keys::{self, KEYS, SettingKey},
    kind::RawValue,
    suggest,
};

/// The largest size of a configuration file, bytes.
const FILE_MAX: usize = 1 << 20;

/// The environment variables with the prefix of settings that the command line reads.
const NOT_SETTINGS: [&str; 4] = ["USHER_CONFIG", "USHER_ENDPOINT", "USHER_TOKEN", "USHER_OUTPUT"];

/// The settings that were read so far, with the source of each.
#[derive(Debug, Default)]
pub(super) struct Loading {
    pub(super) settings: Settings,
    origins: BTreeMap<&'static str, SettingOrigin>,
    masked: bool,
    pub(super) faults: Vec<ConfigFault>,
    pub(super) warnings: Vec<ConfigWarning>,
}

impl Loading {
    /// Returns the defaults. `masked` tells whether `***` is accepted as a secret.
    pub(super) fn new(defaults: Settings, masked: bool) -> Self {
        Self { settings: defaults, masked, ..Self::default() }
    }

    /// Sets a setting from its text or value, or adds a fault.
    pub(super) fn set(&mut self, name: &str, origin: &SettingOrigin, raw: &RawValue<'_>) {
        let Some(key) = keys::find(name) else {
            return self.faults.push(suggest::unknown(
                origin.clone(),
                name,
                KEYS.iter().map(|key| key.name.into()),
            ));
        };
        match (key.set)(&mut self.settings, raw) {
            Ok(()) => {
                if key.secret && !self.masked && raw.is_masked() {
                    self.faults.push(ConfigFault::new(
                        origin.clone(),
                        key.name,
                        "is `***`, which stands for a secret in printed settings",
                        "put the secret itself there",
                    ));
                }
                self.origins.insert(key.name, origin.clone());
            }
            Err(problem) => {
                self.faults.push(ConfigFault::new(origin.clone(), key.name, problem.what, problem.remedy));
            }
        }
    }

    /// Returns the source of a setting's value.
    pub(super) fn origin(&self, key: &str) -> SettingOrigin {
        self.origins.get(key).cloned().unwrap_or(SettingOrigin::Default)
    }

    /// Returns whether a setting could not be read, or breaks a rule.
    pub(super) fn is_faulty(&self, key: &str) -> bool {
        self.faults.iter().any(|fault| fault.key == key)
    }

    /// Reads a file; `name` is for the texts of faults.
    pub(super) fn file(&mut self, name: &str, text: &str) {
        let origin = SettingOrigin::File(name.to_owned());
        if text.len() > FILE_MAX {
            return self.faults.push(ConfigFault::new(
                origin,
                "",
                "is larger than 1 MiB",
                "name the right file",
            ));
        }
        match text.parse::<toml::Table>() {
            Ok(table) => self.table(&origin, "", &table),
            Err(error) => {
                // The display text of the error is left out, because it quotes the line, which may have a secret.
                let before = text.get(..error.span().map_or(0, |span| span.start)).unwrap_or_default();
                let line = before.matches('\n').count() + 1;
                let what = format!(
                    "line {line} is not TOML: {}",
                    error.message().lines().next().unwrap_or_default()
                );
                self.faults.push(ConfigFault::new(origin, "", what, "correct that line"));
            }
        }
    }

    fn table(&mut self, origin: &SettingOrigin, section: &str, table: &toml::Table) {
        for (name, value) in table {
            let path = if section.is_empty() { name.clone() } else { format!("{section}.{name}") };
            match value {
                toml::Value::Table(inner) if keys::is_section(&path) => self.table(origin, &path, inner),
                _ => self.set(&path, origin, &RawValue::Toml(value)),
            }
        }
    }

    /// Reads the environment variables that are settings.
    pub(super) fn environment(&mut self, env: &[(String, String)]) {
        for (name, value) in env {
            if !name.starts_with("USHER_") || NOT_SETTINGS.contains(&name.as_str()) || is_service_link(name) {
                continue;
            }
            let origin = SettingOrigin::Env(name.clone());
            match KEYS.iter().find(|key| key.env_name() == *name) {
                Some(key) => self.set(key.name, &origin, &RawValue::Text(value)),
                None => {
                    self.faults.push(suggest::unknown(origin, name, KEYS.iter().map(SettingKey::env_name)));
                }
            }
        }
    }
}

/// Recognises variables that Kubernetes sets for the services of a namespace. Those of a service `usher-…` have
/// the prefix of settings.
fn is_service_link(name: &str) -> bool {
    let port = name.find("_PORT").map(|at| &name[at + "_PORT".len()..]);
    name.ends_with("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || port.is_some_and(|rest| {
            rest.is_empty()
                || rest.strip_prefix('_').is_some_and(|r| r.starts_with(|c: char| c.is_ascii_digit()))
        })
}
