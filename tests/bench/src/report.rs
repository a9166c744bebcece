//! The results of a run, for readers and for programs.

use comfy_table::{CellAlignment, Table, presets::ASCII_MARKDOWN};
use serde::Serialize;

use crate::measurement::SliceMedians;

/// All results of a run.
#[derive(Debug, Default, Serialize)]
pub(crate) struct BenchReport {
    pub(crate) rows: Vec<ReportRow>,
}

/// One row: a figure, and its comparison with its goals.
#[derive(Debug, Serialize)]
pub(crate) struct ReportRow {
    pub(crate) measurement: String,
    pub(crate) value: f64,
    pub(crate) unit: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) p50_micros: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) p99_micros: Option<f64>,
    /// The processor time of the server for each operation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cpu_micros: Option<f64>,
    pub(crate) goals: Vec<RowGoal>,
}

/// A figure that must reach a bound.
#[derive(Debug, Serialize)]
pub(crate) struct RowGoal {
    pub(crate) name: &'static str,
    pub(crate) value: f64,
    pub(crate) bound: GoalBound,
    pub(crate) reached: bool,
}

#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum GoalBound {
    AtLeast(f64),
    AtMost(f64),
}

impl RowGoal {
    pub(crate) fn new(name: &'static str, value: f64, bound: GoalBound) -> Self {
        let reached = match bound {
            GoalBound::AtLeast(least) => value >= least,
            GoalBound::AtMost(most) => value <= most,
        };
        Self { name, value, bound, reached }
    }

    fn show(&self) -> String {
        let (sign, bound) = match self.bound {
            GoalBound::AtLeast(least) => ('≥', least),
            GoalBound::AtMost(most) => ('≤', most),
        };
        let verdict = if self.reached { "reached" } else { "missed" };
        format!("{} {} ({sign} {}: {verdict})", self.name, number(self.value), number(bound))
    }
}

impl ReportRow {
    /// Returns a row with one figure.
    pub(crate) fn figure(measurement: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self {
            measurement: measurement.into(),
            value,
            unit,
            p50_micros: None,
            p99_micros: None,
            cpu_micros: None,
            goals: Vec::new(),
        }
    }

    /// Returns a row for a rate.
    pub(crate) fn rate(measurement: impl Into<String>, seen: SliceMedians) -> Self {
        Self {
            p50_micros: Some(seen.p50_micros),
            p99_micros: Some(seen.p99_micros),
            cpu_micros: seen.cpu_micros,
            ..Self::figure(measurement, seen.rate, "/s")
        }
    }

    #[must_use]
    pub(crate) fn with_goal(mut self, name: &'static str, value: f64, bound: GoalBound) -> Self {
        self.goals.push(RowGoal::new(name, value, bound));
        self
    }
}

impl BenchReport {
    /// Returns the report as a Markdown table.
    pub(crate) fn table(&self) -> String {
        let mut table = Table::new();
        table.load_style(ASCII_MARKDOWN);
        table.set_header(["measurement", "result", "p50", "p99", "server CPU each", "requirement"]);
        for row in &self.rows {
            let goals: Vec<String> = row.goals.iter().map(RowGoal::show).collect();
            table.add_row([
                row.measurement.clone(),
                format!("{}{}", number(row.value), row.unit),
                time(row.p50_micros),
                time(row.p99_micros),
                time(row.cpu_micros),
                goals.join("; "),
            ]);
        }
        for column in table.column_iter_mut().skip(1).take(4) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        table.to_string()
    }

    /// Returns the report as JSON.
    pub(crate) fn json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self)
    }
}

fn time(micros: Option<f64>) -> String {
    match micros {
        None => String::new(),
        Some(micros) if micros < 100.0 => format!("{micros:.1} µs"),
        Some(micros) => format!("{:.2} ms", micros / 1000.0),
    }
}

fn number(value: f64) -> String {
    if value.abs() < 100.0 {
        return format!("{value:.2}");
    }
    let digits = format!("{value:.0}");
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().filter_map(|group| std::str::from_utf8(group).ok()).collect();
    groups.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_shows_every_row_and_whether_its_goals_are_reached() {
        let report = BenchReport {
            rows: vec![
                ReportRow::figure("one", 1_234_567.0, "/s").with_goal("ratio", 0.9, GoalBound::AtLeast(0.85)),
                ReportRow::figure("two", 0.5, " B").with_goal("ratio", 3.0, GoalBound::AtMost(2.0)),
            ],
        };
        let table = report.table();
        assert!(table.contains("1,234,567/s") && table.contains("ratio 0.90 (≥ 0.85: reached)"), "{table}");
        assert!(table.contains("0.50 B") && table.contains("ratio 3.00 (≤ 2.00: missed)"), "{table}");
        assert_eq!(table.lines().count(), 4);
    }

    #[test]
    fn programs_read_the_same_figures() {
        let report = BenchReport {
            rows: vec![ReportRow::figure("one", 2.0, "/s").with_goal("a", 1.0, GoalBound::AtMost(1.0))],
        };
        let read: serde_json::Value = serde_json::from_str(&report.json().unwrap()).unwrap();
        assert_eq!(read["rows"][0]["value"], 2.0);
        assert_eq!(read["rows"][0]["goals"][0]["bound"]["at_most"], 1.0);
    }
}
