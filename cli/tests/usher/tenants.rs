//! `usher tenants …`.

use serde_json::json;

use crate::fleet::{Fleet, settings};

#[tokio::test(flavor = "multi_thread")]
async fn tenants_are_added_shown_changed_and_removed() {
    let fleet = Fleet::start(0, &settings()).await;
    let said = fleet
        .usher("tenants add school --secret school-secret --host BBB.School.test --disabled -o json")
        .await;
    assert_eq!(said.code, 0, "{said:?}");
    let expected = json!({
        "id": "school", "enabled": false, "secret_count": 1, "hosts": ["bbb.school.test"],
        "meetings": 0, "users": 0,
    });
    assert_eq!(said.json(), expected);
    let again = fleet.usher("tenants add school --secret x").await;
    assert!(again.code == 1 && again.error.contains("exists already"), "{again:?}");
    let taken = fleet.usher("tenants add other --secret x --host bbb.school.test").await;
    assert!(taken.code == 1 && taken.error.contains("tenants/school"), "{taken:?}");

    let said = fleet.usher("tenants update school --enable --no-hosts -o json").await;
    assert_eq!((&said.json()["enabled"], &said.json()["hosts"]), (&json!(true), &json!([])), "{said:?}");
    let list = fleet.usher("tenants list").await;
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
        ("tenants show nobody", "does not exist"),
        ("tenants update nobody --disable", "does not exist"),
    ] {
        let refused = fleet.usher(line).await;
        assert!(refused.code == 1 && refused.error.contains(said), "{line}: {refused:?}");
        assert!(!refused.error.contains("newer") && !refused.error.contains("nonsense"), "{refused:?}");
    }
    for line in ["tenants remove school", "tenants secret remove school --secret newer"] {
        let unasked = fleet.usher(line).await;
        assert!(unasked.code == 2 && unasked.error.contains("--yes"), "{line}: {unasked:?}");
    }
    assert_eq!(fleet.usher("tenants remove school --yes").await.code, 0);
    assert_eq!(fleet.usher("tenants show school").await.code, 1);
    fleet.stop().await;
}
