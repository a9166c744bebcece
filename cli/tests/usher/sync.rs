//! `usher servers sync` and `export` (S10).

use std::path::Path;

use crate::fleet::{Fleet, settings};

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
    let (fleet, folder) = (Fleet::start(0, &settings()).await, tempfile::tempdir().expect("is made"));
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
async fn s10_what_is_exported_syncs_as_a_no_op() {
    let (fleet, folder) = (Fleet::start(0, &settings()).await, tempfile::tempdir().expect("is made"));
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
async fn s10_unlisted_servers_go_as_the_mode_says_and_not_unasked() {
    let (fleet, folder) = (Fleet::start(1, &settings()).await, tempfile::tempdir().expect("is made"));
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
    assert_eq!(fleet.usher(&format!("servers sync {file} --mode cordon")).await.code, 0);
    assert!(ids().await.contains(&"bbb-0 cordoned".into()), "{:?}", ids().await);
    let unasked = fleet.usher(&format!("servers sync {file} --mode force")).await;
    assert!(
        unasked.code == 2 && unasked.error.contains("remove bbb-0") && unasked.error.contains("--yes"),
        "{unasked:?}"
    );
    let forced = fleet.usher(&format!("servers sync {file} --mode force --yes")).await;
    assert_eq!(
        (forced.code, ids().await),
        (0, vec!["one enabled".into(), "two disabled".into()]),
        "{forced:?}"
    );
    fleet.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_with_faults_changes_nothing() {
    let (fleet, folder) = (Fleet::start(0, &settings()).await, tempfile::tempdir().expect("is made"));
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
