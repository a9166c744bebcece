//! Faults of a configuration, each with its source and its remedy.

use std::fmt;

/// The source of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SettingOrigin {
    /// The default: no source set the value.
    Default,
    /// The file with this name.
    File(String),
    /// The environment variable with this name.
    Env(String),
    /// The flag on the command line.
    Flag(String),
}

impl fmt::Display for SettingOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(name) | Self::Flag(name) => f.write_str(name),
            Self::Env(name) => write!(f, "environment {name}"),
        }
    }
}

/// One fault of a configuration. Its text never has a secret (I14).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigFault {
    /// Source of the value.
    pub origin: SettingOrigin,
    /// Name of the setting; empty for a fault of the whole source.
    pub key: String,
    /// The fault in words.
    pub problem: String,
    /// Remedy for the fault.
    pub remedy: String,
}

impl ConfigFault {
    pub(super) fn new(
        origin: SettingOrigin,
        key: impl Into<String>,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { origin, key: key.into(), problem: problem.into(), remedy: remedy.into() }
    }
}

impl fmt::Display for ConfigFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.origin)?;
        if !self.key.is_empty() {
            write!(f, "{} ", self.key)?;
        }
        write!(f, "{}; {}", self.problem, self.remedy)
    }
}

/// All faults of a configuration, reported at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigFaults(pub Vec<ConfigFault>);

impl From<ConfigFault> for ConfigFaults {
    fn from(fault: ConfigFault) -> Self {
        Self(vec![fault])
    }
}

impl fmt::Display for ConfigFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.0.len() == 1 { "" } else { "s" };
        write!(f, "the configuration has {} fault{plural}:", self.0.len())?;
        self.0.iter().try_for_each(|fault| write!(f, "\n  {fault}"))
    }
}

impl std::error::Error for ConfigFaults {}

/// A warning about a setting that is valid but may have another effect than the operator expects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigWarning {
    /// Source of the value.
    pub origin: SettingOrigin,
    /// The effect of the setting.
    pub message: String,
}

impl fmt::Display for ConfigWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.origin, self.message)
    }
}
