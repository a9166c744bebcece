//! All output of all commands: data on standard output in the requested format, notes for operators on
//! standard error.

mod text;

use std::io::Write;

use comfy_table::{ContentArrangement, Table, presets::NOTHING};
use serde::Serialize;

pub use text::{ago, clean, span};

use crate::{args::OutputFormat, exit::CommandFailure};

/// A row of a table, and an object in JSON and YAML.
pub trait TableRow: Serialize {
    /// The titles of the columns.
    const COLUMNS: &'static [&'static str];
    /// Returns one text for each column.
    fn cells(&self) -> Vec<String>;
}

/// Writes the output of a command in one format.
pub struct OutputPrinter {
    output: OutputFormat,
    out: Box<dyn Write + Send>,
}

impl OutputPrinter {
    /// Returns a printer that writes to standard output.
    pub fn new(output: OutputFormat) -> Self {
        Self::to(output, Box::new(std::io::stdout()))
    }

    /// Returns a printer that writes to `out`.
    pub fn to(output: OutputFormat, out: Box<dyn Write + Send>) -> Self {
        Self { output, out }
    }

    /// Writes a list. In the table format, an empty list becomes the note `none`.
    pub fn list<R: TableRow>(&mut self, rows: &[R], none: &str) -> Result<(), CommandFailure> {
        match self.output {
            OutputFormat::Table if rows.is_empty() => self.note(none),
            OutputFormat::Table => {
                let table = table(rows);
                self.text(&table)?;
            }
            OutputFormat::Json | OutputFormat::Yaml => self.value(&rows)?,
        }
        Ok(())
    }

    /// Writes one object. The table format has a line for each field with a value.
    pub fn one(&mut self, object: &impl Serialize) -> Result<(), CommandFailure> {
        match self.output {
            OutputFormat::Table => {
                let lines = fields(object)?;
                self.text(&lines)
            }
            OutputFormat::Json | OutputFormat::Yaml => self.value(object),
        }
    }

    /// Writes an object. The table format has the result of `text` instead.
    pub fn report(
        &mut self,
        object: &impl Serialize,
        text: impl FnOnce() -> String,
    ) -> Result<(), CommandFailure> {
        match self.output {
            OutputFormat::Table => self.text(&text()),
            OutputFormat::Json | OutputFormat::Yaml => self.value(object),
        }
    }

    /// Writes one object of a stream. The table format has the row of the object with `word` before
    /// it, JSON has an object in one line, YAML a document.
    pub fn event<R: TableRow>(&mut self, word: &str, row: &R) -> Result<(), CommandFailure> {
        let text = match self.output {
            OutputFormat::Table => {
                let cells: Vec<String> = row.cells().iter().map(|cell| clean(cell)).collect();
                format!("{word:8} {}", cells.join("  "))
            }
            OutputFormat::Json => serde_json::to_string(&StreamEvent { change: word, entry: row })
                .map_err(anyhow::Error::from)?,
            OutputFormat::Yaml => {
                let event = StreamEvent { change: word, entry: row };
                format!("---\n{}", serde_saphyr::to_string(&event).map_err(anyhow::Error::from)?)
            }
        };
        self.text(&text)
    }

    /// Writes data that is text already, with a line end.
    pub fn text(&mut self, text: &str) -> Result<(), CommandFailure> {
        let end = if text.ends_with('\n') { "" } else { "\n" };
        write!(self.out, "{text}{end}")?;
        Ok(self.out.flush()?)
    }

    /// Writes a note for the operator to standard error.
    pub fn note(&self, text: &str) {
        eprintln!("{text}");
    }

    fn value(&mut self, object: &impl Serialize) -> Result<(), CommandFailure> {
        let text = match self.output {
            OutputFormat::Yaml => serde_saphyr::to_string(object).map_err(anyhow::Error::from)?,
            OutputFormat::Table | OutputFormat::Json => {
                serde_json::to_string_pretty(object).map_err(anyhow::Error::from)?
            }
        };
        self.text(&text)
    }
}

/// An object of a stream.
#[derive(Serialize)]
struct StreamEvent<'r, R> {
    change: &'r str,
    entry: &'r R,
}

/// Returns rows as a table without borders, as wide as its content, so that programs can split it.
pub fn table<R: TableRow>(rows: &[R]) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Disabled).set_header(R::COLUMNS);
    for row in rows {
        table.add_row(row.cells().iter().map(|cell| clean(cell)));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

/// Returns a line `name  value` for each field that is set.
fn fields(object: &impl Serialize) -> Result<String, CommandFailure> {
    let value = serde_json::to_value(object).map_err(anyhow::Error::from)?;
    let fields: Vec<(String, String)> = value
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.replace('_', " "), scalar(value)))
        .filter(|(_, value)| !value.is_empty())
        .collect();
    let width = fields.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    let lines: Vec<String> = fields.iter().map(|(name, value)| format!("{name:width$}  {value}")).collect();
    Ok(lines.join("\n"))
}

fn scalar(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::Null => String::new(),
        serde_json::Value::String(text) => clean(text),
        serde_json::Value::Array(items) => items.iter().map(scalar).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests;
