//! Tests of lists with conditions, orders and names that do not exist.

use crate::fleet::{TestFleet, settings};

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_filtered_ordered_and_limited() {
    let fleet = TestFleet::start(2, &settings()).await;
    fleet.add(0).await;
    fleet.add(1).await;
    for room in ["room-a", "room-b", "room-c"] {
        assert!(fleet.call("create", &format!("meetingID={room}&name={room}")).await.contains("SUCCESS"));
    }
    let rows = async |line: &str| {
        let said = fleet.usher(&format!("{line} -o json")).await;
        assert_eq!(said.code, 0, "{line}: {said:?}");
        said.json().as_array().expect("is a list").clone()
    };
    assert_eq!(rows("servers list --filter health=online --order-by load --limit 1").await.len(), 1);
    assert_eq!(rows("servers list --filter state!=enabled").await.len(), 0);
    assert_eq!(rows("meetings list --filter id=room-b").await[0]["meeting_id"], "room-b");
    assert_eq!(rows("meetings list --limit 2").await.len(), 2);
    assert_eq!(rows("meetings list --order-by age").await.len(), 3);
    let empty = fleet.usher("servers list --filter state=disabled").await;
    assert!(empty.code == 0 && empty.out.is_empty(), "{empty:?}");
    let faulty = fleet.usher("meetings list --filter user>3").await;
    assert!(
        faulty.code == 1 && faulty.error.contains("`user`") && faulty.error.contains("users"),
        "{faulty:?}"
    );
    fleet.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_does_not_exist_is_no_empty_list() {
    let fleet = TestFleet::start(1, &settings()).await;
    fleet.add(0).await;
    for (line, name) in [
        ("meetings list --server nope", "servers/nope"),
        ("meetings list --tenant nope", "tenants/nope"),
        ("hooks list --tenant nope", "tenants/nope"),
        ("deliveries list --tenant nope", "tenants/nope"),
    ] {
        let said = fleet.usher(line).await;
        assert!(said.code == 1 && said.error.contains(name), "{line}: {said:?}");
    }
    for line in
        ["meetings list --server bbb-0", "meetings list --tenant default", "hooks list --tenant default"]
    {
        assert_eq!(fleet.usher(line).await.code, 0, "{line}");
    }
    fleet.stop().await;
}
