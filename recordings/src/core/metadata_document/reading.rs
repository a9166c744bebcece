//! Reads a document. Its bytes are foreign: sizes are bounded, and no entity but the five of XML is known.

use std::collections::BTreeMap;

use quick_xml::{
    Reader, XmlVersion,
    events::{BytesStart, Event},
};
use usher_bbb::query::decode;
use usher_model::{
    id::{InternalMeetingId, TenantId},
    scope::{TenantScope, is_altered},
};

use super::MetadataDocument;
use crate::core::{
    facts::{BreakoutFacts, FormatFacts, MeetingFacts, PlaybackFacts, PreviewImage},
    metadata_keys::is_own,
    names::{FormatName, RecordId, RecordingNameError},
};

/// The largest document, bytes.
const DOCUMENT_MAX: usize = 1 << 20;
/// The most entries of metadata, breakout rooms and preview images.
const ENTRIES_MAX: usize = 1_000;
/// The most elements that may be in each other.
const DEPTH_MAX: usize = 16;
/// The elements whose texts are read, below the root.
const TEXTS: [&str; 13] = [
    "id",
    "state",
    "published",
    "start_time",
    "end_time",
    "participants",
    "raw_size",
    "playback/format",
    "playback/link",
    "playback/processing_time",
    "playback/duration",
    "playback/size",
    "playback",
];

/// The reason why a document cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// It is larger than any genuine one.
    #[error("metadata.xml is larger than 1 MiB, or has too many entries")]
    TooLarge,
    /// It is no XML of a recording.
    #[error("metadata.xml is no XML of a recording")]
    Malformed,
    /// An element is missing or has no valid value.
    #[error("metadata.xml has no valid `{0}`")]
    Element(&'static str),
    /// A name is not valid.
    #[error("metadata.xml: {0}")]
    Name(#[from] RecordingNameError),
}

/// The texts and attributes of the elements, by their path.
#[derive(Debug, Default)]
struct Elements {
    texts: BTreeMap<String, String>,
    meta: Vec<(String, String)>,
    rooms: Vec<String>,
    images: Vec<(BTreeMap<String, String>, String)>,
    attributes: BTreeMap<String, BTreeMap<String, String>>,
}

/// The path of the present element below the root, with `/` between the names. It is kept as one text, so that its
/// length costs no element anything.
#[derive(Debug, Default)]
struct ElementPath {
    text: String,
    /// The length of the text at each element, from the root, which is not in it.
    lengths: Vec<usize>,
}

impl ElementPath {
    fn enter(&mut self, name: &str) -> Result<(), DocumentError> {
        match self.lengths.last() {
            None if name != "recording" => return Err(DocumentError::Malformed),
            None => {}
            Some(0) => self.text.push_str(name),
            Some(_) => {
                self.text.push('/');
                self.text.push_str(name);
            }
        }
        self.lengths.push(self.text.len());
        if self.lengths.len() > DEPTH_MAX { Err(DocumentError::Malformed) } else { Ok(()) }
    }

    fn leave(&mut self) {
        self.lengths.pop();
        self.text.truncate(self.lengths.last().copied().unwrap_or(0));
    }
}

/// Reads the document of one format.
///
/// # Errors
/// The bytes are no document of a recording.
pub fn read(bytes: &[u8]) -> Result<MetadataDocument, DocumentError> {
    if bytes.len() > DOCUMENT_MAX {
        return Err(DocumentError::TooLarge);
    }
    let text = std::str::from_utf8(bytes).map_err(|_| DocumentError::Malformed)?;
    document(&elements(text)?)
}

fn elements(text: &str) -> Result<Elements, DocumentError> {
    let (mut reader, mut found, mut path) =
        (Reader::from_str(text), Elements::default(), ElementPath::default());
    let mut has_root = false;
    let mut content = vec![String::new()];
    loop {
        match reader.read_event().map_err(|_| DocumentError::Malformed)? {
            Event::Start(_) | Event::Empty(_) if path.lengths.is_empty() && has_root => {
                return Err(DocumentError::Malformed);
            }
            Event::Start(start) => {
                has_root = true;
                open(&start, &mut path, &mut found)?;
                content.push(String::new());
            }
            Event::Empty(start) => {
                open(&start, &mut path, &mut found)?;
                close(&mut path, String::new(), &mut found)?;
            }
            Event::Text(part) => {
                content.last_mut().ok_or(DocumentError::Malformed)?.push_str(&part.xml10_content());
            }
            Event::CData(part) => {
                content.last_mut().ok_or(DocumentError::Malformed)?.push_str(&part.xml10_content());
            }
            Event::GeneralRef(reference) => {
                let part = resolved(&reference).ok_or(DocumentError::Malformed)?;
                content.last_mut().ok_or(DocumentError::Malformed)?.push(part);
            }
            Event::End(_) => {
                let text = content.pop().ok_or(DocumentError::Malformed)?;
                close(&mut path, text, &mut found)?;
            }
            Event::DocType(_) => return Err(DocumentError::Malformed),
            Event::Eof => break,
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
        }
    }
    if path.lengths.is_empty() { Ok(found) } else { Err(DocumentError::Malformed) }
}

/// Returns the character of a reference: one of the five of XML, or a number.
fn resolved(reference: &quick_xml::events::BytesRef<'_>) -> Option<char> {
    if let Some(character) = reference.resolve_char_ref().ok()? {
        return Some(character);
    }
    match reference.xml10_content().as_ref() {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => None,
    }
}

fn open(start: &BytesStart<'_>, path: &mut ElementPath, found: &mut Elements) -> Result<(), DocumentError> {
    path.enter(start.name().into_inner())?;
    match path.text.as_str() {
        "playback/extensions/preview/images/image" => {
            found.images.push((attributes(start)?, String::new()));
        }
        at @ ("meeting" | "breakout") => drop(found.attributes.insert(at.to_owned(), attributes(start)?)),
        _ => {}
    }
    Ok(())
}

fn attributes(start: &BytesStart<'_>) -> Result<BTreeMap<String, String>, DocumentError> {
    let read = start.attributes().map(|attribute| {
        let attribute = attribute.map_err(|_| DocumentError::Malformed)?;
        let value =
            attribute.normalized_value(XmlVersion::Implicit1_0).map_err(|_| DocumentError::Malformed)?;
        Ok((attribute.key.into_inner().to_owned(), value.into_owned()))
    });
    read.collect()
}

fn close(path: &mut ElementPath, text: String, found: &mut Elements) -> Result<(), DocumentError> {
    match path.text.as_str() {
        "breakoutRooms/breakoutRoom" => found.rooms.push(text.trim().to_owned()),
        "playback/extensions/preview/images/image" => {
            if let Some(image) = found.images.last_mut() {
                text.trim().clone_into(&mut image.1);
            }
        }
        at => match at.strip_prefix("meta/") {
            Some(key) if !key.contains('/') => found.meta.push((key.to_owned(), text)),
            _ if TEXTS.contains(&at) => {
                found.texts.entry(at.to_owned()).or_insert(text);
            }
            _ => {}
        },
    }
    path.leave();
    let counts = [found.meta.len(), found.rooms.len(), found.images.len()];
    if counts.into_iter().any(|count| count > ENTRIES_MAX) { Err(DocumentError::TooLarge) } else { Ok(()) }
}

fn document(found: &Elements) -> Result<MetadataDocument, DocumentError> {
    let text = |at: &str| found.texts.get(at).map(|text| text.trim()).filter(|text| !text.is_empty());
    let number = |at: &'static str| text(at).and_then(|text| text.parse::<u64>().ok());
    let required = |at: &'static str| number(at).ok_or(DocumentError::Element(at));
    let record_id = RecordId::parse(text("id").ok_or(DocumentError::Element("id"))?)?;
    let mark = |name: &str| {
        found.meta.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    };
    let tenant = match mark("usher-tenant") {
        Some(tenant) => TenantId::parse(tenant).map_err(|_| DocumentError::Element("meta/usher-tenant"))?,
        None => TenantId::default_tenant(),
    };
    let owner =
        MeetingOwner { scope: TenantScope::of(&tenant), record_id: &record_id, exact: mark("usher-id") };
    let published = match text("state") {
        Some(state) => matches!(state, "published" | "available"),
        None => text("published") == Some("true"),
    };
    let format =
        FormatName::parse(text("playback/format").ok_or(DocumentError::Element("playback/format"))?)?;
    let facts = FormatFacts {
        published,
        start_ms: required("start_time")?,
        end_ms: required("end_time")?,
        participants: number("participants").and_then(|count| u32::try_from(count).ok()),
        meeting: found.attributes.get("meeting").map(|attributes| owner.meeting(attributes)),
        meta: owner.metadata(&found.meta),
        breakout: found.attributes.get("breakout").and_then(breakout),
        breakout_rooms: found.rooms.iter().filter(|room| !room.is_empty()).cloned().collect(),
        raw_size: number("raw_size"),
        playback: PlaybackFacts {
            format,
            link: without_host(text("playback/link").ok_or(DocumentError::Element("playback/link"))?),
            processing_ms: number("playback/processing_time").unwrap_or(0),
            length_ms: number("playback/duration").unwrap_or(0),
            size: number("playback/size"),
            previews: found.images.iter().filter_map(preview).collect(),
        },
        record_id: record_id.clone(),
    };
    Ok(MetadataDocument { facts, tenant })
}

/// The owner of a meeting, who knows it by another id than its server.
struct MeetingOwner<'d> {
    scope: TenantScope,
    record_id: &'d RecordId,
    /// The exact id in the mark of Usher, encoded.
    exact: Option<&'d str>,
}

impl MeetingOwner<'_> {
    /// Returns the id of the meeting as its owner knows it. White space that the server squeezed is that of the mark, if
    /// the `recordID`, which is an internal id, confirms it.
    fn own_id(&self, on_server: &str) -> String {
        if let (Some(exact), Ok(instance)) = (self.exact, InternalMeetingId::parse(self.record_id.as_str()))
            && is_altered(on_server, self.record_id.as_str())
        {
            let exact = decode(exact);
            if self.scope.is_instance(&exact, &instance) {
                return exact.into_owned();
            }
        }
        self.scope.original(on_server).unwrap_or(on_server).to_owned()
    }

    fn meeting(&self, attributes: &BTreeMap<String, String>) -> MeetingFacts {
        let text = |name: &str| attributes.get(name).cloned().unwrap_or_default();
        MeetingFacts {
            internal_id: text("id"),
            external_id: self.own_id(&text("externalId")),
            name: text("name"),
            is_breakout: text("breakout").eq_ignore_ascii_case("true"),
        }
    }

    /// Returns the metadata of the application, without marks of Usher and addresses of applications.
    fn metadata(&self, given: &[(String, String)]) -> BTreeMap<String, String> {
        let own = given.iter().filter(|(key, _)| is_own(key));
        own.map(|(key, value)| {
            let value = if key == "meetingId" { self.own_id(value) } else { value.clone() };
            (key.clone(), value)
        })
        .collect()
    }
}

fn breakout(attributes: &BTreeMap<String, String>) -> Option<BreakoutFacts> {
    Some(BreakoutFacts {
        parent_id: attributes.get("parentMeetingId")?.clone(),
        sequence: attributes.get("sequence").and_then(|sequence| sequence.trim().parse().ok()).unwrap_or(0),
        free_join: attributes.get("freeJoin").map(|free| free.eq_ignore_ascii_case("true")),
    })
}

fn preview((attributes, address): &(BTreeMap<String, String>, String)) -> Option<PreviewImage> {
    let number = |name: &str| attributes.get(name).and_then(|text| text.trim().parse().ok()).unwrap_or(0);
    let image = PreviewImage {
        path: without_host(address),
        width: number("width"),
        height: number("height"),
        alt: attributes.get("alt").cloned().unwrap_or_default(),
    };
    (!address.is_empty()).then_some(image)
}

/// Returns the path and query of an address.
fn without_host(address: &str) -> String {
    let below = address.split_once("://").map(|(_, rest)| rest).or_else(|| address.strip_prefix("//"));
    let path = match below {
        Some(rest) => rest.find('/').map_or("", |at| &rest[at..]),
        None => address,
    };
    // A path that begins with two slashes would name a host again.
    let path = if path.starts_with("//") { path.trim_start_matches('/') } else { path };
    if path.starts_with('/') { path.to_owned() } else { format!("/{path}") }
}
