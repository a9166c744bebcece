//! `AdoptMeetings`: the operator's requests and their answers.

use tonic::Code;
use usher_bbb_sim::FaultKind;
use usher_proto::v1::*;

use crate::bench::Bench;

fn names(ids: &[&str]) -> Vec<String> {
    ids.iter().map(|id| format!("tenants/default/meetings/{id}")).collect()
}

async fn adopt(bench: &Bench, server: &str, names: Vec<String>) -> Result<Vec<AdoptOutcome>, tonic::Status> {
    let request = AdoptMeetingsRequest { server: server.into(), names };
    let answer = bench.meetings().adopt_meetings(request).await?.into_inner();
    Ok(answer.meetings.iter().map(AdoptedMeeting::outcome).collect())
}

/// Creates a meeting on a server without Usher.
async fn foreign(bench: &Bench, number: usize, id: &str) {
    let query = format!("name=Room&meetingID={id}&attendeePW=ap&moderatorPW=mp");
    let url = bench.sims[number].signed_url("create", &query);
    let answer = bench.http.get(url).send().await.expect("is answered").text().await.expect("is text");
    assert!(answer.contains("SUCCESS"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn named_meetings_are_routed_from_then_on_and_the_answer_says_what_became_of_each() {
    let bench = Bench::with_servers(2).await;
    foreign(&bench, 0, "foreign").await;
    let home = bench.create("ours").await;
    let (here, there) =
        if home == "bbb1" { ("servers/bbb1", "servers/bbb2") } else { ("servers/bbb2", "servers/bbb1") };
    let both = adopt(&bench, "servers/bbb1", names(&["foreign", "nowhere"])).await.expect("answers");
    assert_eq!(both, [AdoptOutcome::Adopted, AdoptOutcome::NotRunning]);
    let resolve = ResolveMeetingRequest { key: Some(crate::bench::key("foreign")) };
    let resolved = bench.placement().resolve_meeting(resolve).await.expect("answers").into_inner();
    assert_eq!(resolved.server.map(|server| server.id).as_deref(), Some("bbb1"));
    let again = adopt(&bench, "servers/bbb1", names(&["foreign"])).await.expect("answers");
    assert_eq!(again, [AdoptOutcome::Standing]);
    assert_eq!(adopt(&bench, here, names(&["ours"])).await.expect("answers"), [AdoptOutcome::Standing]);
    let request = AdoptMeetingsRequest { server: there.into(), names: names(&["ours"]) };
    let elsewhere = bench.meetings().adopt_meetings(request).await.expect("answers").into_inner();
    let [meeting] = elsewhere.meetings.as_slice() else { panic!("{elsewhere:?}") };
    assert_eq!((meeting.outcome(), meeting.owner.as_str()), (AdoptOutcome::Elsewhere, here));
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_asked_is_refused_with_the_field_and_a_remedy() {
    let bench = Bench::with_servers(1).await;
    let too_many: Vec<String> = (0..301).map(|number| format!("tenants/default/meetings/{number}")).collect();
    for (server, names, code, told) in [
        ("servers/bbb1", Vec::new(), Code::InvalidArgument, "names"),
        ("servers/bbb1", too_many, Code::InvalidArgument, "1 to 300"),
        ("servers/bbb1", vec!["room".into()], Code::InvalidArgument, "names[0]"),
        ("bbb1", names(&["room"]), Code::InvalidArgument, "servers/ID"),
        ("servers/none", names(&["room"]), Code::NotFound, "servers/none"),
    ] {
        let refused = adopt(&bench, server, names).await.expect_err("is refused");
        let details = String::from_utf8_lossy(refused.details()).into_owned();
        assert_eq!(refused.code(), code, "{refused:?}");
        assert!(refused.message().contains(told) || details.contains(told), "{told}: {refused:?}");
    }
    bench.sims[0].faults().set(FaultKind::Refuse).await;
    let away = adopt(&bench, "servers/bbb1", names(&["room"])).await.expect_err("nobody answers");
    assert_eq!(away.code(), Code::Unavailable, "{away:?}");
    bench.sims[0].faults().clear().await;
    bench
        .servers()
        .disable_server(DisableServerRequest { name: "servers/bbb1".into(), etag: String::new() })
        .await
        .expect("is empty");
    let disabled = adopt(&bench, "servers/bbb1", names(&["room"])).await.expect_err("takes no meetings");
    assert_eq!(disabled.code(), Code::FailedPrecondition, "{disabled:?}");
    bench.stop().await;
}
