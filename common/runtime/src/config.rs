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
mod loading;
mod scalelite;
mod suggest;

use std::{fmt, path::Path};

pub use fault::{ConfigFault, ConfigFaults, ConfigWarning, SettingOrigin};

use keys::KEYS;
use kind::RawValue;
use loading::Loading;
use usher_model::settings::Settings;

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
    let mut loading = Loading::new(source.base.clone(), source.masked);
    if let Some((name, text)) = &source.file {
        loading.file(name, text);
    }
    let threshold = scalelite::apply(&mut loading, &source.env);
    loading.environment(&source.env);
    for flag in &source.flags {
        loading.set(flag.key, &SettingOrigin::Flag(flag.name.into()), &RawValue::Many(&flag.values));
    }
    derived::apply(&mut loading);
    scalelite::fit(&mut loading, threshold);
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

#[cfg(test)]
mod tests;
