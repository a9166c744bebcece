//! Resource names: every reference in an answer is one, and a single entry is read by its own.

use tonic::Code;
use usher_bbb_sim::FaultKind;
use usher_harness::application::TestApplication;
use usher_proto::v1::*;

use crate::{
    bench::{Bench, FleetServiceClient, until},
    hooks::{add_tenant, at, create, event, hooks, reachable, send, waiting},
};

fn school(room: &str) -> MeetingKey {
    MeetingKey { tenant: "school".into(), meeting_id: room.into() }
}

/// Places a meeting of the tenant `school` and leaves it as a zombie, which no poll removes. Returns
/// the server.
async fn leave_zombie(bench: &Bench, room: &str) -> String {
    let request = PlaceMeetingRequest { key: Some(school(room)), ..PlaceMeetingRequest::default() };
    let placed = bench.placement().place_meeting(request).await.expect("is placed").into_inner();
    let server_id = placed.server.expect("is named").id;
    bench.sim(&server_id).faults().set(FaultKind::Refuse).await;
    let mut abandon = AbandonMeetingRequest {
        key: Some(school(room)),
        server_id: server_id.clone(),
        token: placed.token,
        certainty: 0,
    };
    abandon.set_certainty(AbandonCertainty::Unknown);
    bench.placement().abandon_meeting(abandon).await.expect("is abandoned");
    server_id
}

#[tokio::test(flavor = "multi_thread")]
async fn every_reference_in_an_answer_is_a_resource_name() {
    let bench = Bench::with(reachable(), 2).await;
    let application = TestApplication::start().await.expect("listens");
    application.answer(503);
    add_tenant(&bench, "school").await;
    let hook = Hook { meeting_id: "room 1".into(), ..at(&application.url("/cb")) };
    let hook = create(&bench, "school", hook).await.expect("is created").hook.expect("is shown");
    assert_eq!(hook.meeting, "tenants/school/meetings/room%201");
    assert!(hook.name.starts_with("tenants/school/hooks/"), "{hook:?}");
    let every = create(&bench, "school", at("https://app.test/all")).await.expect("is created").hook;
    assert_eq!(every.expect("is shown").meeting, "");

    send(&bench, event("school~room 1", "meeting-created", 10)).await;
    let delivery = until("a delivery for the hook", async || {
        waiting(&bench).await.into_iter().find(|delivery| delivery.target == hook.target)
    })
    .await;
    let references = (delivery.tenant.as_str(), delivery.meeting.as_str(), delivery.server.as_str());
    assert_eq!(references, ("tenants/school", "tenants/school/meetings/room%201", "servers/bbb1"));

    bench.create("ours").await;
    let filtered = |filter: &str| ListMeetingsRequest { filter: filter.into(), ..Default::default() };
    let list = async |filter: &str| {
        let answer = bench.meetings().list_meetings(filtered(filter)).await.expect("is listed");
        answer.into_inner().meetings
    };
    let meetings = list("").await;
    assert_eq!((meetings.len(), meetings[0].tenant.as_str()), (1, "tenants/default"));
    // Each name of the answer is a value of the filter.
    let Meeting { name, tenant, server, .. } = &meetings[0];
    assert_eq!(list(&format!("name = {name} AND tenant = {tenant} AND server = {server}")).await, meetings);
    assert!(list("tenant = tenants/school").await.is_empty());

    let status = FleetServiceClient::new(bench.channel.clone()).get_status(GetStatusRequest {}).await;
    let status = status.expect("answers").into_inner();
    assert!(status.replica.starts_with("replicas/") && status.leader == status.replica, "{status:?}");
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_zombie_is_read_by_its_name_and_belongs_to_its_tenant() {
    let bench = Bench::with(reachable(), 1).await;
    add_tenant(&bench, "school").await;
    let server = leave_zombie(&bench, "room 1/2").await;
    let meeting = "tenants/school/meetings/room%201%2F2";
    let name = format!("{meeting}/zombies/{server}");
    let get = async |name: &str| {
        let request = GetZombieRequest { name: name.into() };
        bench.meetings().get_zombie(request).await.map(|answer| answer.into_inner().zombie)
    };
    let zombie = until("this replica to know it", async || get(&name).await.ok().flatten()).await;
    assert_eq!((zombie.name.as_str(), zombie.tenant.as_str()), (name.as_str(), "tenants/school"));
    assert_eq!((zombie.meeting.as_str(), zombie.meeting_id.as_str()), (meeting, "room 1/2"));
    assert_eq!((zombie.server.clone(), zombie.state()), (format!("servers/{server}"), ZombieState::Due));
    let list = bench.meetings().list_zombies(ListZombiesRequest::default()).await.expect("lists");
    assert_eq!(list.into_inner().zombies, [get(&name).await.expect("is known").expect("is shown")]);

    for (name, code) in [
        (format!("tenants/default/meetings/room%201%2F2/zombies/{server}"), Code::NotFound),
        (format!("tenants/school/meetings/other/zombies/{server}"), Code::NotFound),
        (format!("{meeting}/zombies/bbb9"), Code::NotFound),
        (meeting.to_owned(), Code::InvalidArgument),
        (format!("{meeting}/zombies/"), Code::InvalidArgument),
        (format!("{meeting}/zombies/b b"), Code::InvalidArgument),
        (format!("tenants/school/meetings/%FF/zombies/{server}"), Code::InvalidArgument),
        (format!("meetings/room/zombies/{server}"), Code::InvalidArgument),
        (String::new(), Code::InvalidArgument),
    ] {
        assert_eq!(get(&name).await.expect_err("is refused").code(), code, "{name}");
    }
    bench.sim(&server).faults().clear().await;
    until("a poll to remove it", async || {
        get(&name).await.is_err_and(|gone| gone.code() == Code::NotFound).then_some(())
    })
    .await;
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_is_read_by_its_name_and_belongs_to_its_tenant() {
    let bench = Bench::with(reachable(), 0).await;
    add_tenant(&bench, "school").await;
    let url = "https://app.test/cb?token=abc";
    let created = create(&bench, "school", at(url)).await.expect("is created").hook.expect("is shown");
    let get = async |name: &str, view: HookView| {
        let request = GetHookRequest { name: name.into(), view: view.into() };
        hooks(&bench).get_hook(request).await.map(|answer| answer.into_inner().hook.expect("is shown"))
    };
    let shown = get(&created.name, HookView::Unspecified).await.expect("is known");
    assert_eq!((shown.callback_url.as_str(), shown.target.as_str()), ("", "https://app.test"));
    assert_eq!(get(&created.name, HookView::RevealUrl).await.expect("is known").callback_url, url);

    let id = created.name.rsplit('/').next().expect("has an id");
    for (name, code) in [
        (format!("tenants/default/hooks/{id}"), Code::NotFound),
        ("tenants/school/hooks/00000000-0000-8000-8000-000000000000".to_owned(), Code::NotFound),
        (format!("tenants/nowhere/hooks/{id}"), Code::NotFound),
        ("tenants/school/hooks/7".to_owned(), Code::InvalidArgument),
        (format!("tenants/a b/hooks/{id}"), Code::InvalidArgument),
        (format!("hooks/{id}"), Code::InvalidArgument),
        (String::new(), Code::InvalidArgument),
    ] {
        let refused = get(&name, HookView::RevealUrl).await.expect_err("is refused");
        assert_eq!(refused.code(), code, "{name}");
        assert!(!refused.message().contains("token"), "{refused:?}");
    }
    let delete = DeleteHookRequest { name: created.name.clone() };
    hooks(&bench).delete_hook(delete).await.expect("is deleted");
    let gone = get(&created.name, HookView::Unspecified).await.expect_err("is gone");
    assert_eq!(gone.code(), Code::NotFound);
    bench.stop().await;
}
