use proptest::prelude::*;

use super::*;

fn faults(text: &str) -> String {
    parse(text).expect_err("is refused").to_string()
}

#[test]
fn scalelites_file_is_read_unchanged() {
    let specs = parse(
        "---\nservers:\n  bbb1.example.org:\n    secret: 0123\n    load_multiplier: 2.0\n    load: 12.5\n    state: cordoned\n    online: true\n    bbb_version: 2.7\n  lab:\n    url: https://bbb2.example.org/bigbluebutton/api\n    secret: \"se:cret\"\n    enabled: no\n    tag: fast,big\n",
    )
    .expect("reads");
    assert_eq!(specs.len(), 2);
    let (first, lab) = (&specs[0], &specs[1]);
    assert_eq!(first.url, "https://bbb1.example.org/bigbluebutton/api/");
    assert_eq!(first.secret.expose(), "0123", "a secret is text, also if it looks like a number");
    assert!(first.enabled && first.tags.is_empty() && same(first.weight, 0.5), "{first:?}");
    assert_eq!(
        (lab.enabled, lab.secret.expose(), lab.tags.as_slice()),
        (false, "se:cret", &["big".into(), "fast".into()][..])
    );
}

fn same(a: f64, b: f64) -> bool {
    same_weight(a, b)
}

#[test]
fn every_fault_is_named_with_its_server_and_key() {
    let text = "servers:\n  one:\n    secrt: hunter2\n  two:\n    secret: hunter2\n    enabled: perhaps\n    load_multiplier: 0\n    url: ftp://x\n  a b:\n    secret: hunter2\n    tag: not a tag\n  three:\n";
    let found = faults(text);
    for part in [
        "server `one`: `secrt` is not one of secret, url",
        "server `one`: `secret` is missing",
        "server `two`: `enabled` must be",
        "server `two`: `load_multiplier` must be",
        "server `two`: `url` must begin with",
        "server `a b`: server id `a b` may hold only",
        "server `a b`: `tag` must be",
        "server `three`: `secret` is missing",
    ] {
        assert!(found.contains(part), "{part}\nnot in {found}");
    }
    assert!(!found.contains("hunter2"), "{found}");
}

#[test]
fn another_file_is_refused_without_quoting_it() {
    let list = "servers:\n  - url: https://x\n    secret: hunter2\n";
    let twice = "servers:\n  one:\n    secret: hunter2\n    secret: hunter3\n";
    for text in [
        "",
        "hunter2",
        "servers: hunter2",
        "servers:\n  one: hunter2",
        "servers: {one: {secret: [hunter2]}}",
        "servers: [",
        list,
        twice,
        "a: 1",
    ] {
        let found = faults(text);
        assert!(found.contains("not YAML of the form") && !found.contains("hunter"), "{text}: {found}");
    }
}

#[test]
fn bombs_are_refused() {
    let deep = format!("servers: {}", "[".repeat(50_000));
    let mut aliases = vec![String::from("a: &a [x,x,x,x,x,x,x,x,x,x]")];
    for n in 1..9 {
        let before = if n == 1 { "a".to_owned() } else { format!("a{}", n - 1) };
        aliases.push(format!("a{n}: &a{n} [{}]", vec![format!("*{before}"); 10].join(",")));
    }
    aliases.push("servers: {one: {secret: *a8}}".into());
    let bomb = aliases.join("\n");
    for text in [deep, bomb, "x".repeat(SIZE_MAX + 1)] {
        assert!(parse(&text).is_err());
    }
}

#[test]
fn an_empty_list_is_a_list() {
    assert_eq!(parse("servers: {}"), Ok(Vec::new()));
    assert_eq!(parse(&write(&[])), Ok(Vec::new()));
}

#[test]
fn multipliers_are_written_in_their_short_form() {
    let written = [1.0, 0.5, 1.0 / 1.5, 3.0].map(|weight| multiplier(weight).to_string());
    assert_eq!(written, ["1", "2", "1.5", "0.3333333333333333"]);
}

prop_compose! {
    fn spec()(id in "[A-Za-z0-9._-]{1,20}", host in "[a-z]{1,10}", secret in "[^\\s\\p{C}]{1,20}|[0-9]{3}|true|null|~", enabled: bool,
              weight in 0.001..1000.0_f64, tags in proptest::collection::btree_set("[a-z0-9:#é-]{1,5}", 0..3)) -> ServerSpec {
        ServerSpec {
            id: ServerId::parse(&id).expect("is an id"),
            url: format!("https://{host}/bigbluebutton/api/"),
            secret: Secret::new(&secret),
            enabled,
            weight,
            tags: tags.into_iter().collect(),
        }
    }
}

proptest! {
    #[test]
    fn s10_a_written_list_reads_back(specs in proptest::collection::vec(spec(), 0..5)) {
        let specs: BTreeMap<ServerId, ServerSpec> = specs.into_iter().map(|spec| (spec.id.clone(), spec)).collect();
        let specs: Vec<ServerSpec> = specs.into_values().collect();
        let read = parse(&write(&specs)).expect("reads back");
        prop_assert_eq!(read.len(), specs.len());
        for (read, spec) in read.iter().zip(&specs) {
            prop_assert!(same(read.weight, spec.weight));
            prop_assert_eq!(&ServerSpec { weight: spec.weight, ..read.clone() }, spec);
        }
    }

    #[test]
    fn no_input_makes_the_reader_panic(text in "(servers:|[a-z]:|- |\\{|\\}|\\[|&a |\\*a|<<: |\n|  |\\PC){0,30}") {
        let _: Result<_, _> = parse(&text); // either is right
    }
}
