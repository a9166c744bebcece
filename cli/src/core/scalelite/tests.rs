use usher_bbb::secret::Secret;
use usher_model::server::AdminState;

use super::*;

fn fields(pairs: &[(&str, &str)]) -> RedisHash {
    RedisHash::Fields(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
}

fn keys() -> ScaleliteKeys {
    ScaleliteKeys { prefix: "scalelite:".into(), ..ScaleliteKeys::default() }
}

fn server(more: &[(&str, &str)]) -> RedisHash {
    fields(&[&[("url", "https://a.test/bigbluebutton/api"), ("secret", "s")], more].concat())
}

fn faults(found: &ScaleliteInventory) -> Vec<String> {
    found.faults.iter().map(|fault| format!("{}: {}", fault.key, fault.problem)).collect()
}

#[test]
fn servers_of_every_version_have_a_state_and_a_weight() {
    let mut keys = keys();
    keys.enabled.insert("old-enabled".into());
    keys.cordoned.insert("old-cordoned".into());
    for (id, more) in [
        ("enabled", &[("state", "enabled"), ("load_multiplier", "2.0")][..]),
        ("cordoned", &[("state", "cordoned"), ("load_multiplier", "0.25e1")]),
        ("disabled", &[("state", "disabled"), ("load_multiplier", "0")]),
        ("old-enabled", &[]),
        ("old-cordoned", &[("tag", "gpu")]),
        ("old-disabled", &[]),
    ] {
        keys.servers.insert(id.into(), server(more));
    }
    let found = read(&keys);
    let seen: Vec<_> = found.servers.iter().map(|server| (server.spec.id.as_str(), server.admin)).collect();
    let (enabled, cordoned, disabled) = (AdminState::Enabled, AdminState::Cordoned, AdminState::Disabled);
    assert_eq!(
        seen,
        [
            ("cordoned", cordoned),
            ("disabled", disabled),
            ("enabled", enabled),
            ("old-cordoned", cordoned),
            ("old-disabled", disabled),
            ("old-enabled", enabled)
        ]
    );
    let weights: Vec<_> = found.servers.iter().map(|server| server.spec.weight).collect();
    assert_eq!(weights, [0.4, 1.0, 0.5, 1.0, 1.0, 1.0]);
    assert_eq!(found.servers[3].spec.tags, ["gpu"]);
    assert_eq!(found.servers[0].spec.url, "https://a.test/bigbluebutton/api/");
    assert!(found.faults.is_empty(), "{found:?}");
}

#[test]
fn every_fault_of_a_server_is_reported_with_its_key() {
    let mut keys = keys();
    let all_wrong =
        fields(&[("url", "ftp://x"), ("state", "retired"), ("load_multiplier", "-1"), ("tag", "a b")]);
    keys.servers.insert("a".into(), all_wrong);
    keys.servers.insert("b".into(), RedisHash::Missing);
    let found = read(&keys);
    let faults = faults(&found);
    for word in ["`url`", "`secret`", "`load_multiplier`", "`tag`", "`state`"] {
        let named =
            faults.iter().any(|fault| fault.starts_with("scalelite:server:a: ") && fault.contains(word));
        assert!(named, "{word}: {faults:#?}");
    }
    assert!(faults.iter().any(|fault| fault.starts_with("scalelite:server:b: ")) && found.servers.is_empty());
}

#[test]
fn tenants_bring_secrets_settings_and_no_namesake() {
    let mut keys = keys();
    let tenant =
        |name| fields(&[("name", name), ("secrets", "new:old:"), ("lrs_endpoint", "https://lrs.test")]);
    keys.tenants.insert("1".into(), tenant("school"));
    keys.tenants.insert("2".into(), tenant("school"));
    keys.tenants.insert("3".into(), fields(&[("name", "none"), ("secrets", " : ")]));
    keys.tenant_names.insert("school".into(), "2".into());
    let setting = |param, value, overrides| {
        fields(&[("param", param), ("value", value), ("override", overrides), ("tenant_id", "2")])
    };
    let settings = [
        ("a".to_owned(), setting("record", "false", "true")),
        ("b".to_owned(), setting("logo", "", "false")),
        ("c".to_owned(), setting("meetingID", "x", "true")),
    ];
    keys.settings.insert("2".into(), settings.into());
    let found = read(&keys);
    let [school] = found.tenants.as_slice() else { panic!("{found:?}") };
    assert_eq!(school.secrets, ["new", "old"].map(Secret::new));
    let rules: Vec<_> = school.rules.iter().map(ToString::to_string).collect();
    assert_eq!(rules, ["override:record=false", "default:logo="]);
    let faults = faults(&found);
    for key in ["tenant:1", "tenant:3", "tenant_setting:c"] {
        assert!(
            faults.iter().any(|fault| fault.starts_with(&format!("scalelite:{key}: "))),
            "{key}: {faults:#?}"
        );
    }
    assert!(
        found.notes.iter().any(|note| note.key == "scalelite:tenant:2"),
        "the entry that is not taken over is reported"
    );
}

#[test]
fn meetings_belong_to_their_tenants_and_ended_ones_are_counted() {
    let mut keys = keys();
    keys.servers.insert("a".into(), server(&[]));
    keys.tenants.insert("1".into(), fields(&[("name", "school"), ("secrets", "s")]));
    for (id, entry) in [
        ("東京 /+", fields(&[("server_id", "a"), ("tenant_id", "")])),
        ("room", fields(&[("server_id", "a"), ("tenant_id", "1")])),
        ("whose", fields(&[("server_id", "a"), ("tenant_id", "9")])),
        ("where", fields(&[("server_id", "z")])),
        ("ended", RedisHash::Missing),
    ] {
        keys.meetings.insert(id.into(), entry);
    }
    let found = read(&keys);
    let seen: Vec<_> = found.meetings.iter().map(|meeting| meeting.key.to_string()).collect();
    assert_eq!(seen, ["school/room", "default/東京 /+"]);
    assert_eq!((found.ended, found.faults.len()), (1, 2));
}
