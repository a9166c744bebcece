//! Every call of the BBB API, as an application makes it.

use anyhow::Result;
use usher_harness::{
    client::{BbbTestClient, SigningHash},
    cluster::SECRET,
    standalone::RunningStandalone,
};

const FORM: &str = "application/x-www-form-urlencoded";

/// The root of the API is requested with and without a slash and a checksum → the answer is the
/// version.
#[tokio::test]
async fn the_root_says_the_version_with_or_without_a_slash() -> Result<()> {
    let usher = RunningStandalone::start(0, &[]).await?;
    let base = format!("http://{}/bigbluebutton/api", usher.process.address("listen"));
    for path in ["", "/", "/?&checksum=0123"] {
        let answer = usher.client().fetch(&format!("{base}{path}")).await?;
        assert!(answer.is_success(), "{path}: {answer:?}");
        assert_eq!(answer.text("version"), Some("2.0"), "{path}");
    }
    Ok(())
}

/// A meeting is created twice, joined, queried and ended → every answer is that of BBB, without
/// Usher's own metadata.
#[tokio::test]
async fn a_meeting_is_created_joined_read_and_ended() -> Result<()> {
    let usher = RunningStandalone::start(3, &[]).await?;
    let client = usher.client();

    let created = client.created("algebra").await?;
    assert_eq!(created.text("meetingID"), Some("algebra"));
    assert_eq!((created.text("attendeePW"), created.text("moderatorPW")), (Some("ap"), Some("mp")));
    let again = client.created("algebra").await?;
    assert_eq!(again.text("internalMeetingID"), created.text("internalMeetingID"), "create is idempotent");
    assert_eq!(again.key(), "duplicateWarning");

    let page = client.enter("algebra").await?;
    assert!(page.body.contains("Ada"), "{page:?}");

    let running = client.get("isMeetingRunning", "meetingID=algebra").await?;
    assert_eq!(running.text("running"), Some("true"), "{}", running.body);
    let info = client.get("getMeetingInfo", "meetingID=algebra").await?;
    assert_eq!(info.text("participantCount"), Some("1"), "{}", info.body);
    assert!(!info.body.contains("usher-"), "our own metadata is not shown: {}", info.body);
    let listed = client.get("getMeetings", "").await?;
    assert_eq!(listed.texts("meetingID"), ["algebra"], "{}", listed.body);
    assert!(!listed.body.contains("usher-"), "{}", listed.body);

    let ended = client.get("end", "meetingID=algebra&password=mp").await?;
    assert!(ended.is_success(), "{}", ended.body);
    let running = client.get("isMeetingRunning", "meetingID=algebra").await?;
    assert_eq!(running.text("running"), Some("false"), "{}", running.body);
    let join = client.join("algebra").await?;
    assert_eq!(join.text("returncode"), Some("FAILED"), "an ended meeting is not joined: {}", join.body);
    Ok(())
}

/// `create` is sent as a form and with XML bodies → it succeeds; a body of another type → it is
/// refused.
#[tokio::test]
async fn create_takes_a_form_and_an_xml_body() -> Result<()> {
    let usher = RunningStandalone::start(1, &[]).await?;
    let client = usher.client();
    let form =
        client.post_form("create", "name=Form&meetingID=form-1&moderatorPW=mp&welcome=a+b%26c").await?;
    assert!(form.is_success(), "{}", form.body);
    let slides = r#"<?xml version="1.0"?><modules><module name="presentation"><document url="http://a/b.pdf"/></module></modules>"#;
    for (id, kind) in
        [("xml-1", "application/xml"), ("xml-2", "text/xml"), ("xml-3", "application/xml; charset=UTF-8")]
    {
        let answer = client
            .post("create", &format!("name=Slides&meetingID={id}&moderatorPW=mp"), kind, slides)
            .await?;
        assert!(answer.is_success(), "{kind}: {}", answer.body);
    }
    let json = client.post("create", "name=J&meetingID=json", "application/json", "{}").await?;
    assert_eq!(json.key(), "unsupportedContentType");
    Ok(())
}

/// A form beside a signed query is not covered by the checksum → its parameters have no effect.
#[tokio::test]
async fn a_form_beside_a_signed_query_adds_no_parameter() -> Result<()> {
    let usher = RunningStandalone::start(1, &[]).await?;
    let client = usher.client();
    let answer = client.post("create", "name=A&meetingID=signed-1", FORM, "meta_smuggled=yes").await?;
    if answer.is_success() {
        let info = client.get("getMeetingInfo", "meetingID=signed-1").await?;
        assert!(!info.body.contains("smuggled"), "{}", info.body);
    }
    Ok(())
}

/// A document and a chat message are sent to a meeting → the server gets both; a chat message to an
/// unknown meeting → BBB's refusal.
#[tokio::test]
async fn documents_and_chat_messages_reach_the_meeting() -> Result<()> {
    let usher = RunningStandalone::start(2, &[]).await?;
    let client = usher.client();
    client.created("seminar").await?;
    let document =
        "<modules><module name=\"presentation\"><document url=\"http://a/b.pdf\"/></module></modules>";
    let inserted = client.post("insertDocument", "meetingID=seminar", "application/xml", document).await?;
    assert!(inserted.is_success(), "{}", inserted.body);
    client.enter("seminar").await?;
    let said = client.get("sendChatMessage", "meetingID=seminar&message=hello+there").await?;
    assert!(said.is_success(), "{}", said.body);
    let lost = client.get("sendChatMessage", "meetingID=nowhere&message=hello").await?;
    assert_eq!(lost.text("returncode"), Some("FAILED"), "{}", lost.body);
    Ok(())
}

/// A path that is no call, or a method that the call does not accept → HTTP 200 with
/// `unsupportedRequest`.
#[tokio::test]
async fn unknown_calls_get_a_bbb_answer() -> Result<()> {
    let usher = RunningStandalone::start(1, &[]).await?;
    let client = usher.client();
    for call in ["fly", "hooks/nothing", "create/more"] {
        let answer = client.get(call, "meetingID=a1").await?;
        assert_eq!((answer.status, answer.key()), (200, "unsupportedRequest"), "{call}: {}", answer.body);
    }
    let posted = client.post("join", "meetingID=a1&fullName=A", FORM, "").await?;
    assert_eq!((posted.status, posted.key()), (200, "unsupportedRequest"), "{}", posted.body);
    Ok(())
}

/// Calls about an unknown meeting and an empty list → the answers are those of BBB.
#[tokio::test]
async fn unknown_meetings_are_answered_as_bbb_does() -> Result<()> {
    let usher = RunningStandalone::start(1, &[]).await?;
    let client = usher.client();
    let running = client.get("isMeetingRunning", "meetingID=nowhere").await?;
    assert_eq!((running.is_success(), running.text("running")), (true, Some("false")));
    for (call, query) in [("getMeetingInfo", "meetingID=nowhere"), ("end", "meetingID=nowhere&password=mp")] {
        let answer = client.get(call, query).await?;
        assert_eq!((answer.status, answer.key()), (200, "notFound"), "{call}: {}", answer.body);
    }
    let empty = client.get("getMeetings", "").await?;
    assert_eq!((empty.is_success(), empty.key()), (true, "noMeetings"), "{}", empty.body);
    assert!(empty.body.contains("<meetings"), "the element is there even when empty: {}", empty.body);
    Ok(())
}

/// S12: a tenant has two secrets → every hash with each secret is accepted, and another secret is
/// refused.
#[tokio::test]
async fn s12_every_hash_and_every_secret_is_accepted() -> Result<()> {
    let usher = RunningStandalone::start(1, &[("secrets", "first secret,second secret")]).await?;
    for secret in ["first secret", "second secret"] {
        for hash in SigningHash::ALL {
            let client = usher.client().with_secret(secret).with_hash(hash);
            let answer = client.get("getMeetings", "").await?;
            assert!(answer.is_success(), "{secret} {hash:?}: {}", answer.body);
        }
    }
    let wrong = usher.client().with_secret("third secret").get("getMeetings", "").await?;
    assert_eq!((wrong.status, wrong.key()), (200, "checksumError"));
    Ok(())
}

/// The checksum is at different places, in upper case, missing, repeated or wrong → only the first
/// two are accepted.
#[tokio::test]
async fn the_checksum_may_be_anywhere_but_only_once() -> Result<()> {
    let usher = RunningStandalone::start(1, &[]).await?;
    let base = format!("http://{}/bigbluebutton/api/", usher.process.address("listen"));
    let client = usher.client();
    let sum = SigningHash::Sha1.sign("isMeetingRunning", "meetingID=room-42", SECRET);
    for query in [
        format!("checksum={sum}&meetingID=room-42"),
        format!("meetingID=room-42&checksum={sum}"),
        format!("meetingID=room-42&checksum={}", sum.to_uppercase()),
    ] {
        let answer = client.fetch(&format!("{base}isMeetingRunning?{query}")).await?;
        assert!(answer.is_success(), "{query}: {}", answer.body);
    }
    for query in [
        "meetingID=room-42".to_owned(),
        "meetingID=room-42&checksum=".to_owned(),
        format!("meetingID=room-42&checksum={sum}&checksum={sum}"),
        format!("meetingID=room-43&checksum={sum}"),
        format!("meetingID=room-42&checksum={}", &sum[1..]),
    ] {
        let answer = client.fetch(&format!("{base}isMeetingRunning?{query}")).await?;
        assert_eq!((answer.status, answer.key()), (200, "checksumError"), "{query}: {}", answer.body);
    }
    Ok(())
}

/// Calls with missing or invalid parameters → each is refused with its key, before any server gets
/// a call.
#[tokio::test]
async fn parameters_are_checked_before_any_server_call() -> Result<()> {
    let usher = RunningStandalone::start(1, &[]).await?;
    let client: BbbTestClient = usher.client();
    let long = "x".repeat(257);
    for (call, query, key) in [
        ("create", "name=A".to_owned(), "missingParamMeetingID"),
        ("create", "name=A&meetingID=".to_owned(), "missingParamMeetingID"),
        ("create", "name=A&meetingID=a%2Cb".to_owned(), "validationError"),
        ("create", format!("name=A&meetingID={long}"), "validationError"),
        ("create", "name=A&meetingID=a1&meetingID=b1".to_owned(), "validationError"),
        ("join", "meetingID=a1&password=mp".to_owned(), "missingParamFullName"),
        ("end", "password=mp".to_owned(), "missingParamMeetingID"),
        ("isMeetingRunning", String::new(), "missingParamMeetingID"),
    ] {
        let answer = client.get(call, &query).await?;
        assert_eq!((answer.status, answer.key()), (200, key), "{call}?{query}: {}", answer.body);
    }
    assert!(usher.sims[0].meetings().is_empty(), "no meeting was created");
    Ok(())
}

/// In standalone, control plane and edge share one registry → `/metrics` has every family once;
/// Prometheus refuses a page with a repeated family.
#[tokio::test]
async fn metrics_name_every_family_once() -> Result<()> {
    let usher = RunningStandalone::start(1, &[]).await?;
    let page = usher.client().fetch(&format!("http://{}/metrics", usher.process.address("ops"))).await?;
    let families: Vec<&str> = page.body.lines().filter(|line| line.starts_with("# TYPE")).collect();
    let distinct: std::collections::BTreeSet<&str> = families.iter().copied().collect();
    assert!(families.len() > 20, "{}", page.body);
    assert_eq!(families.len(), distinct.len(), "{families:?}");
    Ok(())
}
