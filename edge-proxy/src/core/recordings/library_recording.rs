//! A recording of the library, as an application sees it: the element `recording` of `getRecordings`, in the order of
//! BBB's own answer.

use usher_bbb::reply::xml::XmlDocument;

/// A recording of the library.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LibraryRecording {
    /// The id of the recording.
    pub record_id: String,
    /// The id of the meeting, as the tenant knows it.
    pub meeting_id: String,
    /// The internal id of the meeting.
    pub internal_id: String,
    /// The name.
    pub name: String,
    /// Whether the meeting was a breakout room.
    pub is_breakout: bool,
    /// The state, in the words of BBB.
    pub state: String,
    /// The start of the meeting, milliseconds since 1970.
    pub start_ms: u64,
    /// The end of the meeting, milliseconds since 1970.
    pub end_ms: u64,
    /// The number of users.
    pub participants: u32,
    /// The size of the raw recording, bytes.
    pub raw_size: u64,
    /// The metadata, sorted by key.
    pub metadata: Vec<(String, String)>,
    /// The parent of a breakout room.
    pub breakout: Option<LibraryBreakout>,
    /// The `recordID`s of its own breakout rooms.
    pub breakout_rooms: Vec<String>,
    /// The formats.
    pub formats: Vec<LibraryFormat>,
}

/// The parent of a breakout room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LibraryBreakout {
    /// The internal id of the parent meeting.
    pub parent_id: String,
    /// The number of the room.
    pub sequence: u32,
    /// Whether users chose the room themselves.
    pub free_join: Option<bool>,
}

/// A format of a recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LibraryFormat {
    /// The name, such as `presentation`.
    pub name: String,
    /// The path and query of the address at which it plays.
    pub link: String,
    /// The time that processing took, milliseconds.
    pub processing_ms: u64,
    /// The recorded time, milliseconds.
    pub length_ms: u64,
    /// The size, bytes.
    pub size: u64,
    /// The preview images.
    pub previews: Vec<LibraryPreview>,
}

/// A preview image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LibraryPreview {
    /// The path of its address.
    pub path: String,
    /// The width in pixels.
    pub width: u32,
    /// The height in pixels.
    pub height: u32,
    /// The text for readers who do not see it.
    pub alt: String,
}

impl LibraryRecording {
    /// Returns the element of the recording, which plays below `base`, an address without a final slash.
    pub fn element(&self, base: &str) -> String {
        let flag = |flag: bool| if flag { "true" } else { "false" };
        let size: u64 = self.formats.iter().map(|format| format.size).sum();
        let mut xml = XmlDocument::new();
        xml.element("recording", |xml| {
            xml.leaf("recordID", &self.record_id)
                .leaf("meetingID", &self.meeting_id)
                .leaf("internalMeetingID", &self.internal_id)
                .leaf("name", &self.name)
                .leaf("isBreakout", flag(self.is_breakout))
                .leaf("published", flag(self.state == "published"))
                .leaf("state", &self.state)
                .leaf("startTime", self.start_ms.to_string())
                .leaf("endTime", self.end_ms.to_string())
                .leaf("participants", self.participants.to_string())
                .leaf("rawSize", self.raw_size.to_string())
                .element("metadata", |xml| {
                    for (key, value) in &self.metadata {
                        xml.leaf(key, value);
                    }
                });
            if let Some(breakout) = &self.breakout {
                xml.element("breakout", |xml| {
                    xml.leaf("parentId", &breakout.parent_id).leaf("sequence", breakout.sequence.to_string());
                    if let Some(free_join) = breakout.free_join {
                        xml.leaf("freeJoin", flag(free_join));
                    }
                });
            }
            if !self.breakout_rooms.is_empty() {
                xml.element("breakoutRooms", |xml| {
                    for room in &self.breakout_rooms {
                        xml.leaf("breakoutRoom", room);
                    }
                });
            }
            xml.leaf("size", size.to_string())
                .element("playback", |xml| {
                    for format in &self.formats {
                        xml.element("format", |xml| format.write(xml, base));
                    }
                })
                .element("data", |_| {});
        });
        xml.finish()
    }
}

impl LibraryFormat {
    fn write(&self, xml: &mut XmlDocument, base: &str) {
        xml.leaf("type", &self.name)
            .leaf("url", format!("{base}{}", self.link))
            .leaf("processingTime", self.processing_ms.to_string())
            .leaf("length", (self.length_ms / 60_000).to_string())
            .leaf("size", self.size.to_string());
        if self.previews.is_empty() {
            return;
        }
        xml.element("preview", |xml| {
            xml.element("images", |xml| {
                for image in &self.previews {
                    let (width, height) = (image.width.to_string(), image.height.to_string());
                    let attributes = [("alt", image.alt.as_str()), ("height", &height), ("width", &width)];
                    xml.leaf_with("image", &attributes, format!("{base}{}", image.path));
                }
            });
        });
    }
}

#[cfg(test)]
mod tests {
    use usher_bbb::parse::{ServerReply, recordings};

    use super::*;

    #[test]
    fn r15_the_element_is_read_as_that_of_a_server() {
        let format = LibraryFormat {
            name: "presentation".into(),
            link: "/playback/presentation/2.3/x-1".into(),
            processing_ms: 7177,
            length_ms: 61 * 60_000,
            size: 10,
            previews: vec![LibraryPreview {
                path: "/presentation/x-1/t.png".into(),
                width: 176,
                height: 136,
                alt: "a \"<&".into(),
            }],
        };
        let recording = LibraryRecording {
            record_id: "x-1".into(),
            meeting_id: "room <1>".into(),
            state: "unpublished".into(),
            start_ms: 7,
            metadata: vec![("course".into(), "a & b".into())],
            formats: vec![
                format.clone(),
                LibraryFormat { name: "video".into(), previews: Vec::new(), ..format },
            ],
            ..LibraryRecording::default()
        };
        let element = recording.element("https://play.example.org");
        let body = format!(
            "<response><returncode>SUCCESS</returncode><recordings>{element}</recordings></response>"
        );
        let Ok(ServerReply::Success(list)) = recordings(&body) else { panic!("cannot be read: {body}") };
        let read = &list.recordings.expect("is a list")[0];
        assert_eq!((read.record_id.as_str(), read.meeting_id.as_str()), ("x-1", "room <1>"));
        assert_eq!((read.state.as_str(), read.start_time_ms), ("unpublished", 7));
        assert_eq!(read.metadata, [("course".to_owned(), "a & b".to_owned())]);
        for part in [
            "<published>false</published>",
            "<size>20</size>",
            "<length>61</length>",
            "<url>https://play.example.org/playback/presentation/2.3/x-1</url>",
            "<image alt=\"a &quot;&lt;&amp;\" height=\"136\" width=\"176\">https://play.example.org/presentation/x-1/t.png</image>",
        ] {
            assert!(element.contains(part), "{part} is not in {element}");
        }
        assert_eq!(element.matches("<preview>").count(), 1, "a format without images has no preview");
    }
}
