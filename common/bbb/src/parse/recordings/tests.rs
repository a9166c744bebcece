use super::*;

/// The answer of a server with one line for each recording (wire-contract 3).
const LIST: &str = "<response>
  <returncode>SUCCESS</returncode>
  <recordings><recording><recordID>6fea-17</recordID><meetingID>school~room &amp; 42</meetingID><internalMeetingID>6fea-17</internalMeetingID><name>Room 42</name><isBreakout>false</isBreakout><published>true</published><state>published</state><startTime>17</startTime><endTime>18</endTime><participants>3</participants><metadata><usher-tenant>school</usher-tenant><meetingName>Room 42</meetingName><course>school~x</course><meetingId>school~room &amp; 42</meetingId><Usher-size/></metadata><size>5</size><playback><format><type>presentation</type><url>https://b/x</url><preview><images><image alt=\"W\">https://b/1.png</image></images></preview></format></playback><data></data></recording><recording><recordID>old</recordID><meetingID><![CDATA[school~b]]></meetingID><published>false</published><metadata/></recording></recordings>
  <pagination><pageable><offset>0</offset><limit>25</limit><paged>true</paged><unpaged>false</unpaged></pageable><totalElements>1,234</totalElements><empty>false</empty></pagination>
</response>";

fn read(body: &str) -> RecordingList<'_> {
    match recordings(body) {
        Ok(ServerReply::Success(list)) => list,
        other => panic!("no list but {other:?}"),
    }
}

#[test]
fn a_recording_is_read_with_all_that_is_needed_of_it() {
    let list = read(LIST);
    assert_eq!(list.total, Some(1234));
    let listed = list.recordings.unwrap();
    let [first, second] = listed.as_slice() else { panic!("{listed:?}") };
    assert_eq!((first.record_id.as_str(), first.meeting_id.as_str()), ("6fea-17", "school~room & 42"));
    assert_eq!(
        (first.state.as_str(), first.start_time_ms, first.tenant()),
        ("published", 17, Some("school"))
    );
    let own: Vec<(&str, &str)> = first.own_metadata().collect();
    assert!(own.contains(&("course", "school~x")), "{own:?}");
    assert!(own.iter().all(|(key, _)| !key.contains("usher")), "applications must not see it: {own:?}");
    assert_eq!((second.state.as_str(), second.tenant()), ("unpublished", None));
}

#[test]
fn a_shown_recording_has_the_id_of_the_tenant_and_no_metadata_of_usher() {
    let listed = read(LIST).recordings.unwrap();
    let shown = listed[0].shown("school~");
    assert!(shown.starts_with("<recording><recordID>") && shown.ends_with("</recording>"), "{shown}");
    assert!(shown.contains("<meetingID>room &amp; 42<") && shown.contains("<meetingId>room &amp; 42<"));
    assert!(shown.contains("<course>school~x<"), "an application's own words stay");
    assert!(!shown.to_lowercase().contains("usher"), "{shown}");
    assert!(shown.contains("<image alt=\"W\">https://b/1.png</image>"), "byte for byte");
    assert!(listed[1].shown("school~").contains("<![CDATA[b]]>"));
    assert_eq!(listed[1].shown(""), listed[1].raw);
    assert!(listed[0].shown("other~").contains("<meetingID>school~room"));
}

#[test]
fn empty_lists_differ_from_refused_ones() {
    let of = |list: &str| {
        format!(
            "<response><returncode>SUCCESS</returncode>{list}<messageKey>noRecordings</messageKey>\
             <message>There are none.</message></response>"
        )
    };
    assert_eq!(read(&of("<recordings></recordings>")).recordings, Some(Vec::new()));
    assert_eq!(read(&of("<recordings/>")).recordings, Some(Vec::new()));
    assert_eq!(read(&of("")).recordings, None);
    let bare =
        "<response><returncode>SUCCESS</returncode><recordings/><totalElements>7</totalElements></response>";
    assert_eq!(read(bare).total, Some(7));
}

#[test]
fn an_incomplete_list_is_an_error_and_never_a_shorter_one() {
    for length in (0..LIST.len()).filter(|length| LIST.is_char_boundary(*length)) {
        assert!(recordings(&LIST[..length]).is_err(), "{length}");
    }
    for body in [
        "<response><returncode>SUCCESS</returncode></response>",
        "<response><returncode>SUCCESS</returncode><recordings><recording/></recordings></response>",
        "<response><recordings/></response>",
    ] {
        assert!(recordings(body).is_err(), "{body}");
    }
    let failed = "<response><returncode>FAILED</returncode><messageKey>k</messageKey></response>";
    assert!(matches!(recordings(failed), Ok(ServerReply::Failed(failure)) if failure.key == "k"));
}
