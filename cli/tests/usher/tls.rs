//! Tests of a control plane behind a proxy that terminates TLS, and of `--ca`.

use usher_harness::{certificates::generate, forwarder::SwitchingForwarder};

use crate::fleet::{TestFleet, settings, usher};

#[tokio::test(flavor = "multi_thread")]
async fn over_tls_a_control_plane_is_trusted_only_with_the_given_ca() {
    let fleet = TestFleet::start(0, &settings()).await;
    let (ours, others) = (tempfile::tempdir().expect("is made"), tempfile::tempdir().expect("is made"));
    let files = generate(ours.path()).expect("is made");
    let (ca, other_ca) = (files.ca.display(), generate(others.path()).expect("is made").ca);
    let proxy = SwitchingForwarder::start_tls(&files).await.expect("listens");
    proxy.lead_to([fleet.standalone.addresses().control]);
    let with = async |ca: &str| usher(&format!("--endpoint {} {ca} status -o json", proxy.url())).await;

    let right = with(&format!("--ca {ca}")).await;
    assert_eq!((right.code, right.json()["leading"].as_bool()), (0, Some(true)), "{right:?}");
    let wrong = with(&format!("--ca {}", other_ca.display())).await;
    assert!(wrong.code == 3 && wrong.out.is_empty() && wrong.error.contains("certificate"), "{wrong:?}");
    let none = with("").await;
    assert!(none.code == 3 && none.error.contains("--ca FILE"), "no CA of the system signed it: {none:?}");
    let missing = with("--ca /nowhere/ca.pem").await;
    assert!(missing.code == 2 && missing.error.contains("--ca /nowhere/ca.pem"), "{missing:?}");
    let key = with(&format!("--ca {}", files.server_key.display())).await;
    assert!(key.code != 0 && key.out.is_empty(), "a file without a CA makes no certificate trusted: {key:?}");
    fleet.stop().await;
}
