//! Administration of meetings, and status.

use usher_bbb_sim::{BbbSim, BbbVersion, SimOptions};
use usher_proto::v1::*;

use crate::bench::{Bench, FleetServiceClient, until};

#[tokio::test(flavor = "multi_thread")]
async fn ending_a_meeting_unroutes_it_at_once_and_ends_it_at_its_server() {
    let bench = Bench::with_servers(2).await;
    let home = bench.create("ends").await;
    let end =
        || EndMeetingRequest { name: "tenants/default/meetings/ends".into(), internal_id: String::new() };
    bench.meetings().end_meeting(end()).await.expect("ends");
    bench.sim(&home).settle();
    assert!(bench.sim(&home).meetings().iter().all(|meeting| meeting.meeting_id != "ends"));
    let resolve = ResolveMeetingRequest { key: Some(crate::bench::key("ends")) };
    let resolved = bench.placement().resolve_meeting(resolve).await.expect("answers").into_inner();
    assert!(resolved.meeting.is_none());
    until("the record to go", async || bench.meeting("ends").await.is_none().then_some(())).await;
    assert_eq!(bench.meetings().end_meeting(end()).await.expect_err("is gone").code(), tonic::Code::NotFound);
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_meeting_on_a_server_that_wants_the_moderator_password_is_ended_with_it() {
    let mut bench = Bench::with_servers(0).await;
    let old = SimOptions { version: BbbVersion::V2_4, ..SimOptions::new("server-secret") };
    bench.sims.push(BbbSim::start(old).await.expect("listens"));
    bench.add("bbb1", &bench.sims[0], AdminState::Enabled).await;
    bench.until_health("bbb1", Health::Online).await;
    bench.create("ends").await;
    let end = EndMeetingRequest { name: "tenants/default/meetings/ends".into(), internal_id: String::new() };
    bench.meetings().end_meeting(end).await.expect("ends");
    bench.sims[0].settle();
    assert!(bench.sims[0].meetings().is_empty());
    bench.stop().await;
}

/// The caller of the create has its answer already, and the edge is about to confirm it.
#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_meeting_waits_for_the_confirmation_of_its_create() {
    let bench = Bench::with_servers(1).await;
    let placed = bench.place("ends").await.expect("is placed");
    let end = EndMeetingRequest { name: "tenants/default/meetings/ends".into(), internal_id: String::new() };
    let mut service = bench.meetings();
    let ending = tokio::spawn(async move { service.end_meeting(end).await });
    bench.call_and_confirm("ends", &placed).await;
    ending.await.expect("does not panic").expect("ends");
    bench.sims[0].settle();
    assert!(bench.sims[0].meetings().is_empty());
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn meetings_are_listed_by_tenant_and_server_in_pages() {
    let bench = Bench::with_servers(2).await;
    for id in ["a", "b", "c"] {
        bench.create(&format!("list-{id}")).await;
    }
    let list = async |request: ListMeetingsRequest| {
        bench.meetings().list_meetings(request).await.expect("lists").into_inner()
    };
    let all =
        list(ListMeetingsRequest { parent: "tenants/-".into(), ..ListMeetingsRequest::default() }).await;
    assert_eq!(all.total_size, 3);
    let other = ListMeetingsRequest { parent: "tenants/other".into(), ..ListMeetingsRequest::default() };
    assert_eq!(list(other).await.total_size, 0);
    let page = list(ListMeetingsRequest { page_size: 2, ..ListMeetingsRequest::default() }).await;
    assert_eq!(page.meetings.len(), 2);
    let next = ListMeetingsRequest { page_token: page.next_page_token, ..ListMeetingsRequest::default() };
    assert_eq!(list(next).await.meetings[0].meeting_id, "list-c");
    let mut on_servers = 0;
    for server in ["servers/bbb1", "servers/bbb2"] {
        let request = ListMeetingsRequest { server: server.into(), ..ListMeetingsRequest::default() };
        on_servers += list(request).await.total_size;
    }
    assert_eq!(on_servers, 3);
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn status_counts_the_fleet_and_names_the_leader() {
    let bench = Bench::with_servers(2).await;
    bench.create("one").await;
    let status = FleetServiceClient::new(bench.channel.clone()).get_status(GetStatusRequest {}).await;
    let status = status.expect("answers").into_inner();
    assert_eq!((status.servers_online, status.meetings, status.leading), (2, 1, true));
    assert_eq!(status.leader, status.replica);
    assert!(status.replica.starts_with("replicas/"), "{}", status.replica);
    assert!(status.revision.is_some_and(|revision| revision.epoch != 0 && revision.seq > 0));
    until("the gauges", async || (bench.metric("usher_leader") > 0.0).then_some(())).await;
    bench.stop().await;
}
