//! The list of cells: in a file an array of tables, `[[edge.cells]]`; in the environment a JSON array of objects.
//!
//! Here only the form is read, and every fault of the form is reported at once. The rules for names and
//! addresses are in `check`.

use toml::{Table, Value};

use usher_bbb::secret::Secret;
use usher_model::settings::CellSettings;

use super::{MASK, RawValue, ScalarKind, SettingKind, ValueProblem};

const REMEDY: &str =
    "write each cell as name = \"north\", control_plane = [\"http://HOST:9090\"], token = \"…\"";

impl SettingKind for Vec<CellSettings> {
    fn read(raw: &RawValue<'_>) -> Result<Self, ValueProblem> {
        let form = || ValueProblem::new("is not a list of cells", REMEDY);
        let tables: Vec<Table> = match raw {
            RawValue::Text(text) if text.trim().is_empty() => Vec::new(),
            RawValue::Text(text) => serde_json::from_str(text).map_err(|_| {
                ValueProblem::new(
                    "is not a JSON array of objects",
                    "write it as [{\"name\": \"north\", \"control_plane\": [\"http://HOST:9090\"]}]",
                )
            })?,
            RawValue::Toml(Value::Array(items)) => {
                let tables = items.iter().map(|item| item.as_table().cloned());
                tables.collect::<Option<_>>().ok_or_else(form)?
            }
            RawValue::Toml(_) | RawValue::Many(_) => return Err(form()),
        };
        let mut problems = Vec::new();
        let cells =
            tables.iter().zip(1..).map(|(table, number)| cell(table, number, &mut problems)).collect();
        if problems.is_empty() { Ok(cells) } else { Err(ValueProblem::new(problems.join(", "), REMEDY)) }
    }

    fn show(&self) -> Option<Value> {
        (!self.is_empty()).then(|| Value::Array(self.iter().map(shown).collect()))
    }
}

/// Reads one cell, and adds the faults of its form to `problems`.
fn cell(table: &Table, number: usize, problems: &mut Vec<String>) -> CellSettings {
    let mut cell = CellSettings::default();
    for (key, value) in table {
        let raw = RawValue::Toml(value);
        let read = match key.as_str() {
            "name" => String::read(&raw).map(|name| cell.name = name),
            "control_plane" => Vec::read(&raw).map(|addresses| cell.control_plane = addresses),
            "token" => Secret::read(&raw).map(|token| cell.token = Some(token)),
            unknown => {
                // A name in a file may have any length; the text quotes only its beginning.
                let shown: String = unknown.chars().take(40).collect();
                problems.push(format!("has the unknown key `{shown}` in cell {number}"));
                continue;
            }
        };
        if let Err(problem) = read {
            problems.push(format!("has a {key} in cell {number} that {}", problem.what));
        }
    }
    cell
}

fn shown(cell: &CellSettings) -> Value {
    let mut table = Table::new();
    table.insert("name".into(), ScalarKind::show(&cell.name));
    if let Some(addresses) = SettingKind::show(&cell.control_plane) {
        table.insert("control_plane".into(), addresses);
    }
    if cell.token.is_some() {
        table.insert("token".into(), Value::String(MASK.into()));
    }
    Value::Table(table)
}
