//! Commands against a control plane that has not read the store.

use std::sync::Arc;

use usher_control_plane::{app::RunningControlPlane, store::etcd::EtcdStore};
use usher_model::settings::StoreSettings;
use usher_runtime::{ops::OpsHandle, tasks::TaskGroup};

use crate::fleet::{settings, usher};

#[tokio::test(flavor = "multi_thread")]
async fn s10_a_control_plane_that_has_not_read_the_store_gets_no_list() {
    // The listener accepts connections and answers none, as an etcd member that hangs.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let endpoint = format!("http://{}", silent.local_addr().expect("has one"));
    let store = StoreSettings { endpoints: vec![endpoint], ..StoreSettings::default() };
    let store = Arc::new(EtcdStore::connect(&store).expect("is well"));
    let (ops, tasks) = (OpsHandle::new(), TaskGroup::new());
    let plane = RunningControlPlane::start(&settings(), store, &ops, &tasks).await.expect("starts");
    let folder = tempfile::tempdir().expect("is made");
    let file = folder.path().join("servers.yml");
    let list = "servers:\n  one:\n    url: http://127.0.0.1:1/bigbluebutton/api\n    secret: s1\n";
    std::fs::write(&file, list).expect("is written");

    let run = async |line: &str| usher(&format!("--endpoint http://{} {line}", plane.grpc_addr())).await;
    for line in ["--dry-run", "--mode force --yes", ""] {
        let said = run(&format!("servers sync {} {line}", file.display())).await;
        assert_eq!((said.code, said.out.as_str()), (3, ""), "{line}: {said:?}");
        assert!(said.error.contains("has not read the store yet"), "{line}: {said:?}");
    }
    assert_eq!(run("servers list").await.code, 3, "an empty list would be a false statement");
    let status = run("status").await;
    assert_eq!(status.code, 0, "{status:?}");
    assert!(status.out.contains("not ready") && !status.out.contains("meetings"), "{status:?}");
    assert_eq!(run("status -o json").await.json()["unread"], true);

    plane.shutdown().await;
    tasks.shutdown().await;
}
