use super::*;

fn memory() -> ServerMemory {
    ServerMemory::new(&SimOptions::default().at_once())
}

fn create(memory: &mut ServerMemory, id: &str, now_ms: u64) -> String {
    let request =
        SimCreateRequest { meeting_id: id.into(), name: "Room".into(), ..SimCreateRequest::default() };
    match memory.create(request, now_ms) {
        SimCreateResult::New(meeting) => meeting.internal_id.clone(),
        other => panic!("not created but {other:?}"),
    }
}

#[test]
fn create_times_are_unique_however_many_fall_into_one_millisecond() {
    let mut memory = memory();
    let ids: std::collections::HashSet<_> =
        (0..50).map(|number| create(&mut memory, &format!("room-{number}"), 1000)).collect();
    let times: std::collections::HashSet<_> =
        memory.meetings().map(|meeting| meeting.create_time_ms).collect();
    assert_eq!((ids.len(), times.len()), (50, 50));
    assert_eq!(times.iter().max(), Some(&1049));
}

#[test]
fn the_hash_in_an_internal_id_is_that_of_the_meeting_id() {
    assert_eq!(hash_of("room-42"), "6fea8cf5c91f71a844862ead37a54d70198c664e");
    assert_eq!(create(&mut memory(), "room-42", 17), "6fea8cf5c91f71a844862ead37a54d70198c664e-17");
}

#[test]
fn a_short_hexadecimal_id_can_hit_a_foreign_meeting() {
    let mut memory = memory();
    create(&mut memory, "room-42", 17);
    assert_eq!(memory.find("6fea").map(|meeting| meeting.external_id.as_str()), Some("room-42"));
    assert!(memory.find("6feb").is_none() && memory.find("").is_none());
}

#[test]
fn of_two_instances_the_one_that_is_not_ending_is_found() {
    let mut memory = ServerMemory::new(&SimOptions {
        end_delay: Duration::from_mins(1),
        ..SimOptions::default().at_once()
    });
    let first = create(&mut memory, "room-42", 1_000);
    assert_eq!(memory.end("room-42", None, 1_500), SimEndResult::Ended);
    assert_eq!(memory.find("room-42").map(|meeting| meeting.internal_id.clone()), Some(first.clone()));
    let second = create(&mut memory, "room-42", 2_000);
    assert_eq!(memory.find("room-42").map(|meeting| meeting.internal_id.clone()), Some(second));
    assert_eq!(memory.end(&first, None, 2_500), SimEndResult::Ended);
    memory.expire(61_500);
    assert_eq!(memory.end(&first, None, 61_500), SimEndResult::NotFound);
    assert_eq!(memory.meetings().count(), 1);
}

#[test]
fn meetings_end_by_duration_after_the_first_join() {
    let mut memory = memory();
    let request = SimCreateRequest {
        meeting_id: "room".into(),
        name: "Room".into(),
        duration: 2,
        unjoined_minutes: Some(60),
        ..SimCreateRequest::default()
    };
    assert!(matches!(memory.create(request, 0), SimCreateResult::New(_)));
    let join = SimJoinRequest {
        meeting_id: "room".into(),
        role: Some("viewer".into()),
        ..SimJoinRequest::default()
    };
    assert!(matches!(memory.join(join, 1_000_000), SimJoinResult::In(..)));
    memory.expire(1_119_999);
    assert_eq!(memory.meetings().count(), 1);
    memory.expire(1_120_000);
    assert_eq!(memory.meetings().count(), 0);
}

#[test]
fn the_test_bridge_makes_an_internal_id_without_a_hash() {
    let request = SimCreateRequest {
        meeting_id: "room".into(),
        name: "Room".into(),
        voice_bridge: Some(99_999),
        ..SimCreateRequest::default()
    };
    let mut memory = memory();
    let SimCreateResult::New(meeting) = memory.create(request, 17) else { panic!("refused") };
    assert_eq!((meeting.internal_id.as_str(), meeting.external_id.as_str()), ("-17", "room"));
}

fn join(memory: &mut ServerMemory, id: &str, role: &str, now_ms: u64) -> String {
    let join = SimJoinRequest { meeting_id: id.into(), role: Some(role.into()), ..SimJoinRequest::default() };
    match memory.join(join, now_ms) {
        SimJoinResult::In(_, user) => user.session_token.clone(),
        other => panic!("not in but {other:?}"),
    }
}

#[test]
fn the_apps_server_confirms_creates_and_carries_out_ends_later() {
    let mut memory = ServerMemory::new(&SimOptions::default());
    let first = create(&mut memory, "room-42", 1_000);
    memory.expire(1_029);
    assert_eq!(memory.find("room-42").unwrap().start_time_ms, 0);
    memory.expire(1_030);
    assert_eq!(memory.find("room-42").unwrap().start_time_ms, 1_030);
    for _ in 0..2 {
        assert_eq!(memory.end("room-42", None, 1_500), SimEndResult::Ended);
    }
    assert_eq!(memory.next_end_ms(), Some(1_530));
    memory.expire(1_529);
    assert!(memory.find_live("room-42").is_some_and(|meeting| meeting.internal_id == first));
    memory.expire(1_530);
    assert_eq!(memory.meetings().count(), 0);
    assert_eq!(memory.end("room-42", None, 1_531), SimEndResult::NotFound);
    assert_eq!(memory.next_end_ms(), None);
}

#[test]
fn what_is_pending_can_be_settled_at_once() {
    let mut memory = ServerMemory::new(&SimOptions::default());
    create(&mut memory, "ends", 1_000);
    create(&mut memory, "stays", 1_001);
    assert_eq!(memory.end("ends", None, 1_001), SimEndResult::Ended);
    memory.settle(1_002);
    assert!(memory.find("ends").is_none());
    assert_eq!(memory.find("stays").unwrap().start_time_ms, 1_002);
}

#[test]
fn a_user_is_present_once_the_client_has_connected() {
    let mut memory = ServerMemory::new(&SimOptions::default());
    create(&mut memory, "room-42", 1_000);
    let viewer = join(&mut memory, "room-42", "viewer", 2_000);
    let moderator = join(&mut memory, "room-42", "moderator", 2_000);
    let second = join(&mut memory, "room-42", "moderator", 2_000);
    let meeting = memory.find("room-42").unwrap();
    assert_eq!((meeting.participants(), meeting.moderators(), meeting.has_user_joined()), (0, 0, false));
    for token in [&viewer, &moderator, &second, &viewer] {
        assert!(memory.connect(token, 3_000).is_some());
    }
    assert!(memory.connect("nobody", 3_000).is_none());
    let meeting = memory.find("room-42").unwrap();
    assert_eq!((meeting.participants(), meeting.moderators()), (3, 2));
    assert_eq!(meeting.first_join_ms, Some(3_000));
    let presenters: Vec<_> = meeting.users.iter().map(|user| user.is_presenter).collect();
    assert_eq!(presenters, [false, true, false]);
    let joined = memory.take_changes();
    let joined = joined.iter().filter(|reported| matches!(reported.change, MemoryChange::Joined(..)));
    assert_eq!(joined.count(), 3);
}

#[test]
fn a_guest_who_waits_is_not_present() {
    let mut memory = memory();
    let request = SimCreateRequest {
        meeting_id: "room".into(),
        name: "Room".into(),
        guest_policy: "ASK_MODERATOR".into(),
        ..SimCreateRequest::default()
    };
    assert!(matches!(memory.create(request, 0), SimCreateResult::New(_)));
    let waits = join(&mut memory, "room", "viewer", 1);
    assert!(memory.connect(&waits, 2).is_some());
    assert!(!memory.find("room").unwrap().has_user_joined());
}
