//! Writes a document, in the order of bbb-web, with paths in place of addresses.

use std::fmt::Write as _;

use usher_bbb::reply::xml::push_escaped;

use crate::core::{names::FormatName, shown::ShownRecording};

/// Returns the document of one format of a recording, as players read it; empty if the recording has no such format.
pub fn render(recording: &ShownRecording, format: &FormatName) -> String {
    let Some(stored) = recording.formats.get(format) else { return String::new() };
    let playback = &stored.facts.playback;
    let mut xml = DocumentText(String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<recording>\n"));
    xml.leaf("id", recording.id.as_str());
    xml.leaf("state", recording.state.as_str());
    xml.leaf("published", if recording.state.as_str() == "published" { "true" } else { "false" });
    xml.leaf("start_time", &recording.start_ms.to_string());
    xml.leaf("end_time", &recording.end_ms.to_string());
    xml.leaf("participants", &recording.participants.to_string());
    xml.empty(
        "meeting",
        &[
            ("id", &recording.internal_id),
            ("externalId", &recording.meeting_id),
            ("name", &recording.name),
            ("breakout", if recording.is_breakout { "true" } else { "false" }),
        ],
    );
    xml.0.push_str("<meta>\n");
    for (key, value) in &recording.meta {
        // The player shows this one.
        let value = if key == "meetingName" { &recording.name } else { value };
        xml.leaf(key, value);
    }
    xml.0.push_str("</meta>\n");
    if let Some(breakout) = &recording.breakout {
        let sequence = breakout.sequence.to_string();
        let mut attributes = vec![("parentMeetingId", breakout.parent_id.as_str()), ("sequence", &sequence)];
        if let Some(free_join) = breakout.free_join {
            attributes.push(("freeJoin", if free_join { "true" } else { "false" }));
        }
        xml.empty("breakout", &attributes);
    }
    if !recording.breakout_rooms.is_empty() {
        xml.0.push_str("<breakoutRooms>\n");
        recording.breakout_rooms.iter().for_each(|room| xml.leaf("breakoutRoom", room));
        xml.0.push_str("</breakoutRooms>\n");
    }
    xml.0.push_str("<playback>\n");
    xml.leaf("format", playback.format.as_str());
    xml.leaf("link", &playback.link);
    xml.leaf("processing_time", &playback.processing_ms.to_string());
    xml.leaf("duration", &playback.length_ms.to_string());
    xml.leaf("size", &playback.size.unwrap_or(stored.bytes).to_string());
    xml.0.push_str("<extensions>\n<preview>\n<images>\n");
    for image in &playback.previews {
        let (width, height) = (image.width.to_string(), image.height.to_string());
        xml.with("image", &[("width", &width), ("height", &height), ("alt", &image.alt)], &image.path);
    }
    xml.0.push_str("</images>\n</preview>\n</extensions>\n</playback>\n");
    xml.leaf("raw_size", &recording.raw_size.to_string());
    xml.0.push_str("</recording>\n");
    xml.0
}

/// The text of a document.
struct DocumentText(String);

impl DocumentText {
    fn leaf(&mut self, name: &str, text: &str) {
        self.with(name, &[], text);
    }

    fn with(&mut self, name: &str, attributes: &[(&str, &str)], text: &str) {
        self.open(name, attributes);
        self.0.push('>');
        push_escaped(&mut self.0, text);
        let _ = writeln!(self.0, "</{name}>");
    }

    fn empty(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.open(name, attributes);
        self.0.push_str("/>\n");
    }

    fn open(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.0.push('<');
        self.0.push_str(name);
        for (attribute, value) in attributes {
            let _ = write!(self.0, " {attribute}=\"");
            push_escaped(&mut self.0, value);
            self.0.push('"');
        }
    }
}
