//! How each kind of value is written: in a file, in the environment, on the command line.

mod duration;
mod scalar;
mod size;

use toml::Value;

/// What a secret is shown as.
pub(super) const MASK: &str = "***";

/// A value as it was found.
pub(super) enum Raw<'a> {
    /// Environment: text, in which a list is comma-separated or a JSON array.
    Text(&'a str),
    /// Command line: each repetition as it was typed.
    Many(&'a [String]),
    /// File.
    Toml(&'a Value),
}

impl Raw<'_> {
    /// Returns whether it is, or holds, the mask of a secret.
    pub(super) fn is_masked(&self) -> bool {
        match self {
            Self::Text(text) => list(text).iter().flatten().any(|item| item == MASK),
            Self::Many(items) => items.iter().any(|item| item == MASK),
            Self::Toml(Value::Array(items)) => items.iter().any(|item| item.as_str() == Some(MASK)),
            Self::Toml(value) => value.as_str() == Some(MASK),
        }
    }
}

/// Why a value cannot be read. Never quotes the value: it may be a secret.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) what: String,
    pub(super) remedy: String,
}

impl Problem {
    pub(super) fn new(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { what: what.into(), remedy: remedy.into() }
    }
}

/// A kind of setting.
pub(super) trait Setting: Sized {
    /// Reads a value.
    fn read(raw: &Raw<'_>) -> Result<Self, Problem>;
    /// Returns it as it would stand in a file; none where it is not set.
    fn show(&self) -> Option<Value>;
}

/// A kind of single value.
pub(super) trait Scalar: Sized {
    /// Numbers and booleans of a file are not taken for it.
    const TEXTUAL: bool = true;
    /// Parses its text.
    fn parse(text: &str) -> Result<Self, Problem>;
    /// Returns it as it would stand in a file.
    fn show(&self) -> Value;

    /// Reads it from a file.
    fn from_toml(value: &Value) -> Result<Self, Problem> {
        match value {
            Value::String(text) => Self::parse(text),
            Value::Integer(number) if !Self::TEXTUAL => Self::parse(&number.to_string()),
            Value::Float(number) if !Self::TEXTUAL => Self::parse(&number.to_string()),
            Value::Boolean(flag) if !Self::TEXTUAL => Self::parse(&flag.to_string()),
            Value::Array(_) => Err(Problem::new("is a list", "write a single value")),
            Value::Table(_) => Err(Problem::new("is a table", "write a single value")),
            other => Err(Problem::new(format!("is a {}, not text", other.type_str()), "put it in quotes")),
        }
    }
}

impl<T: Scalar> Setting for T {
    fn read(raw: &Raw<'_>) -> Result<Self, Problem> {
        match raw {
            Raw::Text(text) => T::parse(text),
            Raw::Many([text]) => T::parse(text),
            Raw::Many(_) => Err(Problem::new("was given several times", "give it once")),
            Raw::Toml(value) => T::from_toml(value),
        }
    }

    fn show(&self) -> Option<Value> {
        Some(Scalar::show(self))
    }
}

impl<T: Scalar> Setting for Option<T> {
    fn read(raw: &Raw<'_>) -> Result<Self, Problem> {
        <T as Setting>::read(raw).map(Some)
    }

    fn show(&self) -> Option<Value> {
        self.as_ref().map(Scalar::show)
    }
}

impl<T: Scalar> Setting for Vec<T> {
    fn read(raw: &Raw<'_>) -> Result<Self, Problem> {
        match raw {
            Raw::Text(text) => list(text)?.iter().map(|item| T::parse(item)).collect(),
            Raw::Many(items) => items.iter().map(|item| T::parse(item)).collect(),
            Raw::Toml(Value::Array(items)) => items.iter().map(T::from_toml).collect(),
            Raw::Toml(_) => Err(Problem::new("is not a list", "write a list: [\"…\", \"…\"]")),
        }
    }

    fn show(&self) -> Option<Value> {
        Some(Value::Array(self.iter().map(Scalar::show).collect()))
    }
}

/// Splits a list of the environment: comma-separated, or a JSON array for values with commas.
fn list(text: &str) -> Result<Vec<String>, Problem> {
    let text = text.trim();
    if text.starts_with('[') {
        return serde_json::from_str(text)
            .map_err(|_| Problem::new("is not a JSON array of texts", "write it as [\"…\", \"…\"]"));
    }
    if text.is_empty() {
        return Ok(Vec::new());
    }
    Ok(text.split(',').map(|item| item.trim().to_owned()).collect())
}

#[cfg(test)]
mod tests;
