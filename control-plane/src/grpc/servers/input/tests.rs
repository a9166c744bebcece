use super::*;

fn wire(url: &str, secret: &str) -> v1::Server {
    v1::Server { url: url.into(), secret: secret.into(), ..v1::Server::default() }
}

fn fields(refusal: RpcRefusal) -> Vec<String> {
    match refusal {
        RpcRefusal::Invalid(violations) => violations.into_iter().map(|violation| violation.field).collect(),
        other => panic!("not a list of faults: {other:?}"),
    }
}

#[test]
fn s5_a_new_server_is_disabled_and_ordinary() {
    let server = new_server(wire("https://bbb1.example.org", "s"), "", 7).expect("is accepted");
    assert_eq!(server.id.as_str(), "bbb1.example.org");
    assert_eq!(server.url, "https://bbb1.example.org/bigbluebutton/api/");
    assert_eq!((server.admin, server.weight, server.created_at_ms), (AdminState::Disabled, 1.0, 7));
}

#[test]
fn urls_are_brought_into_one_form() {
    for text in [
        "https://h/bigbluebutton/api/",
        "https://h/bigbluebutton/api",
        "https://h/bigbluebutton/",
        "https://h/",
        " https://h ",
    ] {
        assert_eq!(url(text).as_deref(), Ok("https://h/bigbluebutton/api/"), "{text}");
    }
    assert_eq!(url("http://h:8090/x/api").as_deref(), Ok("http://h:8090/x/api/"));
    for text in ["", "h", "ftp://h/", "https://u@h/", "https://h/?a=b"] {
        assert!(url(text).is_err(), "{text}");
    }
    assert_eq!(
        id_of("http://127.0.0.1:80/"),
        ServerId::parse("127.0.0.1").map_err(|error| error.to_string())
    );
    assert_eq!(id_of("http://[::1]:81/").map(|id| id.to_string()), Ok("--1-81".into()));
}

#[test]
fn every_fault_is_named_at_once() {
    let bad = v1::Server { weight: -1.0, tags: vec!["a b".into()], ..wire("h", "") };
    let faults = fields(new_server(bad, "a/b", 0).expect_err("is refused"));
    assert_eq!(faults, ["server.url", "server.secret", "server.weight", "server.tags", "server_id"]);
}

#[test]
fn a_mask_names_the_fields_of_an_update() {
    let server = new_server(wire("https://h", "old"), "", 0).expect("is accepted");
    let change = v1::Server { weight: 2.0, tags: vec!["b".into(), "a".into()], ..wire("https://i", "new") };
    let masked =
        MaskedServerUpdate::parse(change.clone(), &["weight".into(), "tags".into()]).expect("is accepted");
    let updated = masked.apply(&server);
    assert_eq!((updated.weight, updated.tags.len(), &updated.url), (2.0, 2, &server.url));
    assert_eq!(updated.secret, server.secret);
    let all = MaskedServerUpdate::parse(change.clone(), &[]).expect("is accepted").apply(&server);
    assert_eq!(all.secret.expose(), "new");
    let cleared = MaskedServerUpdate::parse(v1::Server::default(), &["tags".into()]).expect("is accepted");
    assert_eq!(cleared.apply(&updated).tags, Vec::<String>::new());
    let faults = fields(MaskedServerUpdate::parse(change, &["name".into()]).expect_err("is refused"));
    assert_eq!(faults, ["update_mask"]);
}
