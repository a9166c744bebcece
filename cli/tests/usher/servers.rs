//! Tests of `usher servers` and `usher zombies`.

use usher_bbb::checksum::ChecksumAlgorithm;
use usher_bbb_sim::{BbbSim, FaultKind, SimOptions};

use crate::fleet::{TestFleet, settings, usher};

const CREATE: &str = "meetingID=room&name=Room&attendeePW=ap&moderatorPW=mp";

#[tokio::test(flavor = "multi_thread")]
async fn s5_a_new_server_is_disabled_and_takes_meetings_once_enabled_and_polled() {
    let fleet = TestFleet::start(1, &settings()).await;
    let said = fleet
        .usher(&format!("servers add {} --secret server-secret-0 --id one -o json", fleet.sims[0].url()))
        .await;
    assert_eq!((said.code, said.json()["admin_state"].as_str()), (0, Some("disabled")), "{said:?}");
    assert!(fleet.call("create", CREATE).await.contains("FAILED"));
    let said = fleet.usher("servers enable one -o json").await;
    assert_eq!(said.json()["admin_state"], "enabled", "{said:?}");
    crate::fleet::until("a create succeeds", async || {
        fleet.usher("servers poll one").await;
        fleet.call("create", CREATE).await.contains("<returncode>SUCCESS").then_some(())
    })
    .await;
    fleet.stop().await;
}

const FORGET: &str = "zombies forget room --server bbb-0";

/// The zombie of a panicked server that never returns exists until an operator forgets it.
#[tokio::test(flavor = "multi_thread")]
async fn h15_a_zombie_on_a_dead_server_is_listed_and_can_be_forgotten() {
    let fleet = TestFleet::start(1, &settings()).await;
    fleet.add(0).await;
    assert!(fleet.call("create", CREATE).await.contains("SUCCESS"));
    fleet.sims[0].faults().set(FaultKind::Refuse).await;
    assert_eq!(fleet.usher("servers panic bbb-0 --yes").await.code, 0);
    let listed = fleet.usher("zombies list -o json").await.json();
    let named = |field: &str| listed[0][field].as_str().map(ToOwned::to_owned);
    assert_eq!((named("meeting_id"), named("server")), (Some("room".into()), Some("bbb-0".into())));
    let said = fleet.usher("zombies forget other --server bbb-0 --yes").await;
    assert_eq!(said.code, 1, "{said:?}");
    let said = fleet.usher(&format!("{FORGET} --yes")).await;
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(fleet.usher("zombies list -o json").await.json(), serde_json::json!([]));
    fleet.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s7_a_server_with_meetings_is_removed_only_after_panic_and_confirmation() {
    let fleet = TestFleet::start(1, &settings()).await;
    fleet.add(0).await;
    assert!(fleet.call("create", CREATE).await.contains("SUCCESS"));
    let said = fleet.usher("servers remove bbb-0 --yes").await;
    assert_eq!(said.code, 1, "{said:?}");
    for line in [
        "servers remove bbb-0",
        "servers panic bbb-0",
        "meetings end room",
        "meetings supersede room",
        FORGET,
    ] {
        let said = fleet.usher(line).await;
        assert!(said.code == 2 && said.error.contains("--yes"), "{line}: {said:?}");
    }
    let said = fleet.usher("servers panic bbb-0 --yes -o json").await;
    assert_eq!((said.code, said.json()["admin_state"].as_str()), (0, Some("disabled")), "{said:?}");
    let said = fleet.usher("servers remove bbb-0 --yes").await;
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(fleet.usher("servers list -o json").await.json(), serde_json::json!([]));
    assert_eq!(fleet.usher("zombies list -o json").await.json(), serde_json::json!([]));
    fleet.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_changes_only_the_named_fields() {
    let fleet = TestFleet::start(1, &settings()).await;
    fleet.add(0).await;
    let said = fleet.usher("servers update bbb-0 --weight 2 --tag b --tag a -o json").await;
    assert_eq!(
        (said.json()["weight"].as_f64(), said.json()["tags"].clone()),
        (Some(2.0), serde_json::json!(["a", "b"])),
        "{said:?}"
    );
    let said = fleet.usher("servers update bbb-0 --no-tags --algorithm sha1 -o json").await;
    assert_eq!(said.json()["tags"], serde_json::json!([]), "{said:?}");
    let said = fleet.usher("servers show bbb-0 --reveal -o json").await.json();
    assert_eq!(
        (said["secret"].as_str(), said["weight"].as_f64(), said["checksum_algorithm"].as_str()),
        (Some("server-secret-0"), Some(2.0), Some("sha1"))
    );
    fleet.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn check_names_the_fault_of_a_server_and_its_remedy() {
    let sim = BbbSim::start(SimOptions::new("right")).await.expect("starts");
    let check = async |secret: &str| {
        usher(&format!("servers check {} --secret {secret} --timeout 2s", sim.url())).await
    };
    let right = check("right").await;
    assert!(right.code == 0 && right.out.contains("accepted, signed with sha256"), "{right:?}");
    let wrong = check("wrong").await;
    assert!(wrong.code == 1 && wrong.out.contains("bbb-conf --secret"), "{wrong:?}");
    for (fault, said) in [
        (FaultKind::Status500, "HTTP 500"),
        (FaultKind::Html, "not BigBlueButton's"),
        (FaultKind::CutXml, "not BigBlueButton's"),
    ] {
        sim.faults().set(fault).await;
        let answer = check("right").await;
        assert!(answer.code == 1 && answer.out.contains(said), "{fault:?}: {answer:?}");
        sim.faults().clear().await;
    }
    let url = sim.url();
    sim.stop().await;
    let gone = usher(&format!("servers check {url} --secret right")).await;
    assert!(gone.code == 1 && gone.out.contains("refused"), "{gone:?}");
    assert_eq!(usher(&format!("servers check {url}")).await.code, 2);

    let old = SimOptions { algorithms: vec![ChecksumAlgorithm::Sha1], ..SimOptions::new("right") };
    let old = BbbSim::start(old).await.expect("starts");
    let said = usher(&format!("servers check {} --secret right", old.url())).await;
    assert!(said.code == 1 && said.out.contains("use --algorithm sha1"), "{said:?}");
    old.stop().await;
}
