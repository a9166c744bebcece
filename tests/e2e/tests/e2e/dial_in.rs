//! Voice bridges of meetings over a whole fleet, and the routes of callers.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use futures::future::try_join_all;
use quick_xml::{Reader, XmlVersion, events::Event};
use usher_harness::{
    admin::TestAdmin, client::BbbTestClient, cluster::TestCluster, figures::metric, process::RunningProgram,
    standalone::RunningStandalone, wait,
};
use usher_proto::v1;

pub(crate) const PASSWORD: &str = "a telephone system's password";

/// Adds a tenant whose secret is its name.
pub(crate) async fn add_tenant(admin: &TestAdmin, id: &str, first: u32, last: u32) -> Result<()> {
    let voice_bridges = Some(v1::VoiceRange { first, last });
    let policy = v1::TenantPolicy { voice_bridges, ..Default::default() };
    let tenant = v1::Tenant { secrets: vec![id.to_owned()], policy: Some(policy), ..Default::default() };
    admin.create_tenant(id, tenant).await?;
    Ok(())
}

async fn set_range(admin: &TestAdmin, id: &str, first: u32, last: u32) -> Result<()> {
    let voice_bridges = Some(v1::VoiceRange { first, last });
    let policy = v1::TenantPolicy { voice_bridges, ..Default::default() };
    let tenant = v1::Tenant { name: format!("tenants/{id}"), policy: Some(policy), ..Default::default() };
    let request = v1::UpdateTenantRequest { tenant: Some(tenant), ..Default::default() };
    admin.tenants_client().update_tenant(request).await?;
    Ok(())
}

/// Waits until the edge serves the tenant.
async fn known(client: &BbbTestClient) -> Result<()> {
    wait::until("the tenant to be known", || async {
        let answer = client.get("getMeetings", "").await?;
        ensure!(answer.key() == "noMeetings", "{}", answer.body);
        Ok(())
    })
    .await
}

/// Creates a meeting; returns the voice bridge that its server reports.
async fn number(client: &BbbTestClient, room: &str) -> Result<u32> {
    let created = client.created(room).await?;
    Ok(created.text("voiceBridge").context("it has a number")?.parse()?)
}

/// Requests the dial plan of a caller who typed `pin`; returns the applications and data of the
/// actions.
async fn route(
    edge: &RunningProgram,
    password: &str,
    pin: &str,
) -> Result<Result<Vec<(String, String)>, u16>> {
    let form = format!("section=dialplan&Caller-Destination-Number={pin}&variable_pin={pin}");
    let request = reqwest::Client::new()
        .post(format!("http://{}/fsapi", edge.address("listen")))
        .basic_auth("fsapi", Some(password))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form);
    let answer = request.send().await?;
    if answer.status() != 200 {
        return Ok(Err(answer.status().as_u16()));
    }
    let body = answer.text().await?;
    let (mut reader, mut actions) = (Reader::from_str(&body), Vec::new());
    loop {
        match reader.read_event()? {
            Event::Eof => return Ok(Ok(actions)),
            Event::Empty(element) if element.name().as_ref() == "action" => {
                let value = |name: &str| -> Result<String> {
                    let Some(attribute) = element.try_get_attribute(name)? else { return Ok(String::new()) };
                    Ok(attribute.normalized_value(XmlVersion::Implicit1_0)?.into_owned())
                };
                actions.push((value("application")?, value("data")?));
            }
            _ => {}
        }
    }
}

/// Checks that a caller with this number reaches that meeting on that host.
pub(crate) async fn leads_to(edge: &RunningProgram, number: u32, room: &str, host: &str) -> Result<()> {
    wait::until("a caller to be connected", || async {
        let route = route(edge, PASSWORD, &number.to_string()).await?;
        let route = route.map_err(|status| anyhow::anyhow!("{status}"))?;
        let has = |application: &str, data: String| route.contains(&(application.to_owned(), data));
        ensure!(has("set", format!("meeting_id={room}")), "{route:?}");
        ensure!(has("bridge", format!("sofia/external/{number}@{host}")), "{route:?}");
        Ok(())
    })
    .await
}

/// Fifty concurrent creates with overlapping ranges over two edges and two control planes; the
/// leader is killed; meetings end and are created again → every voice bridge is unique in the
/// fleet, and a meeting keeps its own.
#[tokio::test]
async fn voice_bridges_are_unique_over_the_fleet_despite_failures() -> Result<()> {
    let mut cluster = TestCluster::builder().servers(2).set("voice.fsapi_password", PASSWORD).start().await?;
    // The second server has another host name than the first, so that the test can distinguish the
    // routes.
    let far = v1::Server {
        name: "servers/bbb-1".to_owned(),
        url: cluster.bases[1].replace("127.0.0.1", "localhost"),
        ..Default::default()
    };
    let request = v1::UpdateServerRequest { server: Some(far), ..Default::default() };
    cluster.admin(0).servers_client().update_server(request).await?;
    // Until the server was polled at its new address, it may have meetings without a record, and no id is placed.
    for edge in 0..2 {
        wait::until("ids to be placed", || async {
            let created = cluster.client(edge).create("probe").await?;
            ensure!(created.is_success(), "{}", created.body);
            Ok(())
        })
        .await?;
    }
    let ranges = BTreeMap::from([("school", 10_000..=10_049), ("firm", 10_025..=10_074)]);
    for (tenant, range) in &ranges {
        add_tenant(&cluster.admin(0), tenant, *range.start(), *range.end()).await?;
        for edge in 0..2 {
            known(&cluster.client(edge).for_tenant(tenant, tenant)).await?;
        }
    }
    let rooms: Vec<(&str, String)> =
        (0..50).map(|n| (if n % 2 == 0 { "school" } else { "firm" }, format!("room-{n}"))).collect();
    let creates = rooms.iter().enumerate().map(|(n, (tenant, room))| {
        let client = cluster.client(n / 2 % 2).for_tenant(tenant, tenant);
        async move { number(&client, room).await }
    });
    let numbers = try_join_all(creates).await?;
    let distinct: BTreeSet<_> = numbers.iter().collect();
    assert_eq!(distinct.len(), 50, "{numbers:?}");
    for ((tenant, room), number) in rooms.iter().zip(&numbers) {
        assert!(ranges[tenant].contains(number), "{tenant} {room}: {number}");
    }

    let leader = cluster.leader().await?;
    cluster.control_planes[leader].kill()?;
    for (n, (tenant, room)) in rooms.iter().enumerate().take(12) {
        let client = cluster.client(n % 2).for_tenant(tenant, tenant);
        assert_eq!(number(&client, room).await?, numbers[n], "a create of a meeting that runs");
        let shown = client.get("getMeetingInfo", &format!("meetingID={room}")).await?;
        assert_eq!(shown.text("voiceBridge"), Some(numbers[n].to_string().as_str()));
        let ended = client.get("end", &format!("meetingID={room}&password=mp")).await?;
        assert!(ended.is_success(), "{}", ended.body);
    }
    for (n, (tenant, room)) in rooms.iter().enumerate().take(12) {
        let client = cluster.client((n + 1) % 2).for_tenant(tenant, tenant);
        wait::until("the room to be created again", || async {
            let again = number(&client, room).await?;
            ensure!(again == numbers[n], "{room} had {} and has {again}", numbers[n]);
            Ok(())
        })
        .await?;
    }

    cluster.control_planes[1 - leader].kill()?;
    for (n, (tenant, room)) in rooms.iter().enumerate() {
        let on_server = format!("{tenant}~{room}");
        let far = cluster.sims[1].meetings().iter().any(|meeting| meeting.meeting_id == on_server);
        let near = cluster.sims[0].meetings().iter().any(|meeting| meeting.meeting_id == on_server);
        if far && near {
            continue; // the ended instance is still listed, and its record is not removed without a poll
        }
        let host = if far { "localhost" } else { "127.0.0.1" };
        leads_to(&cluster.edges[n % 2], numbers[n], room, host).await?;
    }
    for wrong in ["10099", "99999", "1"] {
        let route =
            route(&cluster.edges[0], PASSWORD, wrong).await?.map_err(|code| anyhow::anyhow!("{code}"))?;
        assert_eq!(route[0], ("playback".to_owned(), "conference/conf-bad-pin.wav".to_owned()));
    }
    for wrong in ["", "school", usher_harness::cluster::SECRET] {
        assert_eq!(route(&cluster.edges[1], wrong, "10000").await?, Err(401));
    }
    Ok(())
}

/// A range of two numbers for three meetings, one of which another balancer's meeting uses → a
/// meeting is created without a number of the range instead of being refused.
#[tokio::test]
async fn a_meeting_is_created_although_its_range_of_voice_bridges_is_full() -> Result<()> {
    let usher = RunningStandalone::start(1, &[("voice.fsapi_password", PASSWORD)]).await?;
    let admin = usher.admin();
    add_tenant(&admin, "school", 10_000, 10_001).await?;
    let (school, default) = (usher.client().for_tenant("school", "school"), usher.client());
    known(&school).await?;
    let own = default.get("create", "name=Room&meetingID=own&voiceBridge=10000").await?;
    assert_eq!(own.text("voiceBridge"), Some("10000"), "without a range it is the application's affair");
    assert_eq!(number(&school, "one").await?, 10_001, "refused or listed, 10000 is not given out");
    let spare = number(&school, "two").await?;
    assert!(spare >= 900_000_000, "{spare}");
    assert!(metric(&usher.process, "usher_voice_bridges_spared_total").await? >= 1.0);
    leads_to(&usher.process, spare, "two", "127.0.0.1").await?;
    assert!(route(&usher.process, PASSWORD, "10000").await?.is_ok_and(|route| route[0].0 == "playback"));

    set_range(&admin, "school", 20_000, 20_009).await?;
    let ended = school.get("end", "meetingID=two&password=mp").await?;
    assert!(ended.is_success(), "{}", ended.body);
    wait::until("the room to have a number of the new range", || async {
        let number = number(&school, "two").await?;
        ensure!((20_000..=20_009).contains(&number), "{number}");
        Ok(())
    })
    .await
}

/// A meeting of another balancer runs with a number outside of all ranges, and Usher adopts it →
/// callers reach it by that number.
#[tokio::test]
async fn an_adopted_meeting_is_reached_by_its_own_voice_bridge() -> Result<()> {
    let usher =
        RunningStandalone::start(1, &[("voice.fsapi_password", PASSWORD), ("meetings.adopt", "all")]).await?;
    let admin = usher.admin();
    add_tenant(&admin, "school", 10_000, 10_009).await?;
    let school = usher.client().for_tenant("school", "school");
    known(&school).await?;
    let query = "name=Room&meetingID=school~old&attendeePW=ap&moderatorPW=mp&voiceBridge=394201124&meta_usher-tenant=school";
    let created = school.fetch(&usher.sims[0].signed_url("create", query)).await?;
    ensure!(created.is_success(), "{created:?}");
    wait::until("the meeting to be taken over", || async {
        usher.admin().poll("-").await?;
        school.joined("old").await
    })
    .await?;
    leads_to(&usher.process, 394_201_124, "old", "127.0.0.1").await?;
    assert_eq!(number(&school, "old").await?, 394_201_124);
    let ended = school.get("end", "meetingID=old&password=mp").await?;
    assert!(ended.is_success(), "{}", ended.body);
    wait::until("its next meeting to have a number of the range", || async {
        let number = number(&school, "old").await?;
        ensure!((10_000..=10_009).contains(&number), "{number}");
        Ok(())
    })
    .await
}
