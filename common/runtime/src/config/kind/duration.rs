//! Durations carry their unit: `800ms`, `10s`, `15m`, `24h`, `7d`; `0` needs none.

use std::time::Duration;

use toml::Value;

use super::{ScalarKind, ValueProblem};

const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// The largest duration, ten years in milliseconds: more than any setting needs, and without overflow.
const MAX_MS: f64 = 10.0 * 366.0 * 86_400_000.0;

impl ScalarKind for Duration {
    const TEXTUAL: bool = false;

    fn parse(text: &str) -> Result<Self, ValueProblem> {
        let text = text.trim();
        let remedy = "write it as 800ms, 10s, 15m or 24h";
        let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, unit) = text.split_at(split);
        let Ok(number) = number.parse::<f64>() else {
            return Err(ValueProblem::new("is not a duration", remedy));
        };
        if number == 0.0 && unit.is_empty() {
            return Ok(Self::ZERO);
        }
        let Some((_, scale)) = UNITS.iter().find(|(name, _)| *name == unit.trim()) else {
            let what = if unit.is_empty() { "has no unit" } else { "has an unknown unit" };
            return Err(ValueProblem::new(what, remedy));
        };
        let ms = number * *scale as f64;
        if ms > MAX_MS {
            return Err(ValueProblem::new("is longer than ten years", remedy));
        }
        if ms.fract() != 0.0 {
            return Err(ValueProblem::new("is finer than a millisecond", remedy));
        }
        Ok(Self::from_millis(ms as u64))
    }

    fn show(&self) -> Value {
        let ms = u64::try_from(self.as_millis()).unwrap_or(u64::MAX);
        if ms == 0 {
            return Value::String("0".into());
        }
        // One day is printed as 24h, the usual form; days begin at two.
        let unit =
            UNITS.iter().find(|(name, scale)| ms.is_multiple_of(*scale) && (*name != "d" || ms / scale > 1));
        let (name, scale) = unit.unwrap_or(&("ms", 1));
        Value::String(format!("{}{name}", ms / scale))
    }
}
