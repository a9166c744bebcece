//! Programs that start before their store: they wait, report the reason, and can be stopped
//! meanwhile.

use anyhow::{Result, ensure};
use usher_harness::{
    admin::TestAdmin,
    cluster::{SECRET, environment_name},
    etcd::EtcdCluster,
    process::{ProgramEnvironment, RunningProgram},
    programs::ProgramKind,
    wait,
};

/// Starts a control plane on `etcd` without waiting until it is ready.
fn control_plane(etcd: &EtcdCluster) -> Result<RunningProgram> {
    let settings = [
        ("control", "127.0.0.1:0"),
        ("ops", "127.0.0.1:0"),
        ("secrets", SECRET),
        ("store.kind", "etcd"),
        ("store.endpoints", &etcd.endpoints().join(",")),
    ];
    let settings: ProgramEnvironment =
        settings.iter().map(|(key, value)| (environment_name(key), (*value).to_owned())).collect();
    RunningProgram::spawn("control plane", ProgramKind::ControlPlane, &[], &settings)
}

async fn reports_that_the_store_is_unreachable(process: &RunningProgram) -> Result<()> {
    wait::until("a line that names the store", || async {
        let reported = |line: &String| line.contains("store unreachable");
        ensure!(process.output().iter().any(reported), "{:#?}", process.output());
        Ok(())
    })
    .await?;
    ensure!(!process.output().iter().any(|line| line.starts_with("ready")), "it is not ready");
    Ok(())
}

/// F7: a control plane starts before its etcd, as after a power failure of the whole site → it
/// serves when etcd is there.
#[tokio::test]
async fn f7_a_control_plane_that_starts_before_its_store_serves_once_that_is_there() -> Result<()> {
    let mut etcd = EtcdCluster::start(1).await?;
    etcd.kill(0)?;
    let mut process = control_plane(&etcd)?;
    reports_that_the_store_is_unreachable(&process).await?;
    etcd.restart(0).await?;
    process.become_ready().await?;
    wait::until("it to lead", || async {
        ensure!(TestAdmin::new(process.address("control")).status().await?.leading, "it does not");
        Ok(())
    })
    .await
}

/// A control plane that waits for its etcd gets SIGTERM → it stops and exits with 0.
#[tokio::test]
async fn a_control_plane_that_waits_for_its_store_can_be_stopped() -> Result<()> {
    let mut etcd = EtcdCluster::start(1).await?;
    etcd.kill(0)?;
    let mut process = control_plane(&etcd)?;
    reports_that_the_store_is_unreachable(&process).await?;
    ensure!(process.terminate().await?.success(), "{:#?}", process.output());
    Ok(())
}
