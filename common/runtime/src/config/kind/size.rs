//! Sizes in bytes: `64MiB`, `64KiB`, `1GB`, `512`. Every `u64` setting is a size.

use toml::Value;

use super::{ScalarKind, ValueProblem};

const UNITS: [(&str, u64); 8] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1000),
    ("B", 1),
    ("", 1),
];

impl ScalarKind for u64 {
    const TEXTUAL: bool = false;

    fn parse(text: &str) -> Result<Self, ValueProblem> {
        let text = text.trim();
        let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
        let scale =
            UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit.trim())).map(|(_, scale)| scale);
        match (number.parse::<Self>(), scale) {
            (Ok(number), Some(scale)) => {
                // Numbers in TOML are signed 64 bit, so a larger size could not be printed and read back.
                let size = number.checked_mul(*scale).filter(|size| i64::try_from(*size).is_ok());
                size.ok_or_else(|| ValueProblem::new("is too large", "write a smaller size"))
            }
            _ => Err(ValueProblem::new("is not a size", "write it as 64MiB, 64KiB or a number of bytes")),
        }
    }

    fn show(&self) -> Value {
        match UNITS[..3].iter().find(|(_, scale)| *self > 0 && self.is_multiple_of(*scale)) {
            Some((name, scale)) => Value::String(format!("{}{name}", self / scale)),
            None => Value::Integer(i64::try_from(*self).unwrap_or(i64::MAX)),
        }
    }
}
