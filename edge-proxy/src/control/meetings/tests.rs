use proptest::prelude::*;
use usher_model::id::ServerId;

use super::*;

fn active(internal: &str) -> RouteState {
    RouteState::Active(InternalMeetingId::parse(internal).unwrap())
}

fn server() -> Arc<ServerSlot> {
    ServerSlot::new(ServerId::parse("a").unwrap())
}

fn meetings(tenant: &str) -> TenantMeetings {
    TenantMeetings::new(&TenantId::parse(tenant).unwrap(), 0)
}

const INTERNAL: &str = "6fea8cf5c91f71a844862ead37a54d70198c664e-1700000000000";

#[test]
fn a_meeting_is_found_by_both_ids_and_by_no_prefix() {
    let meetings = meetings("default");
    meetings.insert("room-42", server(), &active(INTERNAL));
    for id in ["room-42", INTERNAL] {
        assert_eq!(meetings.find(id, |found| found.name.to_owned()).as_deref(), Some("room-42"), "{id}");
    }
    for id in [
        "room-4",
        "6fea8cf5c91f71a844862ead37a54d70198c664e",
        "6fea8cf5c91f71a844862ead37a54d70198c664e-1700000000001",
        "6fea8cf5c91f71a844862ead37a54d70198c664e-170000000000",
        "6FEA8CF5C91F71A844862EAD37A54D70198C664E-1700000000000",
        "6fea",
    ] {
        assert!(meetings.find(id, |_| ()).is_none(), "{id}");
    }
}

#[test]
fn an_unconfirmed_meeting_is_found_by_the_internal_ids_that_it_may_have() {
    let (own, other) = (meetings("default"), meetings("school"));
    for meetings in [&own, &other] {
        meetings.insert("room-42", server(), &RouteState::Pending);
    }
    assert_eq!(own.find(INTERNAL, |found| found.name.to_owned()).as_deref(), Some("room-42"));
    assert!(other.find(INTERNAL, |_| ()).is_none(), "its hash is that of another tenant's meeting");
    for id in ["6fea8cf5c91f71a844862ead37a54d70198c664e", "6fea"] {
        assert!(own.find(id, |_| ()).is_none(), "{id}");
    }
    own.insert("room-42", server(), &active(INTERNAL));
    assert!(own.find(&INTERNAL.replace("1700", "1701"), |_| ()).is_none());
}

#[test]
fn a_tenants_meeting_is_found_by_its_own_id_and_by_no_other_tenants() {
    let meetings = meetings("school");
    let internal = format!("{}-17", hex(&sha1("school~room-42")));
    meetings.insert("room-42", server(), &active(&internal));
    for id in ["room-42", &internal] {
        assert!(meetings.find(id, |found| found.on_server == "school~room-42").unwrap(), "{id}");
    }
    assert!(meetings.find("school~room-42", |_| ()).is_none() && meetings.find(INTERNAL, |_| ()).is_none());
}

#[test]
fn a_bare_meeting_is_found_by_the_tenants_id_and_named_so_to_its_server() {
    let meetings = meetings("school");
    let internal = format!("{}-17", hex(&sha1("room-42")));
    meetings.insert("room-42", server(), &active(&internal));
    for id in ["room-42", &internal] {
        let found = meetings.find(id, |found| {
            assert_eq!((found.name, found.on_server), ("room-42", "room-42"), "{id}");
            found.state()
        });
        assert_eq!(found, Some(active(&internal)), "{id}");
    }
    assert!(meetings.find("school~room-42", |_| ()).is_none());
    let scoped = format!("{}-18", hex(&sha1("school~room-42")));
    meetings.insert("room-42", server(), &active(&scoped));
    assert!(meetings.find("room-42", |found| found.on_server == "school~room-42").unwrap(), "created anew");
    assert!(meetings.find(&internal, |_| ()).is_none());
}

#[test]
fn internal_ids_of_another_form_are_found_too_and_forgotten_with_their_meeting() {
    let meetings = meetings("default");
    meetings.insert("room", server(), &active("odd-1"));
    assert!(meetings.find("odd-1", |_| ()).is_some());
    meetings.insert("room", server(), &active("odd-2"));
    assert!(meetings.find("odd-1", |_| ()).is_none() && meetings.find("odd-2", |_| ()).is_some());
    meetings.remove("room");
    assert!(meetings.find("odd-2", |_| ()).is_none() && meetings.is_empty());
}

proptest! {
    #[test]
    fn every_state_comes_back_as_it_went_in(
        tenant in prop_oneof![Just("default"), Just("school")],
        id in prop_oneof!["\\PC{1,40}", "school~[a-z]{1,4}"],
        internal in prop_oneof!["[0-9a-f]{40}-[0-9]{1,14}", "[a-z0-9-]{1,60}"],
        own in any::<bool>(),
        time in any::<u64>(),
    ) {
        let meetings = meetings(tenant);
        let on_server = meetings.scope().scoped(&id).to_string();
        let internal = if own { format!("{}-{time}", hex(&sha1(&on_server))) } else { internal };
        for state in [active(&internal), RouteState::Pending] {
            meetings.insert(&id, server(), &state);
            let found = meetings.find(&id, |found| (found.name.to_owned(), found.on_server.to_owned(), found.state()));
            prop_assert_eq!(found, Some((id.clone(), on_server.clone(), state)));
        }
        meetings.insert(&id, server(), &active(&internal));
        let by_instance = meetings.find(&internal, |found| found.name.to_owned());
        prop_assert_eq!(by_instance, Some(id.clone()));
        prop_assert_eq!(meetings.remove(&id).map(|(_, state)| state), Some(active(&internal)));
        prop_assert!(meetings.find(&internal, |_| ()).is_none());
    }
}
