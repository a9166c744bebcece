//! Requests as client libraries and operators with curl send them, and as servers accept them.

use usher_bbb::query::RawQuery;

use crate::support::{Cluster, Heard, raw, signed};

const FORM: [(&str, &str); 1] = [("content-type", "application/x-www-form-urlencoded")];

#[tokio::test]
async fn a_form_may_hold_bytes_that_no_url_can() {
    let cluster = Cluster::start(1).await;
    let token = signed("create", "");
    for (index, name) in ["two words", "Jürgens Räume", "C#", "\"q\" <b>", "a|b{c}[d]^`\\", "tab\tline\nend"]
        .into_iter()
        .enumerate()
    {
        let body = format!("name={name}&meetingID=room {index}&{token}");
        let answer = cluster.client.send("POST", "/bigbluebutton/api/create", &FORM, body).await;
        assert!(answer.is_success(), "{name}: {answer:?}");
        assert_eq!(answer.text("meetingID"), format!("room {index}"));
        let call = cluster.sims[0].calls().into_iter().rfind(|call| call.name == "create").unwrap();
        assert_eq!(RawQuery::new(&call.query).first("name").as_deref(), Some(name));
    }
    assert_eq!(cluster.plane.count(|heard| matches!(heard, Heard::Failure { .. })), 0, "no server failed");
}

#[tokio::test]
async fn every_byte_of_a_request_line_reaches_the_server_unchanged() {
    let cluster = Cluster::start(1).await;
    let query = "name=a|b{c}[d]^`'(e)*!~%c3%A9+x%20y&meetingID=raw&welcome=&x=1&x=2";
    let request = format!(
        "GET /bigbluebutton/api/create?{} HTTP/1.1\r\nhost: edge\r\nconnection: close\r\n\r\n",
        signed("create", query)
    );
    let answer = raw(cluster.edge.api_addr(), request.as_bytes()).await;
    assert!(answer.contains("<returncode>SUCCESS</returncode>"), "{answer}");
    let call = cluster.sims[0].calls().into_iter().rfind(|call| call.name == "create").unwrap();
    assert!(call.query.starts_with(query), "{}", call.query);
}

#[tokio::test]
async fn parts_of_a_body_count_only_if_the_url_has_no_parameters() {
    let cluster = Cluster::start(1).await;
    let parts = [("content-type", "multipart/form-data; boundary=b")];
    let body = "--b\r\nContent-Disposition: form-data; name=\"meetingID\"\r\n\r\nroom\r\n--b--\r\n";
    let answer = cluster.client.send("POST", "/bigbluebutton/api/create", &parts, body).await;
    assert_eq!(answer.text("message"), "You must provide the checksum");
    let path = format!("/bigbluebutton/api/create?{}", signed("create", "meetingID=room&name=Room"));
    assert!(cluster.client.send("POST", &path, &parts, body).await.is_success(), "all it says is in the URL");
}

#[tokio::test]
async fn base_urls_are_joined_with_slashes_too_many() {
    let cluster = Cluster::start(1).await;
    cluster.client.create("room").await;
    cluster.confirmed("room").await;
    let create = signed("create", "meetingID=room&name=Room");
    let join = signed("join", "meetingID=room&fullName=Ada&role=VIEWER");
    for base in ["//bigbluebutton/api/", "/bigbluebutton//api/", "/bigbluebutton/api//"] {
        // A client that parses the address as a URL would take the first two slashes for the start
        // of a host.
        for (call, query, status) in [("", "", "200"), ("create", &create, "200"), ("join", &join, "302")] {
            let head = format!("GET {base}{call}?{query} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
            let answer = raw(cluster.edge.api_addr(), head.as_bytes()).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{base}{call}: {answer}");
            assert!(!answer.contains("FAILED"), "{base}{call}: {answer}");
        }
    }
}

#[tokio::test]
async fn a_request_that_is_none_hears_so() {
    let cluster = Cluster::start(0).await;
    for path in ["/big blue/api", "/bigbluebutton/api/create?name=two words", "/\0"] {
        let head = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
        let answer = raw(cluster.edge.api_addr(), head.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{path}: {answer:?}");
        assert!(answer.contains("<messageKey>validationError</messageKey>"), "{path}: {answer:?}");
    }
}

#[tokio::test]
async fn every_way_to_write_a_request_down_is_understood() {
    let cluster = Cluster::start(1).await;
    let xml = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><modules></modules>";
    let create = format!("/bigbluebutton/api/create?{}", signed("create", "meetingID=room&name=Room"));
    let (length, chunk) = (xml.len(), format!("{:x}\r\n{xml}\r\n0\r\n\r\n", xml.len()));
    let close = "Connection: close\r\n";
    for request in [
        format!("GET {create} HTTP/1.0\r\n\r\n"),
        format!("GET http://bbb.test:8443{create} HTTP/1.1\r\nHost: other.test\r\n{close}\r\n"),
        format!("GET {create} HTTP/1.1\r\nHost: [::1]:8443\r\nContent-type: application/xml\r\n{close}\r\n"),
        format!("POST {create} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n{close}\r\n"),
        format!(
            "POST {create} HTTP/1.1\r\nHost: x\r\nContent-Type: text/xml; charset=UTF-8\r\n\
             Expect: 100-continue\r\nContent-Length: {length}\r\n{close}\r\n{xml}"
        ),
        format!(
            "POST {create} HTTP/1.1\r\nHost: x\r\nContent-Type: application/xml\r\n\
             Transfer-Encoding: chunked\r\n{close}\r\n{chunk}"
        ),
    ] {
        let answer = raw(cluster.edge.api_addr(), request.as_bytes()).await;
        assert!(answer.contains("<returncode>SUCCESS</returncode>"), "{request}: {answer}");
    }
    let bodies: Vec<_> = cluster.sims[0].calls().into_iter().filter(|call| call.body == xml).collect();
    assert_eq!(bodies.len(), 2, "documents arrive byte for byte");
}

/// The limits of BBB count UTF-16 units.
#[tokio::test]
async fn a_meeting_may_be_named_with_one_emoji() {
    let cluster = Cluster::start(1).await;
    let emoji = "%F0%9F%98%80";
    assert!(cluster.client.call("create", &format!("meetingID={emoji}&name={emoji}")).await.is_success());
    assert_eq!(cluster.sims[0].meetings()[0].name, "\u{1f600}");
    cluster.settled().await;
    let join = format!("meetingID={emoji}&fullName=Ada&role=VIEWER");
    assert_eq!(cluster.client.call("join", &join).await.redirected_query(), join);
    let long = emoji.repeat(129);
    let refused = cluster.client.call("create", &format!("meetingID=room&name={long}")).await;
    assert_eq!(refused.key(), "validationError");
    assert_eq!(refused.text("message"), "Meeting name must be between 2 and 256 characters");
}
