//! The text form of each kind of value in a file, in the environment and on the command line.

mod cell_list;
mod duration;
mod scalar;
mod size;

use toml::Value;

/// The text in place of a secret.
pub(super) const MASK: &str = "***";

/// A value in the form of its source.
pub(super) enum RawValue<'a> {
    /// Text of the environment. A list is comma-separated or a JSON array.
    Text(&'a str),
    /// Texts of the command line, one for each repetition of the flag.
    Many(&'a [String]),
    /// Value of a TOML file.
    Toml(&'a Value),
}

impl RawValue<'_> {
    /// Tells whether the value is or contains the mask of a secret.
    pub(super) fn is_masked(&self) -> bool {
        match self {
            Self::Text(text) => {
                list(text).iter().flatten().any(|item| item == MASK)
                    || serde_json::from_str(text).is_ok_and(|value: Value| holds_mask(&value))
            }
            Self::Many(items) => items.iter().any(|item| item == MASK),
            Self::Toml(value) => holds_mask(value),
        }
    }
}

/// Tells whether a value of a file is or contains the mask of a secret.
fn holds_mask(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().any(holds_mask),
        Value::Table(table) => table.values().any(holds_mask),
        value => value.as_str() == Some(MASK),
    }
}

/// The reason why a value cannot be read. It never quotes the value, because the value may be a secret.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ValueProblem {
    pub(super) what: String,
    pub(super) remedy: String,
}

impl ValueProblem {
    pub(super) fn new(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { what: what.into(), remedy: remedy.into() }
    }
}

/// A kind of setting: how its values are read and printed.
pub(super) trait SettingKind: Sized {
    /// Reads a value of a source.
    fn read(raw: &RawValue<'_>) -> Result<Self, ValueProblem>;
    /// Returns the value in the form of the file; `None` if it is not set.
    fn show(&self) -> Option<Value>;
}

/// A kind of single value, not a list.
pub(super) trait ScalarKind: Sized {
    /// Whether numbers and booleans of a file are refused for this kind.
    const TEXTUAL: bool = true;
    /// Parses the text of a value.
    fn parse(text: &str) -> Result<Self, ValueProblem>;
    /// Returns the value in the form of the file.
    fn show(&self) -> Value;

    /// Reads a value of a file.
    fn from_toml(value: &Value) -> Result<Self, ValueProblem> {
        match value {
            Value::String(text) => Self::parse(text),
            Value::Integer(number) if !Self::TEXTUAL => Self::parse(&number.to_string()),
            Value::Float(number) if !Self::TEXTUAL => Self::parse(&number.to_string()),
            Value::Boolean(flag) if !Self::TEXTUAL => Self::parse(&flag.to_string()),
            Value::Array(_) => Err(ValueProblem::new("is a list", "write a single value")),
            Value::Table(_) => Err(ValueProblem::new("is a table", "write a single value")),
            other => {
                Err(ValueProblem::new(format!("is a {}, not text", other.type_str()), "put it in quotes"))
            }
        }
    }
}

impl<T: ScalarKind> SettingKind for T {
    fn read(raw: &RawValue<'_>) -> Result<Self, ValueProblem> {
        match raw {
            RawValue::Text(text) => T::parse(text),
            RawValue::Many([text]) => T::parse(text),
            RawValue::Many(_) => Err(ValueProblem::new("was given several times", "give it once")),
            RawValue::Toml(value) => T::from_toml(value),
        }
    }

    fn show(&self) -> Option<Value> {
        Some(ScalarKind::show(self))
    }
}

impl<T: ScalarKind> SettingKind for Option<T> {
    fn read(raw: &RawValue<'_>) -> Result<Self, ValueProblem> {
        <T as SettingKind>::read(raw).map(Some)
    }

    fn show(&self) -> Option<Value> {
        self.as_ref().map(ScalarKind::show)
    }
}

impl<T: ScalarKind> SettingKind for Vec<T> {
    fn read(raw: &RawValue<'_>) -> Result<Self, ValueProblem> {
        match raw {
            RawValue::Text(text) => list(text)?.iter().map(|item| T::parse(item)).collect(),
            RawValue::Many(items) => items.iter().map(|item| T::parse(item)).collect(),
            RawValue::Toml(Value::Array(items)) => items.iter().map(T::from_toml).collect(),
            RawValue::Toml(_) => Err(ValueProblem::new("is not a list", "write a list: [\"…\", \"…\"]")),
        }
    }

    fn show(&self) -> Option<Value> {
        Some(Value::Array(self.iter().map(ScalarKind::show).collect()))
    }
}

/// Splits a list of the environment: comma-separated, or a JSON array if values have commas.
fn list(text: &str) -> Result<Vec<String>, ValueProblem> {
    let text = text.trim();
    if text.starts_with('[') {
        return serde_json::from_str(text)
            .map_err(|_| ValueProblem::new("is not a JSON array of texts", "write it as [\"…\", \"…\"]"));
    }
    if text.is_empty() {
        return Ok(Vec::new());
    }
    Ok(text.split(',').map(|item| item.trim().to_owned()).collect())
}

#[cfg(test)]
mod tests;
