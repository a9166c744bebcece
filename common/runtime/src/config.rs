//! Reads [`Settings`]: defaults < file < environment < flags, then checks across settings.
//!
//! One table, `keys::KEYS`, names every setting, and file, environment, printing and the search for unknown keys use
//! it. [`load`] is pure and reports all faults at once, each with its source and its remedy. Only
//! [`SettingSource::read`] reads files and the environment.

mod check;
mod derived;
mod fault;
mod keys;
mod kind;
mod scalelite;
mod suggest;

use std::{collections::BTreeMap, fmt, path::Path};

pub use fault::{ConfigFault, ConfigFaults, ConfigWarning, SettingOrigin};

use keys::{KEYS, SettingKey};
use kind::RawValue;
use usher_model::settings::Settings;

/// The largest size of a configuration file, bytes.
const FILE_MAX: usize = 1 << 20;

/// The environment variables with the prefix of settings that the command line reads.
const NOT_SETTINGS: [&str; 4] = ["USHER_CONFIG", "USHER_ENDPOINT", "USHER_TOKEN", "USHER_OUTPUT"];

/// All sources of the settings.
#[derive(Clone, Default)]
pub struct SettingSource {
    /// Defaults of the program; the programs differ in a few of them.
    pub base: Settings,
    /// Name of the file, for error texts, and its content.
    pub file: Option<(String, String)>,
    /// Names and values of all environment variables.
    pub env: Vec<(String, String)>,
    /// Flags of the command line.
    pub flags: Vec<CommandLineFlag>,
    /// Whether `***` is accepted as a secret, so that the output of [`print()`] loads back. A program must not start
    /// with it.
    pub masked: bool,
}

/// A setting given on the command line.
#[derive(Clone)]
pub struct CommandLineFlag {
    /// Name of the flag, such as `--listen`.
    pub name: &'static str,
    /// Setting that the flag overrides, such as `listen`.
    pub key: &'static str,
    /// Values of the flag, one for each repetition.
    pub values: Vec<String>,
}

// File, environment and flags have secrets in plain text, so `Debug` shows only names (I14).
impl fmt::Debug for SettingSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.as_ref().map(|(name, _)| name);
        f.debug_struct("Source").field("file", &file).field("flags", &self.flags).finish_non_exhaustive()
    }
}

impl fmt::Debug for CommandLineFlag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flag").field("name", &self.name).finish_non_exhaustive()
    }
}

impl SettingSource {
    /// Reads the environment of this process and the file `config`, or else the file in `USHER_CONFIG`.
    pub fn read(
        base: Settings,
        config: Option<&Path>,
        flags: Vec<CommandLineFlag>,
    ) -> Result<Self, ConfigFaults> {
        let env: Vec<(String, String)> = std::env::vars_os()
            .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
            .collect();
        let named = env.iter().find(|(name, value)| name == "USHER_CONFIG" && !value.is_empty());
        let path = config.or(named.map(|(_, value)| Path::new(value)));
        let file = path.map(read_file).transpose()?;
        Ok(Self { base, file, env, flags, masked: false })
    }
}

fn read_file(path: &Path) -> Result<(String, String), ConfigFaults> {
    let name = path.display().to_string();
    match std::fs::read_to_string(path) {
        Ok(text) => Ok((name, text)),
        Err(error) => Err(ConfigFault::new(
            SettingOrigin::File(name),
            "",
            format!("cannot be read: {error}"),
            "name a readable file with --config or USHER_CONFIG",
        )
        .into()),
    }
}

/// Reads and checks all settings. The caller shows the warnings to the operator.
pub fn load(source: &SettingSource) -> Result<(Settings, Vec<ConfigWarning>), ConfigFaults> {
    let mut loading = Loading { settings: source.base.clone(), masked: source.masked, ..Loading::default() };
    if let Some((name, text)) = &source.file {
        loading.file(name, text);
    }
    scalelite::apply(&mut loading, &source.env);
    loading.environment(&source.env);
    for flag in &source.flags {
        loading.set(flag.key, &SettingOrigin::Flag(flag.name.into()), &RawValue::Many(&flag.values));
    }
    derived::apply(&mut loading);
    scalelite::fit(&mut loading);
    check::run(&mut loading);
    if loading.faults.is_empty() {
        Ok((loading.settings, loading.warnings))
    } else {
        Err(ConfigFaults(loading.faults))
    }
}

/// Returns the settings as a file that loads back, with secrets as `***`.
pub fn print(settings: &Settings) -> String {
    let (mut lines, mut section) = (Vec::new(), "");
    for key in KEYS {
        let Some(value) = (key.show)(settings) else { continue };
        let (table, name) = key.name.rsplit_once('.').unwrap_or(("", key.name));
        if table != section {
            lines.extend([String::new(), format!("[{table}]")]);
            section = table;
        }
        lines.push(format!("{name} = {value}"));
    }
    lines.push(String::new());
    lines.join("\n")
}

/// Reads a duration in the form of settings, for command lines.
pub fn parse_duration(text: &str) -> Result<std::time::Duration, String> {
    kind::ScalarKind::parse(text)
        .map_err(|problem: kind::ValueProblem| format!("{}; {}", problem.what, problem.remedy))
}

/// The settings that were read so far, with the source of each.
#[derive(Debug, Default)]
struct Loading {
    settings: Settings,
    origins: BTreeMap<&'static str, SettingOrigin>,
    masked: bool,
    faults: Vec<ConfigFault>,
    warnings: Vec<ConfigWarning>,
    /// Value of `SERVER_UNHEALTHY_THRESHOLD`, until the settings that override it are known.
    scalelite_patience: Option<scalelite::ScaleliteThreshold>,
}

impl Loading {
    fn set(&mut self, name: &str, origin: &SettingOrigin, raw: &RawValue<'_>) {
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

    fn origin(&self, key: &str) -> SettingOrigin {
        self.origins.get(key).cloned().unwrap_or(SettingOrigin::Default)
    }

    fn is_faulty(&self, key: &str) -> bool {
        self.faults.iter().any(|fault| fault.key == key)
    }

    fn file(&mut self, name: &str, text: &str) {
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

    fn environment(&mut self, env: &[(String, String)]) {
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

#[cfg(test)]
mod tests;
