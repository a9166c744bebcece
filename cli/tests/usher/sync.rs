//! Tests of `usher servers sync` and `usher servers export` (S10).

use std::path::Path;

use usher::{
    core::server_list::{self, ServerSpec},
    standalone::StandaloneUsher,
};

use crate::fleet::{TestFleet, settings};

fn write(folder: &Path, text: &str) -> String {
    let file = folder.join("servers.yml");
    std::fs::write(&file, text).expect("is written");
    file.display().to_string()
}

const LIST: &str = "servers:
  one:
    url: http://127.0.0.1:1/bigbluebutton/api
    secret: s1
    load_multiplier: 1.5
    tag: fast
  two:
    url: http://127.0.0.1:2/bigbluebutton/api
    secret: s2
    enabled: false
";

#[tokio::test(flavor = "multi_thread")]
async fn s10_a_dry_run_writes_nothing_and_a_second_run_does_nothing() {
    let (fleet, folder) = (TestFleet::start(0, &settings()).await, tempfile::tempdir().expect("is made"));
    let file = write(folder.path(), LIST);
    let dry = fleet.usher(&format!("servers sync {file} --dry-run -o json")).await;
    assert_eq!(dry.json().as_array().map(Vec::len), Some(2), "{dry:?}");
    assert_eq!(fleet.usher("servers list -o json").await.json(), serde_json::json!([]));
    let first = fleet.usher(&format!("servers sync {file} -o json")).await;
    assert_eq!((first.code, first.json()), (0, dry.json()), "{first:?}");
    for mode in ["keep", "cordon", "force"] {
        let again = fleet.usher(&format!("servers sync {file} --mode {mode} -o json")).await;
        assert_eq!((again.code, again.json()), (0, serde_json::json!([])), "{mode}: {again:?}");
    }
    let states = fleet.usher("servers list -o json").await.json();
    assert_eq!(
        (states[0]["admin_state"].as_str(), states[1]["admin_state"].as_str()),
        (Some("enabled"), Some("disabled"))
    );
    fleet.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s10_an_exported_list_syncs_as_a_no_op() {
    let (fleet, folder) = (TestFleet::start(0, &settings()).await, tempfile::tempdir().expect("is made"));
    let file = write(folder.path(), LIST);
    assert_eq!(fleet.usher(&format!("servers sync {file}")).await.code, 0);
    let exported = fleet.usher("servers export").await;
    assert!(exported.out.contains("load_multiplier: 1.5"), "{exported:?}");
    let file = write(folder.path(), &exported.out);
    let again = fleet.usher(&format!("servers sync {file} --mode force -o json")).await;
    assert_eq!((again.code, again.json()), (0, serde_json::json!([])), "{again:?}");
    fleet.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s10_unlisted_servers_go_as_the_mode_says_and_only_when_confirmed() {
    let (fleet, folder) = (TestFleet::start(1, &settings()).await, tempfile::tempdir().expect("is made"));
    fleet.add(0).await;
    let create = "meetingID=room&name=Room&attendeePW=ap&moderatorPW=mp";
    assert!(fleet.call("create", create).await.contains("SUCCESS"));
    let file = write(folder.path(), LIST);
    let ids = async || -> Vec<String> {
        let all = fleet.usher("servers list -o json").await.json();
        all.as_array()
            .into_iter()
            .flatten()
            .map(|s| format!("{} {}", s["id"], s["admin_state"]).replace('"', ""))
            .collect()
    };
    assert_eq!(fleet.usher(&format!("servers sync {file} --mode keep")).await.code, 0);
    assert!(ids().await.contains(&"bbb-0 enabled".into()));
    assert_eq!(fleet.usher(&format!("servers sync {file} --mode cordon --allow-shrink 100%")).await.code, 0);
    assert!(ids().await.contains(&"bbb-0 cordoned".into()), "{:?}", ids().await);
    let unconfirmed = fleet.usher(&format!("servers sync {file} --mode force --allow-shrink 100%")).await;
    assert!(
        unconfirmed.code == 2
            && unconfirmed.error.contains("remove bbb-0")
            && unconfirmed.error.contains("--yes"),
        "{unconfirmed:?}"
    );
    let forced = fleet.usher(&format!("servers sync {file} --mode force --allow-shrink 100% --yes")).await;
    assert_eq!(
        (forced.code, ids().await),
        (0, vec!["one enabled".into(), "two disabled".into()]),
        "{forced:?}"
    );
    fleet.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_with_faults_changes_nothing() {
    let (fleet, folder) = (TestFleet::start(0, &settings()).await, tempfile::tempdir().expect("is made"));
    let file = write(
        folder.path(),
        &format!("{LIST}  three:\n    secrt: hunter2\n  four:\n    secret: hunter2\n    enabled: maybe\n"),
    );
    let said = fleet.usher(&format!("servers sync {file}")).await;
    assert!(
        said.code == 2
            && said.error.contains("server `three`: `secrt`")
            && said.error.contains("server `four`: `enabled`"),
        "{said:?}"
    );
    assert!(!said.error.contains("hunter2"));
    assert_eq!(fleet.usher("servers list -o json").await.json(), serde_json::json!([]));
    assert_eq!(fleet.usher("servers sync /nonexistent").await.code, 2);
    fleet.stop().await;
}

/// Checks that the simulated servers run all meetings and that the edge finds each of them.
async fn all_run(fleet: &TestFleet, meetings: usize) {
    let running: usize =
        fleet.sims.iter().map(|sim| sim.meetings().iter().filter(|m| !m.ending).count()).sum();
    assert_eq!(running, meetings, "of the meetings that were created");
    for number in 0..meetings {
        let info = fleet.call("getMeetingInfo", &format!("meetingID=room-{number}")).await;
        assert!(info.contains("<returncode>SUCCESS</returncode>"), "room-{number}: {info}");
    }
}

async fn states(fleet: &TestFleet) -> Vec<String> {
    let all = fleet.usher("servers list -o json").await.json();
    let state = |server: &serde_json::Value| server["admin_state"].as_str().unwrap_or_default().to_owned();
    all.as_array().into_iter().flatten().map(state).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn s10_a_list_that_lost_its_servers_takes_none_away_from_its_meetings() {
    let (fleet, folder) = (TestFleet::start(3, &settings()).await, tempfile::tempdir().expect("is made"));
    for number in 0..3 {
        fleet.add(number).await;
    }
    for number in 0..6 {
        let create = format!("meetingID=room-{number}&name=Room&attendeePW=ap&moderatorPW=mp");
        assert!(fleet.call("create", &create).await.contains("SUCCESS"));
    }
    let empty = write(folder.path(), "servers:\n");
    for mode in ["", "--mode force"] {
        let dry = fleet.usher(&format!("servers sync {empty} {mode} --dry-run -o json")).await;
        assert_eq!(dry.code, 0, "{dry:?}");
        for allowed in ["", "--allow-shrink 34%", "--allow-shrink 99"] {
            let refused = fleet.usher(&format!("servers sync {empty} {mode} --yes {allowed}")).await;
            let counts = "3 of 3 servers out of use, 3 of 3 that have meetings, with 6 meetings and 0 users";
            assert!(refused.code == 1 && refused.error.contains(counts), "{mode} {allowed}: {refused:?}");
            assert!(refused.error.contains("--allow-shrink 100%"), "{refused:?}");
            assert_eq!(states(&fleet).await, ["enabled"; 3], "{mode} {allowed}");
        }
    }
    all_run(&fleet, 6).await;
    // A list may drop one of three servers; --allow-shrink allows all of them, and their meetings continue.
    let exported = server_list::parse(&fleet.usher("servers export").await.out).expect("is a list");
    let two: Vec<ServerSpec> = exported.into_iter().filter(|spec| spec.id.as_str() != "bbb-2").collect();
    let two = write(folder.path(), &server_list::write(&two));
    let said = fleet.usher(&format!("servers sync {two} --yes")).await;
    assert_eq!((said.code, states(&fleet).await[2].as_str()), (0, "cordoned"), "{said:?}");
    let empty = write(folder.path(), "servers:\n");
    let said = fleet.usher(&format!("servers sync {empty} --yes --allow-shrink 100%")).await;
    assert_eq!((said.code, states(&fleet).await), (0, vec!["cordoned".to_owned(); 3]), "{said:?}");
    all_run(&fleet, 6).await;
    for share in ["101%", "x", "1.5%"] {
        assert_eq!(fleet.usher(&format!("servers sync {empty} --allow-shrink {share}")).await.code, 2);
    }
    fleet.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s10_a_start_with_a_list_that_switches_servers_off_takes_none_away_from_its_meetings() {
    let folder = tempfile::tempdir().expect("is made");
    let mut settings = settings();
    settings.data = Some(folder.path().join("data"));
    let mut fleet = TestFleet::start(2, &settings).await;
    for number in 0..2 {
        fleet.add(number).await;
    }
    for number in 0..2 {
        let create = format!("meetingID=room-{number}&name=Room&attendeePW=ap&moderatorPW=mp");
        assert!(fleet.call("create", &create).await.contains("SUCCESS"));
    }
    let exported = fleet.usher("servers export").await.out;
    let off =
        exported.replace("    secret:", "    enabled: false\n    secret:").replace("    enabled: true\n", "");
    let off = server_list::parse(&off).unwrap_or_else(|faults| panic!("{faults}: {off}"));
    assert!(off.len() == 2 && off.iter().all(|spec| !spec.enabled), "{off:?}");
    let added = ServerSpec { id: "third".parse().expect("is an id"), enabled: false, ..off[0].clone() };
    let added = ServerSpec { url: "http://127.0.0.1:1/bigbluebutton/api/".into(), ..added };
    fleet.standalone.stop().await;
    let list = [off, vec![added]].concat();
    fleet.standalone = StandaloneUsher::start(&settings, &list).await.expect("starts nevertheless");
    assert_eq!(states(&fleet).await, ["enabled", "enabled", "disabled"], "the new server is added");
    all_run(&fleet, 2).await;
    fleet.stop().await;
}
