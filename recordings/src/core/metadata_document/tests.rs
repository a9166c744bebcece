use std::collections::BTreeMap;

use proptest::prelude::*;
use usher_model::id::TenantId;

use super::{DocumentError, read, render};
use crate::core::{
    edits::RecordingEdits,
    facts::FormatFacts,
    names::{FormatName, GenerationId},
    stored::{InitialVisibility, StoredFormat, StoredRecording},
};

const ID: &str = "6fea8cf5c91f71a844862ead37a54d70198c664e-1700000000000";

fn sample(meta: &str) -> String {
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<recording>
  <id>{ID}</id>
  <state>published</state>
  <published>true</published>
  <start_time>1700000000000</start_time>
  <end_time>1700003600000</end_time>
  <participants>3</participants>
  <meeting id="{ID}" externalId="room-42" name="Room &lt;42&gt;" breakout="false"/>
  <meta>
    <meetingId>room-42</meetingId>
    <meetingName>Room &lt;42&gt;</meetingName>
    <isBreakout>false</isBreakout>
    {meta}
  </meta>
  <playback>
    <format>presentation</format>
    <link>
      https://bbb1.example.org/playback/presentation/2.3/{ID}
    </link>
    <processing_time>7177</processing_time>
    <duration>3540000</duration>
    <size>524288</size>
    <extensions><preview><images>
      <image width="176" height="136" alt="Welcome">https://bbb1.example.org/presentation/{ID}/t.png</image>
    </images></preview></extensions>
  </playback>
  <raw_size>1048576</raw_size>
</recording>"#
    )
}

#[test]
fn a_document_of_the_present_form_is_read() {
    let read = read(sample("<course>a &amp; b</course>").as_bytes()).expect("is one");
    let (facts, meeting) = (&read.facts, read.facts.meeting.as_ref().expect("is there"));
    assert_eq!((facts.record_id.as_str(), facts.published, facts.participants), (ID, true, Some(3)));
    assert_eq!((meeting.external_id.as_str(), meeting.name.as_str()), ("room-42", "Room <42>"));
    assert_eq!(facts.meta["course"], "a & b");
    assert_eq!(facts.playback.link, format!("/playback/presentation/2.3/{ID}"));
    assert_eq!(facts.playback.previews[0].path, format!("/presentation/{ID}/t.png"));
    assert_eq!((facts.playback.size, facts.raw_size), (Some(524_288), Some(1_048_576)));
    assert_eq!(read.tenant, TenantId::default_tenant());
}

#[test]
fn an_old_video_document_without_a_meeting_is_read() {
    let text = format!(
        "<recording><id>{ID}</id><state>available</state><published>true</published><start_time>1</start_time>\
         <end_time>2</end_time><playback><format>video</format><link>http://a/playback/video/{ID}/</link>\
         <processing_time/><duration>5</duration><extensions><preview><images/></preview></extensions></playback>\
         <meta><meetingId>m</meetingId><name>N</name></meta></recording>"
    );
    let facts = read(text.as_bytes()).expect("is one").facts;
    assert!(facts.published && facts.meeting.is_none() && facts.participants.is_none());
    assert_eq!((facts.playback.size, facts.playback.previews.len()), (None, 0));
    assert_eq!(facts.meta["name"], "N");
}

#[test]
fn r8_marks_and_addresses_are_no_part_of_the_facts() {
    let marks = "<usher-tenant>school</usher-tenant><Usher-Id>x</Usher-Id><usher-library>l</usher-library>\
                 <bbb-recording-ready-url>https://app/cb?secret=1</bbb-recording-ready-url>\
                 <endCallbackUrl>https://app/end</endCallbackUrl>";
    let text = sample(marks).replace("room-42", "school:room-42");
    let read = read(text.as_bytes()).expect("is one");
    assert_eq!(read.tenant.as_str(), "school");
    let keys: Vec<_> = read.facts.meta.keys().map(String::as_str).collect();
    assert_eq!(keys, ["isBreakout", "meetingId", "meetingName"]);
    let scope = usher_model::scope::TenantScope::of(&read.tenant);
    let text = sample(marks).replace("room-42", &scope.scoped("room-42").to_string());
    let own = super::read(text.as_bytes()).expect("is one").facts;
    assert_eq!(own.meeting.expect("is there").external_id, "room-42");
    assert_eq!(own.meta["meetingId"], "room-42");
}

#[test]
fn keys_that_are_no_names_and_hosts_without_a_scheme_are_dropped() {
    let text = sample("<course>A</course><ü>x</ü><a:b>y</a:b>")
        .replace("https://bbb1.example.org/pl", "//bbb1.example.org/pl");
    let facts = read(text.as_bytes()).expect("is one").facts;
    assert!(
        !facts.meta.contains_key("ü") && !facts.meta.contains_key("a:b") && facts.meta.contains_key("course")
    );
    assert_eq!(facts.playback.link, format!("/playback/presentation/2.3/{ID}"));
}

/// The work of a long name in front of many elements was their product: 100 GB were copied for 1 MiB.
#[test]
fn a_long_name_costs_the_elements_below_it_nothing() {
    let name = "n".repeat(400_000);
    let text = format!("<recording><{name}>{}</{name}></recording>", "<a/>".repeat(50_000));
    assert_eq!(read(text.as_bytes()), Err(DocumentError::Element("id")));
}

#[test]
fn foreign_bytes_are_refused_with_a_reason() {
    let refused = |text: &str| read(text.as_bytes()).expect_err("is refused");
    assert_eq!(refused(""), DocumentError::Element("id"));
    assert_eq!(refused("<a"), DocumentError::Malformed);
    assert_eq!(refused("<other/>"), DocumentError::Malformed);
    assert_eq!(refused(&sample("").repeat(2)), DocumentError::Malformed);
    assert_eq!(refused("<recording><id>"), DocumentError::Malformed);
    assert_eq!(refused(&sample("<a>&evil;</a>")), DocumentError::Malformed);
    assert_eq!(refused("<!DOCTYPE x [<!ENTITY a \"b\">]><recording/>"), DocumentError::Malformed);
    assert_eq!(refused(&"<a>".repeat(100)), DocumentError::Malformed);
    assert_eq!(refused(&sample(&"<a>1</a>".repeat(2_000))), DocumentError::TooLarge);
    assert_eq!(refused(&" ".repeat(2 << 20)), DocumentError::TooLarge);
    assert_eq!(
        refused(&sample("").replace("<end_time>1", "<end_time>x")),
        DocumentError::Element("end_time")
    );
    assert!(matches!(refused(&sample("").replace(ID, "../../etc")), DocumentError::Name(_)));
}

fn stored(facts: FormatFacts) -> StoredRecording {
    let format = facts.playback.format.clone();
    let generation = GenerationId::parse(&"0".repeat(32)).expect("is one");
    StoredRecording {
        id: facts.record_id.clone(),
        tenant: TenantId::default_tenant(),
        initial: InitialVisibility { published: facts.published, protected: false },
        edits: RecordingEdits::default(),
        formats: BTreeMap::from([(format, StoredFormat { facts, generation, files: 1, bytes: 1 })]),
        held: false,
        deleted_ms: None,
        server: None,
    }
}

proptest! {
    #[test]
    fn a_written_document_reads_back(name in "[a-zA-Z<>&\"' ü]{1,20}", value in ".{0,20}", alt in "[^\\x00-\\x1f\\ufffe\\uffff]{0,10}") {
        let mut facts = read(sample("").as_bytes()).expect("is one").facts;
        let name = name.trim().to_owned();
        prop_assume!(!name.is_empty());
        facts.meta.insert("course".into(), value.chars().filter(|c| !c.is_control() && !matches!(c, '\u{fffe}' | '\u{ffff}')).collect());
        facts.meta.insert("meetingName".into(), name.clone());
        facts.meeting.as_mut().expect("is there").name = name;
        facts.playback.previews[0].alt = alt.chars().filter(|c| !c.is_control()).collect();
        let text = render(&stored(facts.clone()).shown(), &facts.playback.format);
        prop_assert_eq!(read(text.as_bytes()).expect("is one").facts, facts);
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), at in 0_usize..1000, with in any::<u8>()) {
        drop(read(&bytes));
        let mut changed = sample("").into_bytes();
        let at = at % changed.len();
        changed[at] = with;
        drop(read(&changed));
    }
}

#[test]
fn r5_a_player_reads_the_edited_name() {
    let mut recording = stored(read(sample("").as_bytes()).expect("is one").facts);
    recording.edits.meta.insert("name".into(), Some("A better name".into()));
    let format = FormatName::parse("presentation").expect("is one");
    let text = render(&recording.shown(), &format);
    assert!(text.contains("<meetingName>A better name</meetingName>"), "{text}");
}
