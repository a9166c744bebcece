use std::time::Duration;

use usher_model::{
    callback::CallbackKind,
    id::{MeetingId, ServerId},
    meeting::MeetingKey,
};

use super::*;
use crate::notifications::{
    rules::{delivery::DeliveryForm, ids::HookId},
    store::deliveries::{encode, path},
};

fn id(number: u64) -> DeliveryId {
    DeliveryId::parse(&format!("{number:032x}")).expect("is an id")
}

fn tenant(name: &str) -> TenantId {
    TenantId::parse(name).expect("is an id")
}

fn hook(name: &str) -> HookKey {
    (tenant(name), HookId::of(&tenant(name), "https://app.test/"))
}

/// Returns the entry of a delivery: an event of the tenant's hook, or a callback.
fn entry(number: u64, of: &str, is_event: bool) -> StoreEntry {
    let delivery = Delivery {
        meeting: MeetingKey::new(tenant(of), MeetingId::parse("room").expect("is an id")),
        server: ServerId::parse("bbb1").expect("is an id"),
        kind: CallbackKind::Webhook,
        form: DeliveryForm::Webhook,
        url: "https://app.test/".into(),
        body: Bytes::new(),
        accepted_at_ms: 1000 + i64::try_from(number).expect("is small"),
        attempts: 0,
        waited: Duration::ZERO,
        last_error: String::new(),
        retries_asked: 0,
        hook: is_event.then(|| hook(of).1),
        order_ms: 1,
        said_again: 0,
    };
    let value = encode(&delivery, None);
    StoreEntry { key: path(&id(number)), value, create_revision: number, mod_revision: number }
}

#[test]
fn pages_come_in_order_for_one_tenant_or_all_and_counts_follow_every_change() {
    let index = DeliveryIndex::default();
    for number in (1..=6).rev() {
        index.put(&entry(number, if number % 2 == 0 { "a" } else { "b" }, number > 2));
    }
    let page = |tenant: Option<&TenantId>, after: Option<u64>, most: usize| {
        let (page, total) = index.page(tenant, after.map(id).as_ref(), most);
        (page.into_iter().map(|shown| shown.id).collect::<Vec<_>>(), total)
    };
    assert_eq!(page(None, None, 3), (vec![id(1), id(2), id(3)], 6));
    assert_eq!(page(Some(&tenant("a")), Some(2), 9), (vec![id(4), id(6)], 3));
    assert_eq!(page(Some(&tenant("c")), None, 9), (vec![], 0));
    assert_eq!((index.waiting(), index.events()), ((6, Some(1001)), 4));
    index.remove(&path(&id(1)));
    index.put(&entry(6, "b", false));
    assert_eq!((index.waiting(), index.events()), ((5, Some(1002)), 3));
    assert_eq!(page(Some(&tenant("b")), None, 9), (vec![id(3), id(5), id(6)], 3));
    index.clear();
    assert_eq!((index.waiting(), index.events(), index.bytes()), ((0, None), 0, 0));
}

#[test]
fn events_of_a_deleted_hook_neither_go_out_nor_stay() {
    let index = DeliveryIndex::default();
    let goes = |number: u64| matches!(index.depart(&id(number)), Departure::Ready(_));
    let dead = || index.dead_events(9).into_iter().map(|event| (event.id, event.missing)).collect::<Vec<_>>();
    for number in 1..=3 {
        index.put(&entry(number, "a", true));
    }
    index.put(&entry(4, "b", true));
    index.put(&entry(5, "b", false));
    assert!(!index.knows_hooks() && !goes(1) && goes(5) && dead().is_empty());
    index.replace_hooks(BTreeSet::from([hook("a")]));
    assert!(index.knows_hooks() && goes(1) && !goes(4));
    assert_eq!(dead(), [(id(4), Some(hook("b")))], "no hook of it was seen");
    index.register_hook(hook("b"));
    assert!(goes(4) && dead().is_empty(), "its registration has arrived");
    index.delete_hook(hook("a"), 2);
    assert!(!goes(1) && !goes(2) && !goes(3));
    assert_eq!(dead(), [(id(1), None), (id(2), None), (id(3), Some(hook("a")))]);
    index.register_hook(hook("a"));
    assert!(!goes(2) && goes(3), "a new registration gets the events from then on");
    assert_eq!(dead(), [(id(1), None), (id(2), None)]);
    index.remove(&path(&id(1)));
    index.remove(&path(&id(2)));
    assert!(dead().is_empty() && index.dead_events(0).is_empty());
}

#[test]
fn events_that_expire_for_a_newer_one_give_their_space_up_once() {
    let index = DeliveryIndex::default();
    // Each entry counts for 512 bytes, and one hook has an eighth of the space.
    let limit = 512 * 8 * 4;
    for number in 1..=4 {
        index.put(&entry(number, "a", true));
    }
    index.put(&entry(9, "b", true));
    let taken = || index.lock().space.all();
    let full = taken();
    let newer = |number| decode(&entry(number, "a", true).value).expect("is one");
    let ids =
        |space: &SpaceReservation| space.displaced().iter().map(|event| event.id.clone()).collect::<Vec<_>>();
    let one = index.reserve(&newer(5), 100, limit).expect("has space");
    let two = index.reserve(&newer(6), 100, limit).expect("has space");
    assert_eq!((ids(&one), ids(&two)), (vec![id(1)], vec![id(2)]), "the oldest, each for one");
    assert_eq!(taken(), full, "the new ones have the space");
    drop(one);
    assert_eq!(taken(), full, "the first was not written: its event stays");
    index.remove(&path(&id(2)));
    index.put(&entry(6, "a", true));
    drop(two);
    assert_eq!(taken(), full, "the second has taken the place of its event");
    let waiting = || index.page(None, None, 9).0.into_iter().map(|shown| shown.id).collect::<Vec<_>>();
    assert_eq!(waiting(), [id(1), id(3), id(4), id(6), id(9)]);
    index.clear();
    assert_eq!(taken(), 0);
}

/// Two deliveries of one request once claimed the space of one event, of which an attempt had failed
/// meanwhile. The store refused the request, because it removed the event twice.
#[test]
fn an_event_that_changes_while_it_expires_makes_space_for_one_delivery_alone() {
    let index = DeliveryIndex::default();
    let limit = 512 * 8 * 4;
    for number in 1..=4 {
        index.put(&entry(number, "a", true));
    }
    let taken = || index.lock().space.all();
    let full = taken();
    let newer = |number| decode(&entry(number, "a", true).value).expect("is one");
    let displaced =
        |space: &SpaceReservation| space.displaced().iter().map(|event| event.id.clone()).collect::<Vec<_>>();
    let one = index.reserve(&newer(5), 100, limit).expect("has space");
    index.put(&StoreEntry { mod_revision: 9, ..entry(1, "a", true) });
    let two = index.reserve(&newer(6), 100, limit).expect("has space");
    assert_eq!((displaced(&one), displaced(&two)), (vec![id(1)], vec![id(2)]));
    assert_eq!(taken(), full);
    drop((one, two));
    assert_eq!(taken(), full, "neither was written");
}
