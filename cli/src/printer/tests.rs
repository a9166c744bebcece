use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use super::*;

#[derive(Serialize)]
struct Thing {
    id: String,
    count: u32,
    tags: Vec<String>,
    note: Option<String>,
}

impl TableRow for Thing {
    const COLUMNS: &'static [&'static str] = &["ID", "COUNT"];
    fn cells(&self) -> Vec<String> {
        vec![self.id.clone(), self.count.to_string()]
    }
}

fn things() -> Vec<Thing> {
    let thing =
        |id: &str, count| Thing { id: id.into(), count, tags: vec!["a".into(), "b".into()], note: None };
    vec![thing("one", 1), thing("a\x1b[31mlonger", 22)]
}

#[derive(Clone, Default)]
struct SharedBuffer(Arc<Mutex<Vec<u8>>>);

impl Write for SharedBuffer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("is not poisoned").write(bytes)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn printed(output: OutputFormat, print: impl FnOnce(&mut OutputPrinter)) -> String {
    let buffer = SharedBuffer::default();
    print(&mut OutputPrinter::to(output, Box::new(buffer.clone())));
    let bytes = buffer.0.lock().expect("is not poisoned").clone();
    String::from_utf8(bytes).expect("is text")
}

#[test]
fn tables_are_aligned_and_obey_no_control_character() {
    let table = printed(OutputFormat::Table, |printer| printer.list(&things(), "none").expect("prints"));
    assert_eq!(table, "ID                 COUNT\none                1\na\\u{1b}[31mlonger  22\n");
}

#[test]
fn json_and_yaml_hold_the_whole_objects() {
    let json = printed(OutputFormat::Json, |printer| printer.list(&things(), "none").expect("prints"));
    let value: serde_json::Value = serde_json::from_str(&json).expect("is JSON");
    assert_eq!((value[1]["count"].as_u64(), value[0]["tags"][1].as_str()), (Some(22), Some("b")));
    let yaml = printed(OutputFormat::Yaml, |printer| printer.list(&things()[..1], "none").expect("prints"));
    assert!(yaml.starts_with("- id: one\n  count: 1\n"), "{yaml}");
    assert_eq!(
        printed(OutputFormat::Json, |printer| printer.list::<Thing>(&[], "none").expect("prints")),
        "[]\n"
    );
}

#[test]
fn one_object_is_a_line_per_field_with_a_value() {
    let text = printed(OutputFormat::Table, |printer| printer.one(&things()[0]).expect("prints"));
    assert_eq!(text, "id     one\ncount  1\ntags   a, b\n");
}

#[test]
fn spans_have_two_units_at_most() {
    for (ms, text) in [
        (0, "0ms"),
        (800, "800ms"),
        (4200, "4.2s"),
        (200_000, "3m 20s"),
        (3_700_000, "1h 1m"),
        (190_000_000, "2d 4h"),
    ] {
        assert_eq!(span(Duration::from_millis(ms)), text);
    }
}
