use std::time::Duration;

use proptest::prelude::*;

use super::*;
use usher_bbb::secret::Secret;
use usher_model::settings::StoreKind;

fn env(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
}

fn with_file(text: &str) -> SettingSource {
    SettingSource { file: Some(("usher.toml".into(), text.into())), ..SettingSource::default() }
}

fn with_env(pairs: &[(&str, &str)]) -> SettingSource {
    SettingSource { env: env(pairs), ..SettingSource::default() }
}

fn faults(source: &SettingSource) -> Vec<String> {
    match load(source) {
        Ok(_) => Vec::new(),
        Err(faults) => faults.0.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn flags_win_over_environment_over_file_over_defaults() {
    let mut source =
        with_file("[health]\ninterval = \"20s\"\nhealthy_threshold = 4\n[placement]\nmin_users = 7\n");
    source.env = env(&[
        ("USHER_HEALTH__INTERVAL", "30s"),
        ("USHER_HEALTH__HEALTHY_THRESHOLD", "5"),
        ("POLL_INTERVAL", "90"),
    ]);
    source.flags =
        vec![CommandLineFlag { name: "--interval", key: "health.interval", values: vec!["40s".into()] }];
    let (settings, _) = load(&source).expect("loads");
    assert_eq!(settings.health.interval, Duration::from_secs(40));
    assert_eq!(settings.health.healthy_threshold, 5);
    assert_eq!(settings.placement.min_users, 7);
    assert_eq!(settings.health.deadline, Duration::from_secs(5));
}

#[test]
fn a_program_brings_its_own_defaults() {
    let mut source = with_file("[leader]\nttl = \"7s\"");
    source.base.store.kind = StoreKind::Embedded;
    let (settings, _) = load(&source).expect("loads");
    assert_eq!((settings.store.kind, settings.leader.ttl.as_secs()), (StoreKind::Embedded, 7));
}

#[test]
fn every_fault_is_reported_at_once_with_origin_problem_and_remedy() {
    let mut source = with_file(
        "lisen = \"127.0.0.1:1\"\n[health]\ninterval = 5\n[edge]\ntls_cert = \"c.pem\"\n[nonsense]\na = 1\n",
    );
    source.env = env(&[
        ("USHER_LEADER__TTL", "1500ms"),
        ("USHER_HELTH__DEADLINE", "1s"),
        ("USHER_STORE__KIND", "sqlite"),
    ]);
    source.flags = vec![CommandLineFlag { name: "--control", key: "control", values: vec![":9090".into()] }];
    let found = faults(&source);
    for expected in [
        "usher.toml: lisen is not a setting; did you mean `listen`?",
        "usher.toml: health.interval has no unit; write it as",
        "usher.toml: edge.tls_cert and edge.tls_key go together (edge.tls_cert = \"c.pem\" from usher.toml, edge.tls_key = not set by default); set both",
        "usher.toml: nonsense is not a setting",
        "environment USHER_LEADER__TTL: leader.ttl must be whole seconds, at least 2s",
        "environment USHER_HELTH__DEADLINE: USHER_HELTH__DEADLINE is not a setting; did you mean `USHER_HEALTH__DEADLINE`?",
        "environment USHER_STORE__KIND: store.kind is not one of the choices; write `etcd` `embedded`",
        "--control: control has no address; write IP:PORT",
    ] {
        assert!(found.iter().any(|fault| fault.starts_with(expected)), "{expected}\nnot in {found:#?}");
    }
    assert_eq!(found.len(), 8, "{found:#?}");
}

#[test]
fn settings_that_contradict_each_other_are_refused() {
    let secret_file = |text: &str| with_file(text);
    for (text, key) in [
        ("listen = \"127.0.0.1:9090\"", "listen"),
        ("public_url = \"bbb.example.org\"", "public_url"),
        ("control = \"0.0.0.0:9090\"", "control"),
        ("secrets = [\"\"]", "secrets"),
        ("[admin]\ntoken = \"\"", "admin.token"),
        ("[admin]\ntoken = \"ü\"", "admin.token"),
        ("[store]\nendpoints = []", "store.endpoints"),
        ("[store]\nendpoints = [\"http://root:pw@10.0.0.1:2379\"]", "store.endpoints"),
        ("[store]\nprefix = \"/usher\"", "store.prefix"),
        ("[store]\nuser = \"root\"", "store.user"),
        ("[store]\nkey = \"k.pem\"", "store.cert"),
        ("[leader]\nttl = \"1s\"", "leader.ttl"),
        ("[leader]\nreplica = \"a b\"", "leader.replica"),
        ("[health]\ndeadline = \"10s\"", "health.deadline"),
        ("[health]\nconnect_timeout = \"5s\"", "health.connect_timeout"),
        ("[health]\nhealthy_threshold = 0", "health.healthy_threshold"),
        (
            "[health]\nunhealthy_after = \"30s\"\n[meetings]\ncreate_timeout = \"30s\"",
            "meetings.create_timeout",
        ),
        ("[health]\nmass_failure_guard = 1.5", "health.mass_failure_guard"),
        ("[placement]\npanic_threshold = -0.1", "placement.panic_threshold"),
        ("[placement]\nmax_inflight_creates = 0", "placement.max_inflight_creates"),
        ("[meetings]\ncreate_timeout = \"60s\"", "meetings.create_timeout"),
        ("[meetings]\ncall_timeout = \"0\"", "meetings.call_timeout"),
        ("[meetings]\nupload_timeout = \"29s\"", "meetings.upload_timeout"),
        ("[meetings]\ncall_timeout = \"50s\"\nupload_timeout = \"40s\"", "meetings.upload_timeout"),
        ("[meetings]\nrecordings_timeout = \"9s\"", "meetings.recordings_timeout"),
        ("[meetings]\nshare_lists_for = \"11s\"", "meetings.share_lists_for"),
        ("[edge]\ncontrol_plane = []", "edge.control_plane"),
        ("[edge]\ncontrol_plane = [\"127.0.0.1:9090\"]", "edge.control_plane"),
        ("[edge]\nmax_body = 0", "edge.max_body"),
        ("[edge]\nproxy_protocol_from = [\"10.0.0.0/33\"]", "edge.proxy_protocol_from"),
        ("[telemetry]\nlog = \"usher=loud\"", "telemetry.log"),
        ("[telemetry]\notlp_endpoint = \"collector\"", "telemetry.otlp_endpoint"),
    ] {
        let faults = load(&secret_file(text)).expect_err(text).0;
        assert_eq!(
            faults.iter().map(|fault| fault.key.as_str()).collect::<Vec<_>>(),
            [key],
            "{text}: {faults:#?}"
        );
    }
}

#[test]
fn a_control_port_for_other_machines_needs_a_guard() {
    assert!(load(&with_file("control = \"0.0.0.0:9090\"\n[admin]\ntoken = \"t\"")).is_ok());
    assert!(load(&with_file("control = \"0.0.0.0:9090\"\n[admin]\ninsecure = true")).is_ok());
    assert!(load(&with_file("control = \"[::1]:9090\"")).is_ok());
}

#[test]
fn broken_toml_is_a_fault_that_does_not_quote_the_line() {
    let found = faults(&with_file("[health]\nsecrets = [\"hunter2\"\nlisten"));
    assert!(
        found.len() == 1 && found[0].contains("is not TOML") && !found[0].contains("hunter2"),
        "{found:?}"
    );
}

#[test]
fn i14_no_fault_warning_or_debug_output_holds_a_secret() {
    let mut source = with_file(
        "secrets = [\"hunter2\", \"\"]\n[store]\npassword = \"hunter2\"\n[admin]\ntoken = \"hunter2\\u0007\"",
    );
    source.env = env(&[("LOADBALANCER_SECRET", "hunter2"), ("USHER_ADMIN__INSECURE", "hunter2")]);
    source.flags = vec![CommandLineFlag {
        name: "--secret",
        key: "secrets",
        values: vec!["hunter2".into(), " ".into()],
    }];
    let text = format!("{:?} {:?} {source:?}", load(&source), faults(&source));
    assert!(text.contains("is empty") && !text.contains("hunter2"), "{text}");
    let (settings, _) =
        load(&with_file("secrets = [\"hunter2\"]\n[admin]\ntoken = \"hunter2\"")).expect("loads");
    assert!(!format!("{settings:?}{}", print(&settings)).contains("hunter2"));
}

#[test]
fn printed_settings_load_back_with_secrets_masked() {
    let mut source = with_file(
        "secrets = [\"a\", \"b\"]\ndata = \"./d\"\n[edge]\nmax_body = \"1MiB\"\nproxy_protocol_from = [\"10.0.0.0/8\"]\n[admin]\ntoken = \"t\"",
    );
    let (settings, _) = load(&source).expect("loads");
    let printed = print(&settings);
    assert!(printed.contains("secrets = [\"***\", \"***\"]") && printed.contains("\n[edge]\n"), "{printed}");
    source.file = Some(("printed.toml".into(), printed.clone()));
    assert!(faults(&source).iter().all(|fault| fault.contains("is `***`")) && faults(&source).len() == 2);
    source.masked = true;
    let (again, _) = load(&source).expect("loads back");
    assert_eq!(print(&again), printed);
    let masked = Secret::new("***");
    let expected = Settings { secrets: vec![masked.clone(), masked.clone()], ..settings };
    assert_eq!(Settings { admin: expected.admin.clone(), ..again.clone() }, expected);
    assert_eq!(again.admin.token, Some(masked));
}

#[test]
fn cells_are_read_from_file_and_environment_and_printed_masked() {
    let file = "[[edge.cells]]\nname = \"north\"\ncontrol_plane = [\"http://n1:9090\", \"http://n2:9090\"]\ntoken = \"hunter2\"\n\
                [[edge.cells]]\nname = \"south\"\ncontrol_plane = [\"http://s1:9090\"]\n";
    let json = r#"[{"name": "north", "control_plane": ["http://n1:9090", "http://n2:9090"], "token": "hunter2"},
                   {"name": "south", "control_plane": ["http://s1:9090"]}]"#;
    let (settings, _) = load(&with_file(file)).expect("loads");
    assert_eq!(settings.edge.cells.len(), 2);
    assert_eq!(settings.edge.cells[0].token, Some(Secret::new("hunter2")));
    assert_eq!(load(&with_env(&[("USHER_EDGE__CELLS", json)])).expect("loads").0, settings);
    assert_eq!(load(&with_env(&[("USHER_EDGE__CELLS", "")])).expect("loads").0, Settings::default());
    let printed = print(&settings);
    assert!(!format!("{settings:?}{printed}").contains("hunter2"), "{printed}");
    let mut again = with_file(&printed);
    assert!(faults(&again).iter().any(|fault| fault.contains("edge.cells is `***`")), "{:?}", faults(&again));
    let masked = json.replace("hunter2", "***");
    assert!(faults(&with_env(&[("USHER_EDGE__CELLS", &masked)]))[0].contains("edge.cells is `***`"));
    again.masked = true;
    assert_eq!(print(&load(&again).expect("loads back").0), printed);
}

#[test]
fn every_fault_of_the_cells_is_reported_at_once() {
    let mut source = with_file(
        "[edge]\ncontrol_plane = [\"http://a:1\"]\n[[edge.cells]]\nname = \"a\"\ncontrol_plane = []\n\
         [[edge.cells]]\nname = \"a\"\ncontrol_plane = [\"b\"]\n",
    );
    let found = faults(&source);
    assert_eq!(found.len(), 4, "{found:#?}");
    assert!(found.iter().all(|fault| fault.starts_with("usher.toml: edge.cells ")), "{found:#?}");
    source.file = Some(("usher.toml".into(), "[[edge.cells]]\nnam = \"a\"\nname = 1\ntoken = [2]\n".into()));
    let found = faults(&source);
    assert!(found.len() == 1 && found[0].contains("`nam`") && found[0].contains("token"), "{found:#?}");
    for (text, part) in [("edge.cells = 1", "list of cells"), ("edge.cells = [1]", "list of cells")] {
        assert!(faults(&with_file(text))[0].contains(part), "{text}");
    }
    assert!(faults(&with_env(&[("USHER_EDGE__CELLS", "north")]))[0].contains("JSON array"));
}

#[test]
fn every_setting_can_be_set_by_its_printed_value_from_the_environment() {
    let full = Settings::default();
    for key in KEYS.iter().filter(|key| !key.secret) {
        let Some(value) = (key.show)(&full) else { continue };
        let text = match &value {
            toml::Value::String(text) => text.clone(),
            toml::Value::Array(items) => {
                items.iter().filter_map(|item| item.as_str()).collect::<Vec<_>>().join(",")
            }
            other => other.to_string(),
        };
        let (settings, _) = load(&with_env(&[(&key.env_name(), &text)])).expect(key.name);
        assert_eq!(settings, full, "{}", key.name);
    }
}

#[test]
fn scalelites_environment_is_understood() {
    let (settings, warnings) = load(&with_env(&[
        ("LOADBALANCER_SECRET", "one"),
        ("LOADBALANCER_SECRETS", "two:one:three"),
        ("URL_HOST", "bbb.example.org"),
        ("POLL_INTERVAL", "20"),
        ("SERVER_HEALTHY_THRESHOLD", "2"),
        ("SERVER_UNHEALTHY_THRESHOLD", "4"),
        ("CONNECT_TIMEOUT", "1.5"),
        ("RESPONSE_TIMEOUT", "12"),
        ("LOAD_MIN_USER_COUNT", "20"),
        ("LOAD_JOIN_BUFFER_TIME", "10"),
        ("MAX_MEETING_DURATION", "90"),
        ("CREATE_EXCLUDE_PARAMS", "logo,welcome"),
        ("JOIN_EXCLUDE_PARAMS", ""),
        ("GET_MEETINGS_API_DISABLED", "TRUE"),
        ("VOICE_BRIDGE_LEN", "6"),
        ("VOICE_BRIDGE_MIN", "6"),
        ("VOICE_BRIDGE_MAX", "8"),
        ("FSAPI_PASSWORD", "fs"),
        ("FSAPI_MAX_DURATION", "120"),
        ("POLLER_THREADS", "5"),
        ("DATABASE_URL", "postgres://user:hunter2@db"),
    ]))
    .expect("loads");
    assert_eq!(settings.secrets, ["one", "two", "three"].map(Secret::new));
    assert_eq!(settings.public_url.as_deref(), Some("https://bbb.example.org"));
    let health = &settings.health;
    assert_eq!(
        (health.interval.as_secs(), health.healthy_threshold, health.unhealthy_after.as_secs()),
        (20, 2, 80)
    );
    assert_eq!((health.connect_timeout.as_millis(), settings.meetings.call_timeout.as_secs()), (1500, 12));
    assert_eq!((settings.placement.min_users, settings.placement.join_buffer.as_secs()), (20, 600));
    assert_eq!(settings.meetings.max_duration.as_secs(), 5400);
    assert_eq!(settings.meetings.create_exclude, ["logo", "welcome"]);
    assert!(settings.meetings.get_meetings_disabled);
    let voice = &settings.voice;
    assert_eq!(voice.bridges.map(|range| range.to_string()).as_deref(), Some("100000-999999"));
    assert_eq!((voice.pin_min, voice.pin_max, voice.max_call.as_secs()), (6, 8, 7200));
    assert_eq!(voice.fsapi_password, Some(Secret::new("fs")));
    let named: Vec<String> = warnings.iter().map(ToString::to_string).collect();
    assert!(
        named.iter().any(|w| w.starts_with("environment POLLER_THREADS: is a setting of Scalelite's")),
        "{named:?}"
    );
    assert!(named.iter().any(|w| w.contains("DATABASE_URL")) && !named.iter().any(|w| w.contains("hunter2")));
    assert_eq!(named.len(), 2, "{named:?}");
}

#[test]
fn an_usher_name_hides_scalelites() {
    let (settings, _) =
        load(&with_env(&[("POLL_INTERVAL", "nonsense"), ("USHER_HEALTH__INTERVAL", "12s")])).expect("loads");
    assert_eq!(settings.health.interval.as_secs(), 12);
    assert!(faults(&with_env(&[("POLL_INTERVAL", "nonsense")]))[0].contains("is not a number of seconds"));
}

#[test]
fn scalelites_values_are_given_room() {
    let pairs = [("POLL_INTERVAL", "4"), ("CONNECT_TIMEOUT", "5"), ("SERVER_UNHEALTHY_THRESHOLD", "2")];
    let (settings, warnings) = load(&with_env(&pairs)).expect("loads");
    let health = &settings.health;
    assert_eq!(
        (health.interval.as_secs(), health.deadline.as_secs(), health.connect_timeout.as_secs()),
        (4, 2, 1)
    );
    assert_eq!(health.unhealthy_after.as_secs(), 34);
    assert_eq!(warnings.len(), 2, "{warnings:?}");
}

#[test]
fn defaults_adapt_to_written_settings() {
    let (settings, warnings) =
        load(&with_file("[health]\ninterval = \"2s\"\nunhealthy_after = \"12s\"")).expect("loads");
    let health = &settings.health;
    assert_eq!((health.deadline.as_millis(), health.connect_timeout.as_millis()), (1000, 500));
    assert_eq!(settings.meetings.create_timeout.as_secs(), 6);
    let (patient, _) = load(&with_file("[meetings]\ncall_timeout = \"10m\"")).expect("loads");
    assert_eq!(patient.meetings.upload_timeout.as_secs(), 600);
    assert_eq!(patient.meetings.recordings_timeout.as_secs(), 600);
    assert!(warnings.is_empty(), "{warnings:?}");
}

#[test]
fn common_names_are_not_taken_for_scalelites() {
    let (_, warnings) = load(&with_env(&[("PORT", "3000"), ("DATABASE_URL", "x")])).expect("loads");
    assert!(warnings.is_empty(), "{warnings:?}");
}

#[test]
fn variables_that_kubernetes_makes_of_services_are_not_settings() {
    let pairs = [
        ("USHER_SERVICE_HOST", "10.0.0.1"),
        ("USHER_CONTROL_PLANE_SERVICE_PORT_GRPC", "9090"),
        ("USHER_EDGE_PORT", "tcp://10.0.0.1:8080"),
        ("USHER_EDGE_PORT_8080_TCP_ADDR", "10.0.0.1"),
    ];
    assert!(faults(&with_env(&pairs)).is_empty());
}

/// `POLL_INTERVAL=60` alone once made a server offline after one failed poll, which split a meeting.
#[test]
fn h16_a_time_to_offline_of_less_than_three_polls_is_three_polls_and_warns_at_start() {
    for (source, names) in [
        (
            with_env(&[("POLL_INTERVAL", "60")]),
            ["\"1m\" by default", "\"1m\" from environment POLL_INTERVAL"],
        ),
        (
            with_file("[health]\ninterval = \"60s\"\nunhealthy_after = \"90s\""),
            ["\"90s\" from usher.toml", "\"1m\" from usher.toml"],
        ),
    ] {
        let (settings, warnings) = load(&source).expect("loads");
        assert_eq!(settings.health.unhealthy_threshold(), 3);
        assert_eq!(settings.health.time_to_offline(), Duration::from_mins(3));
        let [warning] = &warnings[..] else { panic!("{warnings:?}") };
        let (after, interval) = (names[0], names[1]);
        let told = [
            &format!("health.unhealthy_after = {after}"),
            &format!("health.interval = {interval}"),
            "3 failed polls, which is \"3m\"",
        ];
        assert!(told.iter().all(|part| warning.message.contains(*part)), "{warning}");
    }
    for fits in ["", "[health]\ninterval = \"20s\"", "[health]\ninterval = \"1m\"\nunhealthy_after = \"3m\""]
    {
        assert!(load(&with_file(fits)).expect("loads").1.is_empty(), "{fits}");
    }
}

#[test]
fn h16_a_create_may_take_as_long_as_a_server_takes_to_be_offline() {
    let slow = "[health]\ninterval = \"60s\"\n[meetings]\ncreate_timeout = ";
    assert!(load(&with_file(&format!("{slow}\"179s\""))).is_ok(), "three polls are 180 s");
    assert!(faults(&with_file(&format!("{slow}\"180s\"")))[0].contains("meetings.create_timeout"));
    let (settings, _) =
        load(&with_file("[health]\ninterval = \"60s\"\nunhealthy_after = \"20s\"")).expect("loads");
    assert_eq!(settings.meetings.create_timeout.as_secs(), 30, "20 s are not what holds");
}

/// Scalelite: a server is offline after so many failed polls, one every `POLL_INTERVAL`, 60 s by default.
#[test]
fn h16_scalelites_operators_get_at_least_its_patience() {
    for (interval, polls) in [
        (None, None),
        (None, Some(2)),
        (None, Some(4)),
        (Some(5), None),
        (Some(5), Some(30)),
        (Some(20), Some(2)),
        (Some(60), None),
        (Some(60), Some(1)),
        (Some(60), Some(2)),
        (Some(90), Some(5)),
        (Some(300), None),
    ] {
        for ours in [None, Some("2s"), Some("10s"), Some("60s")] {
            let mut pairs = vec![];
            let (interval_text, polls_text) = (interval.map(|n| n.to_string()), polls.map(|n| n.to_string()));
            pairs.extend(interval_text.as_deref().map(|text| ("POLL_INTERVAL", text)));
            pairs.extend(polls_text.as_deref().map(|text| ("SERVER_UNHEALTHY_THRESHOLD", text)));
            pairs.extend(ours.map(|text| ("USHER_HEALTH__INTERVAL", text)));
            let (settings, _) = load(&with_env(&pairs)).expect("loads");
            let said = interval.is_some() || polls.is_some();
            let theirs = Duration::from_secs(interval.unwrap_or(60)) * polls.unwrap_or(2);
            let least =
                if said && (polls.is_some() || ours.is_none()) { theirs } else { Duration::from_mins(1) };
            let health = &settings.health;
            assert!(health.time_to_offline() >= least, "{pairs:?}: {health:?}");
            assert!(health.unhealthy_threshold() >= 3, "{pairs:?}: {health:?}");
        }
    }
}

proptest! {
    #[test]
    fn no_input_makes_the_loader_panic(text in "\\PC{0,200}", name in "[A-Z_]{0,20}", value in "\\PC{0,20}") {
        let mut source = with_file(&text);
        source.env = vec![(format!("USHER_{name}"), value.clone()), ("POLL_INTERVAL".into(), value.clone()), ("USHER_HEALTH__INTERVAL".into(), value)];
        prop_assert!(load(&source).map(|(settings, _)| print(&settings)).map_err(|faults| faults.to_string()).is_ok_and(|t| !t.is_empty()) || !faults(&source).is_empty());
    }
}

#[test]
fn the_operators_guide_lists_every_setting_in_order() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/operate/configuration.md");
    let page = std::fs::read_to_string(page).expect("is in the repository");
    let documented: Vec<&str> = page
        .lines()
        .filter(|line| line.starts_with("| `"))
        .flat_map(|line| line.split('|').nth(1).unwrap_or_default().split(','))
        .map(|name| name.trim().trim_matches('`'))
        .collect();
    assert_eq!(documented, KEYS.iter().map(|key| key.name).collect::<Vec<_>>());
}
