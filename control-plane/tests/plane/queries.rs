//! Lists with `filter` and `order_by`, over gRPC.

use tonic::Code;
use tonic_types::StatusExt;
use usher_proto::v1::*;

use crate::bench::{Bench, until};

async fn meetings(bench: &Bench, request: ListMeetingsRequest) -> ListMeetingsResponse {
    bench.meetings().list_meetings(request).await.expect("is listed").into_inner()
}

fn filtered(filter: &str) -> ListMeetingsRequest {
    ListMeetingsRequest { filter: filter.into(), ..ListMeetingsRequest::default() }
}

fn ids(page: &ListMeetingsResponse) -> Vec<&str> {
    page.meetings.iter().map(|meeting| meeting.meeting_id.as_str()).collect()
}

/// Five meetings, of which `room-3` has most users.
async fn bench() -> Bench {
    let bench = Bench::with_servers(2).await;
    for number in 0..5 {
        bench.create(&format!("room-{number}")).await;
    }
    for (room, users) in [("room-1", 2_usize), ("room-3", 7)] {
        let home = bench.meeting(room).await.expect("is known").server;
        let sim = bench.sim(home.trim_start_matches("servers/"));
        assert!(sim.set_crowd(room, users));
    }
    until("the users are known", async || {
        (bench.meeting("room-3").await.expect("is known").participants == 7).then_some(())
    })
    .await;
    bench
}

#[tokio::test(flavor = "multi_thread")]
async fn meetings_are_filtered_and_ordered() {
    let bench = bench().await;
    for (filter, expected) in [
        ("users > 1", vec!["room-1", "room-3"]),
        ("users = 7 OR id = room-0", vec!["room-0", "room-3"]),
        ("NOT users > 1 AND tenant = default AND state = active", vec!["room-0", "room-2", "room-4"]),
        ("age > 1h", vec![]),
        ("age < 1h AND id : ROOM-4", vec!["room-4"]),
        ("server = nowhere", vec![]),
        ("participants = 7 AND tenant = tenants/default", vec!["room-3"]),
        ("name = \"tenants/default/meetings/room%2D2\"", vec!["room-2"]),
    ] {
        let page = meetings(&bench, filtered(filter)).await;
        assert_eq!(ids(&page), expected, "{filter}");
        assert_eq!((page.next_page_token.as_str(), page.total_size), ("", 0), "{filter}");
    }
    let by_users = |page_size| ListMeetingsRequest {
        order_by: "users desc".into(),
        page_size,
        ..ListMeetingsRequest::default()
    };
    let top = meetings(&bench, by_users(2)).await;
    assert_eq!((ids(&top), top.next_page_token.as_str()), (vec!["room-3", "room-1"], ""));
    let all = meetings(&bench, by_users(0)).await;
    assert_eq!(ids(&all), ["room-3", "room-1", "room-0", "room-2", "room-4"]);
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_token_belongs_to_its_filter() {
    let bench = bench().await;
    let page = |token: &str, filter: &str| ListMeetingsRequest {
        page_size: 2,
        page_token: token.into(),
        ..filtered(filter)
    };
    let (mut token, mut seen) = (String::new(), Vec::new());
    loop {
        let next = meetings(&bench, page(&token, "users != 7")).await;
        seen.extend(next.meetings.into_iter().map(|meeting| meeting.meeting_id));
        token = next.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(seen, ["room-0", "room-1", "room-2", "room-4"]);
    let first = meetings(&bench, page("", "users != 7")).await.next_page_token;
    for filter in ["", "users != 8"] {
        let refused = bench.meetings().list_meetings(page(&first, filter)).await.expect_err("another filter");
        assert!(names(&refused, "page_token"), "{filter}: {refused:?}");
    }
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_faulty_query_is_refused_by_the_field_of_the_request() {
    let bench = Bench::with_servers(1).await;
    let refused = bench.meetings().list_meetings(filtered("user > 3")).await.expect_err("no such field");
    assert!(names(&refused, "filter"), "{refused:?}");
    for text in ["`user`", "tenant, server, state, users, age"] {
        assert!(refused.message().contains(text), "{text}: {refused:?}");
    }
    let order = ListServersRequest { order_by: "url".into(), ..ListServersRequest::default() };
    let refused = bench.servers().list_servers(order).await.expect_err("has no order");
    assert!(names(&refused, "order_by") && refused.message().contains("load"), "{refused:?}");
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_are_filtered_and_ordered() {
    let bench = bench().await;
    let list = async |filter: &str, order_by: &str| {
        let (filter, order_by) = (filter.into(), order_by.into());
        let request = ListServersRequest { filter, order_by, ..ListServersRequest::default() };
        let servers = bench.servers().list_servers(request).await.expect("is listed").into_inner().servers;
        servers.into_iter().map(|server| server.name).collect::<Vec<_>>()
    };
    let home = bench.meeting("room-3").await.expect("is known").server;
    assert_eq!(list("health = online AND state = enabled", "").await, ["servers/bbb1", "servers/bbb2"]);
    let only_home = vec![home.clone()];
    assert_eq!(list("users >= 7", "").await, only_home);
    assert_eq!(list("admin_state = enabled AND effective_load > 0", "effective_load desc").await.len(), 2);
    assert_eq!(list(&format!("name = {home}"), "").await, only_home);
    assert_eq!(list("", "users desc").await.first(), Some(&home));
    assert_eq!(list("sample_age < 1h AND age < 1h AND weight = 1", "meetings").await.len(), 2);
    bench.stop().await;
}

fn names(status: &tonic::Status, field: &str) -> bool {
    let bad = status.get_details_bad_request().map(|bad| bad.field_violations).unwrap_or_default();
    status.code() == Code::InvalidArgument && bad.iter().any(|violation| violation.field == field)
}
