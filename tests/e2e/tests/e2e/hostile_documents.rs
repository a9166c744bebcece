//! X6: no request of one tenant takes a server from the other tenants.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Result, ensure};
use usher_bbb::call::ApiCall;
use usher_bbb_sim::{BbbSim, FaultKind, SimFault};
use usher_harness::{
    admin::TestAdmin, client::BbbTestClient, cluster::TestCluster, standalone::RunningStandalone,
};
use usher_proto::v1::Health;

/// The number of requests of each kind; forty took a fleet of three out of placement once.
const REQUESTS: usize = 40;

const DOCUMENT: &str =
    "<modules><module name=\"presentation\"><document name=\"a.txt\">QQ==</document></module></modules>";

/// Bodies to which a server answers with HTTP 500, and one to which only some servers do.
const BODIES: [&str; 5] = [
    "<modules><module",
    "no xml",
    "<!DOCTYPE modules><modules/>",
    "<modules><module name=\"presentation\"><document url=\"/\"/></module></modules>",
    DOCUMENT,
];

async fn hostile_requests(hostile: &BbbTestClient) -> Result<()> {
    hostile.created("own").await?;
    for number in 0..REQUESTS {
        let body = BODIES[number % BODIES.len()];
        let create = format!("meetingID=bad-{number}&name=Bad");
        let answer = hostile.post("create", &create, "application/xml", body).await?;
        ensure!(answer.status == 200, "never a page: {answer:?}");
        let answer = hostile.post("insertDocument", "meetingID=own", "application/xml", body).await?;
        ensure!(answer.status == 200, "never a page: {answer:?}");
        hostile.get("sendChatMessage", "meetingID=own&message=hi").await?;
    }
    Ok(())
}

async fn no_server_leaves_online(
    client: &BbbTestClient,
    admin: &TestAdmin,
    sims: &[BbbSim],
    address: std::net::SocketAddr,
) -> Result<()> {
    admin.add_tenant("hostile", "hostile's secret", &[]).await?;
    let hostile = BbbTestClient::new(address, "unused").for_tenant("hostile", "hostile's secret");
    usher_harness::wait::until("the tenant to be served", || async {
        ensure!(hostile.get("getMeetings", "").await?.is_success());
        Ok(())
    })
    .await?;
    let live: Vec<String> = (0..9).map(|number| format!("live-{number}")).collect();
    for id in &live {
        client.created(id).await?;
    }
    let runs = |sims: &[BbbSim]| {
        let all = sims.iter().flat_map(BbbSim::meetings);
        all.filter(|meeting| meeting.meeting_id.starts_with("live-"))
            .map(|meeting| meeting.internal_id)
            .collect::<std::collections::BTreeSet<_>>()
    };
    let before = runs(sims);
    // Servers answer so to documents from a broken host, and to chat in a meeting that has just
    // ended.
    for sim in sims {
        for call in [ApiCall::InsertDocument, ApiCall::SendChatMessage] {
            sim.faults().set(SimFault::new(FaultKind::Status500).on(call)).await;
        }
    }
    let done = AtomicBool::new(false);
    let watched = async {
        while !done.load(Ordering::Relaxed) {
            for server in admin.servers().await? {
                ensure!(
                    server.health() == Health::Online && server.health_reason.is_empty(),
                    "{} is {:?}: {}",
                    server.name,
                    server.health(),
                    server.health_reason
                );
            }
            tokio::task::yield_now().await;
        }
        Ok(())
    };
    let sent = async {
        let sent = hostile_requests(&hostile).await;
        done.store(true, Ordering::Relaxed);
        sent
    };
    tokio::try_join!(watched, sent)?;
    assert_eq!(runs(sims), before, "every meeting runs on");
    for id in &live {
        client.joined(id).await?;
    }
    client.created("after").await?;
    Ok(())
}

/// X6: on etcd, a tenant sends many documents and chat messages that servers answer with HTTP 500 →
/// every server stays online, and the meetings of others go on.
#[tokio::test]
async fn x6_a_hostile_tenant_takes_no_server_from_the_others_on_etcd() -> Result<()> {
    let cluster = TestCluster::builder().edges(1).start().await?;
    let address = cluster.edges[0].address("listen");
    no_server_leaves_online(&cluster.client(0), &cluster.admin(0), &cluster.sims, address).await
}

/// X6: on the embedded store, a tenant sends many documents and chat messages that servers answer
/// with HTTP 500 → every server stays online, and the meetings of others go on.
#[tokio::test]
async fn x6_a_hostile_tenant_takes_no_server_from_the_others_on_the_embedded_store() -> Result<()> {
    let usher = RunningStandalone::start(3, &[]).await?;
    let address = usher.process.address("listen");
    no_server_leaves_online(&usher.client(), &usher.admin(), &usher.sims, address).await
}
