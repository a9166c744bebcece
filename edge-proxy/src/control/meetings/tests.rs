use proptest::prelude::*;
use usher_common::id::ServerId;

use super::*;

fn active(internal: &str) -> RouteState {
    RouteState::Active(InternalMeetingId::parse(internal).unwrap())
}

fn place(id: &str, state: &RouteState) -> Place {
    Place::new(id, ServerSlot::new(ServerId::parse("a").unwrap()), state)
}

const INTERNAL: &str = "6fea8cf5c91f71a844862ead37a54d70198c664e-1700000000000";

#[test]
fn a_meeting_is_found_by_both_ids_and_by_no_prefix() {
    let meetings = Meetings::with_capacity(0);
    meetings.insert("room-42", place("room-42", &active(INTERNAL)));
    for id in ["room-42", INTERNAL] {
        assert_eq!(meetings.find(id, |name, _| name.to_owned()).as_deref(), Some("room-42"), "{id}");
    }
    for id in [
        "room-4",
        "6fea8cf5c91f71a844862ead37a54d70198c664e",
        "6fea8cf5c91f71a844862ead37a54d70198c664e-1700000000001",
        "6fea8cf5c91f71a844862ead37a54d70198c664e-170000000000",
        "6FEA8CF5C91F71A844862EAD37A54D70198C664E-1700000000000",
        "6fea",
    ] {
        assert!(meetings.find(id, |_, _| ()).is_none(), "{id}");
    }
}

#[test]
fn internal_ids_of_another_form_are_found_too_and_forgotten_with_their_meeting() {
    let meetings = Meetings::with_capacity(0);
    meetings.insert("room", place("room", &active("odd-1")));
    assert!(meetings.find("odd-1", |_, _| ()).is_some());
    meetings.insert("room", place("room", &active("odd-2")));
    assert!(meetings.find("odd-1", |_, _| ()).is_none() && meetings.find("odd-2", |_, _| ()).is_some());
    meetings.remove("room");
    assert!(meetings.find("odd-2", |_, _| ()).is_none() && meetings.is_empty());
}

proptest! {
    #[test]
    fn every_state_comes_back_as_it_went_in(
        id in "\\PC{1,40}",
        internal in prop_oneof!["[0-9a-f]{40}-[0-9]{1,14}", "[a-z0-9-]{1,60}"],
        own in any::<bool>(),
        time in any::<u64>(),
    ) {
        let internal = if own { format!("{}-{time}", hex(&sha1(&id))) } else { internal };
        let state = active(&internal);
        prop_assert_eq!(place(&id, &state).state(&id), state);
        prop_assert_eq!(place(&id, &RouteState::Pending).state(&id), RouteState::Pending);
    }
}
