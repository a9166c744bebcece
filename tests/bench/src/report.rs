//! The table that is printed.

use std::fmt;

use crate::load::Seen;

/// What was measured, line by line.
#[derive(Debug, Default)]
pub(crate) struct Report {
    lines: Vec<[String; 5]>,
}

impl Report {
    /// Adds a line for what was measured by load.
    pub(crate) fn load(&mut self, what: &str, seen: &Seen, beside: Option<&Seen>) {
        let quantile = |at| format!("{:.2} ms", seen.micros.value_at_quantile(at) as f64 / 1000.0);
        let ratio = beside.map(|beside| format!("{:.2}", seen.rate / beside.rate));
        let p99 = beside.map(|beside| {
            let times =
                seen.micros.value_at_quantile(0.99) as f64 / beside.micros.value_at_quantile(0.99) as f64;
            format!(" ({times:.1}×)")
        });
        self.lines.push([
            what.to_owned(),
            format!("{:.0}/s", seen.rate),
            quantile(0.5),
            quantile(0.99) + &p99.unwrap_or_default(),
            ratio.unwrap_or_else(|| "1".to_owned()),
        ]);
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| what | rate | p50 | p99 | ratio |\n|---|---|---|---|---|")?;
        for line in &self.lines {
            writeln!(f, "| {} |", line.join(" | "))?;
        }
        Ok(())
    }
}
