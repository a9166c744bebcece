//! The refusals of the edge: their texts, and the order of the checks: method and content type,
//! tenant, checksum, parameters, route (design 7).

use usher_bbb::{
    call::ApiCall,
    checksum::{ChecksumAlgorithm, sign_query},
    secret::Secret,
};
use usher_model::id::TenantId;

use crate::support::{Cluster, SECRET, signed, tenant};

const API: &str = "/bigbluebutton/api";

#[tokio::test]
async fn the_root_answers_with_and_without_a_slash_signed_or_not() {
    let cluster = Cluster::start(0).await;
    cluster.plane.set_tenant(tenant("school", &[SECRET], &[]));
    cluster.settled().await;
    for path in [
        API.to_owned(),
        format!("{API}/"),
        format!("{API}/?&checksum=abc"),
        format!("{API}?x=1"),
        // Without `api`, as a genuine server answers.
        "/bigbluebutton".into(),
        "/bigbluebutton/".into(),
        "/school/bigbluebutton/".into(),
    ] {
        let answer = cluster.client.get(&path).await;
        assert_eq!((answer.is_success(), answer.text("version")), (true, "2.0"), "{path}");
    }
    assert!(cluster.client.send("HEAD", API, &[], "").await.body.is_empty());
}

#[tokio::test]
async fn unknown_calls_and_wrong_methods_come_before_the_checksum() {
    let cluster = Cluster::start(0).await;
    for (method, path) in [
        ("GET", "/bigbluebutton/api/nothing?checksum=bad"),
        ("GET", "/bigbluebutton/api/Create?meetingID=a"),
        ("GET", "/bigbluebutton/api/setConfigXML"),
        ("GET", "/bigbluebutton/api/insertDocument?meetingID=a"),
        ("POST", "/bigbluebutton/api/join?meetingID=a"),
        ("POST", "/bigbluebutton/api/sendChatMessage?meetingID=a"),
        ("DELETE", "/bigbluebutton/api/create"),
        ("HEAD", "/bigbluebutton/api/create"),
        ("GET", "/"),
        ("GET", "/bigbluebutton/apix"),
        ("GET", "/nobody/bigbluebutton/api/create"),
    ] {
        let answer = cluster.client.send(method, path, &[], "").await;
        assert_eq!(answer.status, 200, "{method} {path}");
        if method != "HEAD" {
            assert_eq!(answer.key(), "unsupportedRequest", "{method} {path}");
        }
    }
}

#[tokio::test]
async fn content_types_are_checked_where_there_is_a_body() {
    let cluster = Cluster::start(1).await;
    let json = [("content-type", "application/json")];
    for path in ["/bigbluebutton/api/create", "/bigbluebutton/api/end", "/bigbluebutton/api/insertDocument"] {
        assert_eq!(cluster.client.send("POST", path, &json, "{}").await.key(), "unsupportedContentType");
        assert_eq!(cluster.client.send("POST", path, &[], "x").await.key(), "unsupportedContentType");
    }
    let xml = [("content-type", "application/xml")];
    let answer = cluster.client.send("POST", "/bigbluebutton/api/end", &xml, "<x/>").await;
    assert_eq!(answer.key(), "unsupportedContentType", "`end` takes forms only");
    let path = format!("{API}/getMeetings?{}", signed("getMeetings", ""));
    assert!(cluster.client.send("GET", &path, &xml, "").await.is_success(), "a GET without a body");
    let path = format!("{API}/create?{}", signed("create", "meetingID=room&name=Room"));
    assert!(cluster.client.send("POST", &path, &[], "").await.is_success(), "a POST without a body");
}

#[tokio::test]
async fn s12_every_hash_and_every_secret_is_good_and_revoking_one_disturbs_no_other() {
    let cluster = Cluster::start(0).await;
    cluster.plane.set_tenant(tenant(TenantId::DEFAULT, &[SECRET, "second"], &[]));
    cluster.settled().await;
    let ask = async |algorithm, secret: &str, upper: bool| {
        let query = sign_query(algorithm, "isMeetingRunning", "meetingID=ab".into(), &Secret::new(secret));
        let query = match (upper, query.split_once("checksum=")) {
            (true, Some((before, sum))) => format!("{before}checksum={}", sum.to_uppercase()),
            _ => query,
        };
        cluster.client.get(&format!("{API}/isMeetingRunning?{query}")).await
    };
    for algorithm in ChecksumAlgorithm::ALL {
        for secret in [SECRET, "second"] {
            assert_eq!(ask(algorithm, secret, false).await.text("running"), "false");
            assert_eq!(ask(algorithm, secret, true).await.text("running"), "false");
        }
        assert_eq!(ask(algorithm, "wrong", false).await.key(), "checksumError");
    }
    cluster.plane.set_tenant(tenant(TenantId::DEFAULT, &["second"], &[]));
    cluster.settled().await;
    assert_eq!(ask(ChecksumAlgorithm::Sha1, SECRET, false).await.key(), "checksumError");
    assert!(ask(ChecksumAlgorithm::Sha1, "second", false).await.is_success());
}

#[tokio::test]
async fn checksums_come_before_parameters_and_parameters_before_the_route() {
    let cluster = Cluster::start(0).await;
    for call in ApiCall::all() {
        let call = call.name();
        if !["create", "isMeetingRunning", "end", "getMeetingInfo", "sendChatMessage", "join"].contains(&call)
        {
            continue;
        }
        let without = cluster.client.get(&format!("{API}/{call}?meetingID=")).await;
        assert_eq!(
            (without.key().as_str(), without.text("message")),
            ("checksumError", "You must provide the checksum")
        );
        let wrong = cluster.client.get(&format!("{API}/{call}?meetingID=&checksum={}", "0".repeat(64))).await;
        assert_eq!(
            (wrong.key().as_str(), wrong.text("message")),
            ("checksumError", "Checksums do not match")
        );
        let answer = cluster.client.call(call, "fullName=x&role=VIEWER").await;
        assert_eq!(
            (answer.key().as_str(), answer.text("message")),
            ("missingParamMeetingID", "You must provide a meeting ID")
        );
        let twice = cluster.client.call(call, "meetingID=ab&meetingID=ab&name=xy").await;
        assert_eq!(twice.key(), "validationError", "{call}");
    }
}

#[tokio::test]
async fn each_call_has_its_own_words_for_a_meeting_that_does_not_exist() {
    let cluster = Cluster::start(1).await;
    let client = &cluster.client;
    for (call, query, key) in [
        ("getMeetingInfo", "meetingID=none", "notFound"),
        ("end", "meetingID=none", "notFound"),
        ("join", "meetingID=none&fullName=a&role=VIEWER", "invalidMeetingIdentifier"),
        ("sendChatMessage", "meetingID=none&message=hi", "meetingNotFound"),
    ] {
        let answer = client.call(call, query).await;
        assert_eq!(answer.key(), key, "{call}");
        assert!(answer.headers.get("retry-after").is_none());
    }
    assert_eq!(client.call("isMeetingRunning", "meetingID=none").await.text("running"), "false");
    let path = format!("{API}/insertDocument?{}", signed("insertDocument", "meetingID=none"));
    let answer = client.send("POST", &path, &[("content-type", "application/xml")], "<modules/>").await;
    assert_eq!(answer.text("message"), "Meeting with id [none] not found.");
    assert!(!answer.is_success() && !answer.body.contains("messageKey"));
}

#[tokio::test]
async fn tenants_are_found_by_path_and_by_host_and_can_be_switched_off() {
    let cluster = Cluster::start(1).await;
    cluster.plane.set_tenant(tenant("school", &["school-secret"], &["bbb.school.test"]));
    cluster.settled().await;
    let query =
        sign_query(ChecksumAlgorithm::Sha256, "getMeetings", String::new(), &Secret::new("school-secret"));
    let host = [("host", "BBB.School.test:8443")];
    let by_path = format!("/school/bigbluebutton/api/getMeetings?{query}");
    let by_host = format!("{API}/getMeetings?{query}");
    assert_eq!(cluster.client.get(&by_path).await.key(), "noMeetings");
    assert_eq!(cluster.client.send("GET", &by_host, &host, "").await.key(), "noMeetings");
    assert_eq!(cluster.client.get(&by_host).await.key(), "checksumError", "that is the default tenant's");
    let mut off = tenant("school", &["school-secret"], &[]);
    off.enabled = false;
    cluster.plane.set_tenant(off);
    cluster.settled().await;
    assert_eq!(cluster.client.get(&by_path).await.key(), "apiNotEnabled");
    let unsigned = "/school/bigbluebutton/api/getMeetings?checksum=bad";
    assert_eq!(cluster.client.get(unsigned).await.key(), "checksumError");
}

/// Sends every vector of the wire contract through the edge: a vector that verifies gets no
/// checksum error.
#[tokio::test]
async fn every_position_and_encoding_of_the_vectors_verifies() {
    let cluster = Cluster::start(0).await;
    let of = |call: &str, query: &str| {
        let signed = sign_query(ChecksumAlgorithm::Sha1, call, query.to_owned(), &Secret::new(SECRET));
        signed.rsplit_once("checksum=").map(|(_, sum)| sum.to_owned()).expect("is signed")
    };
    let join =
        "&redirect=true&existingUserID=w_abc123def456&role=MODERATOR&fullName=teacher%2B1&meetingID=room-42";
    for (call, query, path) in [
        ("getMeetings", "", "checksum=C"),
        ("getMeetings", "", "&checksum=C"),
        ("isMeetingRunning", "meetingID=room-42", "checksum=C&meetingID=room-42"),
        ("isMeetingRunning", "meetingID=room-42", "meetingID=room-42&checksum=C"),
        ("isMeetingRunning", "meetingID=room-42&", "meetingID=room-42&checksum=C&"),
        ("isMeetingRunning", "meetingID=room-42&", "meetingID=room-42&&checksum=C"),
        ("end", "meetingID=x&meetingID=y", "meetingID=x&checksum=C&meetingID=y"),
        (
            "create",
            "name=J%c3%bcrgen%27s+R%c3%a4ume&meetingID=%e6%9d%b1%e4%ba%ac-01",
            "name=J%c3%bcrgen%27s+R%c3%a4ume&meetingID=%e6%9d%b1%e4%ba%ac-01&checksum=C",
        ),
        (
            "join",
            join,
            "&redirect=true&existingUserID=w_abc123def456&role=MODERATOR&fullName=teacher%2B1&meetingID=room-42&checksum=C",
        ),
        (
            "sendChatMessage",
            "meetingID=room-42&message=Hello%20%F0%9F%91%8B&userName=System+Admin",
            "meetingID=room-42&message=Hello%20%F0%9F%91%8B&userName=System+Admin&checksum=C",
        ),
    ] {
        let path = format!("{API}/{call}?{}", path.replace("=C", &format!("={}", of(call, query))));
        let answer = cluster.client.get(&path).await;
        assert_ne!(answer.key(), "checksumError", "{call} {path}");
    }
}
