//! Tests of `usher tenants`.

use serde_json::json;

use crate::fleet::{TestFleet, settings};

#[tokio::test(flavor = "multi_thread")]
async fn tenants_are_added_shown_changed_and_removed() {
    let fleet = TestFleet::start(0, &settings()).await;
    let said = fleet
        .usher("tenants add school --secret school-secret --host BBB.School.test --disabled -o json")
        .await;
    assert_eq!(said.code, 0, "{said:?}");
    let expected = json!({
        "id": "school", "enabled": false, "secret_count": 1, "hosts": ["bbb.school.test"],
        "meetings": 0, "users": 0, "create_rules": [], "join_rules": [],
    });
    assert_eq!(said.json(), expected);
    let again = fleet.usher("tenants add school --secret x").await;
    assert!(again.code == 1 && again.error.contains("exists already"), "{again:?}");
    let taken = fleet.usher("tenants add other --secret x --host bbb.school.test").await;
    assert!(taken.code == 1 && taken.error.contains("tenants/school"), "{taken:?}");

    let said = fleet.usher("tenants update school --enable --no-hosts -o json").await;
    assert_eq!((&said.json()["enabled"], &said.json()["hosts"]), (&json!(true), &json!([])), "{said:?}");
    let rules =
        "--create-rule default:record=true --create-rule cap:duration=60 --join-rule remove:avatarURL";
    let limits = "--max-meetings 2 --max-users 30 --max-duration 90m --server-tag gpu!";
    let said = fleet.usher(&format!("tenants update school {rules} {limits} -o json")).await;
    assert_eq!(said.code, 0, "{said:?}");
    let said = fleet.usher("tenants update school --max-users 0 --no-join-rules -o json").await.json();
    assert_eq!(said["create_rules"], json!(["default:record=true", "cap:duration=60"]), "{said}");
    assert_eq!(
        (&said["join_rules"], &said["max_meetings"], &said["max_duration_seconds"], &said["server_tag"]),
        (&json!([]), &json!(2), &json!(5400), &json!("gpu!")),
        "{said}"
    );
    assert_eq!(said["max_users"], json!(null), "{said}");
    let said = fleet.usher("tenants update school --voice-bridges 10000-19999 -o json").await;
    assert_eq!(said.json()["voice_bridges"], "10000-19999", "{said:?}");
    let said = fleet.usher("tenants update school --no-voice-bridges -o json").await;
    assert_eq!(said.json()["voice_bridges"], json!(null), "{said:?}");
    let backwards = fleet.usher("tenants update school --voice-bridges 19999-10000").await;
    assert!(backwards.code == 2 && backwards.error.contains("--voice-bridges"), "{backwards:?}");
    let twice =
        fleet.usher("tenants update school --create-rule default:a=1 --create-rule default:a=2").await;
    assert!(twice.code == 1 && twice.error.contains("two rules default:a"), "{twice:?}");
    let list = fleet.usher("tenants list").await;
    assert!(list.out.contains("0/2"), "{list:?}");
    assert!(list.out.contains("school") && list.out.contains("default"), "{list:?}");
    assert!(!list.out.contains("secret-") && !list.out.contains("school-secret"), "{list:?}");

    let said = fleet.usher("tenants secret add school --secret newer --first -o json").await;
    assert_eq!(said.json()["secret_count"], 2, "{said:?}");
    let shown = fleet.usher("tenants show school --reveal -o json").await;
    assert_eq!(shown.json()["secrets"], json!(["newer", "school-secret"]), "{shown:?}");
    assert_eq!(fleet.usher("tenants secret remove school --secret school-secret --yes").await.code, 0);
    for (line, said) in [
        ("tenants secret remove school --secret newer --yes", "last secret"),
        ("tenants secret remove school --secret nonsense --yes", "does not exist"),
        ("tenants show missing", "does not exist"),
        ("tenants update missing --disable", "does not exist"),
    ] {
        let refused = fleet.usher(line).await;
        assert!(refused.code == 1 && refused.error.contains(said), "{line}: {refused:?}");
        assert!(!refused.error.contains("newer") && !refused.error.contains("nonsense"), "{refused:?}");
    }
    for line in ["tenants remove school", "tenants secret remove school --secret newer"] {
        let unconfirmed = fleet.usher(line).await;
        assert!(unconfirmed.code == 2 && unconfirmed.error.contains("--yes"), "{line}: {unconfirmed:?}");
    }
    assert_eq!(fleet.usher("tenants remove school --yes").await.code, 0);
    assert_eq!(fleet.usher("tenants show school").await.code, 1);
    fleet.stop().await;
}
