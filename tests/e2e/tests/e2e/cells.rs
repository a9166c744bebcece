//! Several cells behind common edges (ADR 39): each tenant is served by its own cell, and a cell that is down
//! harms no other.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use usher_bbb_sim::BbbSim;
use usher_harness::{
    application::TestApplication,
    cells::{CELLS, CellFleet},
    client::BbbTestClient,
    cluster::{ClusterBuilder, TestCluster},
    figures::metric,
    forwarder::SwitchingForwarder,
    wait,
};
use usher_proto::v1;

use crate::dial_in::{PASSWORD, add_tenant, leads_to};

/// The tenants of the tests, each with its cell.
const TENANTS: [(&str, usize); 2] = [("school", 0), ("college", 1)];

fn small() -> ClusterBuilder {
    TestCluster::builder().control_planes(1).servers(2)
}

/// Waits until the edge serves a tenant.
async fn served(client: &BbbTestClient) -> Result<()> {
    wait::until("the tenant to be served", || async {
        let listed = client.get("getMeetings", "").await?;
        ensure!(listed.is_success(), "{}", listed.body);
        Ok(())
    })
    .await
}

/// Starts two cells with one edge and a tenant in each cell, and waits until the edge serves both.
async fn start(settings: &[(&str, &str)]) -> Result<CellFleet> {
    let fleet = CellFleet::start(small(), settings).await?;
    for (tenant, cell) in TENANTS {
        let host = format!("{tenant}.test");
        fleet.cells[cell].admin(0).add_tenant(tenant, tenant, &[&host]).await?;
    }
    for (tenant, _) in TENANTS {
        served(&fleet.tenant(tenant)).await?;
    }
    Ok(fleet)
}

/// Returns the ids of the meetings on the servers of a cell, as the servers know them, in order.
fn on_servers(fleet: &CellFleet, cell: usize) -> Vec<String> {
    let sims = fleet.cells[cell].sims.iter();
    let running = sims.flat_map(BbbSim::meetings).filter(|meeting| !meeting.ending);
    let mut ids: Vec<String> = running.map(|meeting| meeting.meeting_id).collect();
    ids.sort_unstable();
    ids
}

/// X7: two clusters with equal names of servers behind one edge → each tenant, by path and by host, creates, joins,
/// lists and ends in its own cell, `default` in the first one, and both cells show the edge.
#[tokio::test]
async fn x7_each_tenant_is_served_by_its_own_cell() -> Result<()> {
    let fleet = start(&[]).await?;
    let default = fleet.client(0);
    default.created("room").await?;
    for (tenant, cell) in TENANTS {
        let by_host = fleet.client(0).with_secret(tenant).with_host(&format!("{tenant}.test:8443"));
        for client in [fleet.tenant(tenant), by_host] {
            let created = client.created("room").await?;
            let location = client.joined("room").await?;
            let own = fleet.cells[cell].sims.iter().any(|sim| location.starts_with(sim.base()));
            assert!(own, "{tenant} is sent to {location}");
            let listed = client.get("getMeetings", "").await?;
            assert_eq!(listed.texts("internalMeetingID"), created.texts("internalMeetingID"), "{tenant}");
        }
        let foreign = fleet.tenant(tenant).with_secret(TENANTS[1 - cell].0);
        assert_eq!(foreign.create("room").await?.key(), "checksumError");
    }
    assert_eq!(on_servers(&fleet, 0), ["room", "school~room"]);
    assert_eq!(on_servers(&fleet, 1), ["college~room"]);
    for (cell, records) in [(0, 2), (1, 1)] {
        let admin = fleet.cells[cell].admin(0);
        assert_eq!(admin.meetings().await?.len(), records, "{}", CELLS[cell]);
        let edges: Vec<String> = admin.edges().await?.into_iter().map(|edge| edge.name).collect();
        assert_eq!(edges, ["edges/edge-0"], "{}", CELLS[cell]);
    }
    let ended = fleet.tenant("college").get("end", "meetingID=room&password=mp").await?;
    assert!(ended.is_success(), "{}", ended.body);
    assert!(on_servers(&fleet, 1).is_empty() && on_servers(&fleet, 0).len() == 2);
    let nobody = fleet.tenant("nobody");
    assert_eq!(nobody.get("getMeetings", "").await?.key(), "unsupportedRequest");
    Ok(())
}

/// Checks that a join leads to a server of this cell.
async fn leads_to_cell(fleet: &CellFleet, client: &BbbTestClient, room: &str, cell: usize) -> Result<()> {
    let location = client.joined(room).await?;
    let is_own = fleet.cells[cell].sims.iter().any(|sim| location.starts_with(sim.base()));
    ensure!(is_own, "{room} is not in cell {}: {location}", CELLS[cell]);
    Ok(())
}

/// X7: the control plane and the etcd of one cell are frozen → the other cell's creates and joins go on as before,
/// known meetings of the frozen cell are joined, and its new ids get the retryable error.
#[tokio::test]
async fn x7_a_frozen_cell_harms_no_other() -> Result<()> {
    let fleet = start(&[]).await?;
    let (frozen, other) = (fleet.tenant("school"), fleet.tenant("college"));
    frozen.created("known").await?;
    leads_to_cell(&fleet, &frozen, "known", 0).await?;
    fleet.cells[0].control_planes[0].freeze()?;
    fleet.cells[0].etcd().freeze(0)?;
    // A crowd of creates that wait for the frozen cell is under way meanwhile.
    let waiting: Vec<_> = (0..20)
        .map(|n| {
            let client = frozen.clone();
            tokio::spawn(async move { client.create(&format!("lost-{n}")).await })
        })
        .collect();
    let mut slowest = Duration::ZERO;
    for n in 0..40 {
        let begun = Instant::now();
        other.created(&format!("room-{n}")).await?;
        leads_to_cell(&fleet, &other, &format!("room-{n}"), 1).await?;
        slowest = slowest.max(begun.elapsed());
        leads_to_cell(&fleet, &frozen, "known", 0).await?;
    }
    println!("slowest create and join of the other cell: {slowest:?}");
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
    for answer in waiting {
        let answer = answer.await??;
        assert_eq!(answer.key(), "serverUnavailable", "{}", answer.body);
    }
    wait::until("the age of the table to show it", || async {
        let age = metric(&fleet.edges[0], "usher_routing_table_age_seconds{cell=\"north\"}").await?;
        let other = metric(&fleet.edges[0], "usher_routing_table_age_seconds{cell=\"south\"}").await?;
        ensure!(age > other + 1.0, "{age} and {other}");
        Ok(())
    })
    .await?;
    assert_eq!(fleet.tenant("nobody").create("x").await?.key(), "unsupportedRequest", "all tables were read");
    Ok(())
}

/// X1: an edge starts while the control plane of one cell is down → with the table of that cell on disk it serves the
/// cell's known meetings at once. Without it, the edge is ready after a while, serves the other cell, and answers
/// requests of tenants that it does not know with the retryable error.
#[tokio::test]
async fn x1_an_edge_that_starts_beside_a_dead_cell_serves_the_others_and_its_tables_on_disk() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("table").display().to_string();
    let mut fleet = start(&[("edge.last_good", &file)]).await?;
    for (tenant, _) in TENANTS {
        fleet.tenant(tenant).created("known").await?;
    }
    wait::until("the tables to be on disk", || async {
        for cell in CELLS {
            let table = std::fs::read(format!("{file}.{cell}"))?;
            let has = table.windows(5).any(|part| part == b"known");
            ensure!(has, "{cell}: {} bytes", table.len());
        }
        Ok(())
    })
    .await?;
    fleet.cells[0].control_planes[0].kill()?;
    fleet.replace_edge(0).await?;
    leads_to_cell(&fleet, &fleet.tenant("school"), "known", 0).await?;
    fleet.tenant("college").created("second").await?;
    assert_eq!(fleet.tenant("nobody").create("x").await?.key(), "unsupportedRequest");

    std::fs::remove_file(format!("{file}.{}", CELLS[0]))?;
    fleet.replace_edge(0).await?;
    fleet.tenant("college").created("third").await?;
    leads_to_cell(&fleet, &fleet.tenant("college"), "known", 1).await?;
    let by_host = fleet.client(0).with_secret("school").with_host("school.test");
    for client in [fleet.tenant("school"), by_host, fleet.client(0), fleet.tenant("nobody")] {
        let answer = client.join("known").await?;
        assert_eq!(answer.key(), "serverUnavailable", "{}", answer.body);
    }
    fleet.cells[0].revive_control_plane(0).await?;
    wait::until("the cell to be served again", || async {
        leads_to_cell(&fleet, &fleet.tenant("school"), "known", 0).await
    })
    .await?;

    // Without a table of the second cell, the host of a request may be that of a tenant there. A right checksum
    // shows that `default` is meant.
    fleet.cells[1].control_planes[0].kill()?;
    std::fs::remove_file(format!("{file}.{}", CELLS[1]))?;
    fleet.replace_edge(0).await?;
    let default = fleet.client(0).with_host("college.test");
    default.created("ours").await?;
    leads_to_cell(&fleet, &default, "ours", 0).await?;
    for call in ["join", "create", "getMeetings"] {
        let answer = default.clone().with_secret("college").get(call, "meetingID=known").await?;
        assert_eq!(answer.key(), "serverUnavailable", "{call}: {}", answer.body);
        let answer = fleet.tenant("school").with_secret("wrong").get(call, "meetingID=known").await?;
        assert_eq!(answer.key(), "checksumError", "{call} of a tenant that is certain: {}", answer.body);
    }
    Ok(())
}

/// Enables or disables a tenant in a cell.
async fn enable(fleet: &CellFleet, cell: usize, tenant: &str, enabled: bool) -> Result<()> {
    let tenant =
        v1::Tenant { name: format!("tenants/{tenant}"), enabled: Some(enabled), ..Default::default() };
    let request = v1::UpdateTenantRequest { tenant: Some(tenant), ..Default::default() };
    fleet.cells[cell].admin(0).tenants_client().update_tenant(request).await?;
    Ok(())
}

async fn conflicts(fleet: &CellFleet, expected: f64) -> Result<()> {
    wait::until("the conflict to be counted", || async {
        let count = metric(&fleet.edges[0], "usher_edge_tenant_conflicts").await?;
        ensure!(count.total_cmp(&expected).is_eq(), "{count}");
        Ok(())
    })
    .await
}

/// X7: a tenant is created in a second cell, later or earlier in the order → the conflict is counted, one cell gets
/// its new meetings, and every meeting that runs stays where it is until it ends.
#[tokio::test]
async fn x7_a_tenant_in_two_cells_keeps_its_running_meetings_and_has_one_cell_for_new_ones() -> Result<()> {
    let fleet = start(&[]).await?;
    for (tenant, from) in TENANTS {
        let (client, to) = (fleet.tenant(tenant), 1 - from);
        let first = client.created("running").await?;
        fleet.cells[to].admin(0).add_tenant(tenant, tenant, &[]).await?;
        conflicts(&fleet, 1.0).await?;
        if from == 0 {
            // The new cell is the later one: it gets new meetings once the tenant is disabled in the first.
            client.created("before").await?;
            leads_to_cell(&fleet, &client, "before", from).await?;
            enable(&fleet, from, tenant, false).await?;
        }
        // The edge learns of the change a moment later; what it creates before is ended again.
        let tries = AtomicU32::new(0);
        let after = wait::until("new meetings to be placed in the other cell", || async {
            let id = format!("after-{}", tries.fetch_add(1, Ordering::Relaxed));
            client.created(&id).await?;
            let placed = leads_to_cell(&fleet, &client, &id, to).await;
            if placed.is_err() {
                client.get("end", &format!("meetingID={id}&password=mp")).await?;
            }
            placed.map(|()| id)
        })
        .await?;
        for list in ["getMeetings", "getRecordings"] {
            let answer = client.get(list, "").await?;
            assert_eq!(answer.key(), "serverUnavailable", "no cell knows the whole: {}", answer.body);
        }
        leads_to_cell(&fleet, &client, "running", from).await?;
        let again = client.created("running").await?;
        assert_eq!(again.text("internalMeetingID"), first.text("internalMeetingID"), "it is not split");
        assert!(client.get("end", "meetingID=running&password=mp").await?.is_success());
        let ids = |cell| on_servers(&fleet, cell);
        assert!(!ids(from).contains(&format!("{tenant}~running")), "{:?}", ids(from));
        let name = format!("tenants/{tenant}");
        if from == 0 {
            assert!(client.get("end", "meetingID=before&password=mp").await?.is_success());
        }
        wait::until("the tenant to be deleted in its former cell", || async {
            let request = v1::DeleteTenantRequest { name: name.clone(), ..Default::default() };
            fleet.cells[from].admin(0).tenants_client().delete_tenant(request).await?;
            Ok(())
        })
        .await?;
        conflicts(&fleet, 0.0).await?;
        let listed = client.get("getMeetings", "").await?;
        assert_eq!(listed.texts("meetingID"), [after.as_str()], "{}", listed.body);
        assert!(client.get("getRecordings", "").await?.is_success());
        client.created("running").await?;
        leads_to_cell(&fleet, &client, "running", to).await?;
    }
    Ok(())
}

/// X7: callbacks, events and callers arrive at any edge → each finds the cell that gave the address or the number, and
/// no cell stores or delivers those of another.
#[tokio::test]
async fn x7_callbacks_events_and_callers_find_their_cell() -> Result<()> {
    let (application, forwarder) = (TestApplication::start().await?, SwitchingForwarder::start().await?);
    let public = forwarder.url();
    let builder = small().set("public_url", &public).set("callbacks.allow", "127.0.0.1/32");
    let settings = [("public_url", public.as_str()), ("voice.fsapi_password", PASSWORD)];
    let fleet = CellFleet::start(builder, &settings).await?;
    forwarder.lead_to(fleet.edges.iter().map(|edge| edge.address("listen")));
    application.answer(503);
    for (tenant, cell) in TENANTS {
        let first = 10_000 * u32::try_from(cell + 1)?;
        add_tenant(&fleet.cells[cell].admin(0), tenant, first, first + 9).await?;
    }
    let url = |path: &str| application.url(path).replace(':', "%3A").replace('/', "%2F");
    for (tenant, cell) in TENANTS {
        let client = fleet.tenant(tenant);
        served(&client).await?;
        let hook =
            client.get("hooks/create", &format!("callbackURL={}", url(&format!("/hook/{tenant}")))).await?;
        assert!(hook.is_success(), "{}", hook.body);
        wait::until("every server of the cell to have the hook", || async {
            let counts: Vec<_> = fleet.cells[cell].sims.iter().map(|sim| sim.hooks().len()).collect();
            ensure!(counts.iter().all(|count| *count == 1), "{counts:?}");
            Ok(())
        })
        .await?;
        let query =
            format!("name=Room&meetingID=room&meta_endCallbackUrl={}", url(&format!("/end/{tenant}")));
        let created = client.get("create", &query).await?;
        assert!(created.is_success(), "{}", created.body);
        let number = created.text("voiceBridge").context("it has a number")?.parse()?;
        leads_to(&fleet.edges[0], number, "room", "127.0.0.1").await?;
        let info = client.get("getMeetingInfo", "meetingID=room").await?;
        assert!(info.body.contains(&application.url(&format!("/end/{tenant}"))), "{}", info.body);
        assert!(fleet.cells[cell].sims.iter().any(|sim| sim.end_meeting(&format!("{tenant}~room"))));
    }
    for (tenant, cell) in TENANTS {
        wait::until("the callbacks to be stored in the cell of their tenant", || async {
            let waiting = fleet.cells[cell].admin(0).deliveries().await?;
            ensure!(waiting.len() > 1, "{waiting:?}");
            ensure!(
                waiting.iter().all(|delivery| delivery.tenant == format!("tenants/{tenant}")),
                "{waiting:?}"
            );
            Ok(())
        })
        .await?;
    }
    application.answer(200);
    for (tenant, _) in TENANTS {
        wait::until("callback and events to be delivered", || async {
            let accepted = application.accepted();
            for kind in ["end", "hook"] {
                let path = format!("/{kind}/{tenant}");
                ensure!(accepted.iter().any(|received| received.path.starts_with(&path)), "{path}");
            }
            Ok(())
        })
        .await?;
    }
    let forged = fleet.client(0).fetch(&format!("{public}/usher/callback/forged")).await?;
    assert_eq!(forged.status, 404);
    Ok(())
}
