use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use usher_model::{
    callback::CallbackKind,
    id::{MeetingId, ServerId, TenantId},
    meeting::MeetingKey,
};

use super::*;
use crate::notifications::rules::ids::HookId;

const LIMIT: u64 = 64 << 20;

/// The ledger, with tenants and addresses by number.
#[derive(Default)]
struct Space(SpaceLedger);

impl Space {
    fn accept(
        &mut self,
        tenant: usize,
        address: usize,
        kind: SpaceKind,
        size: u64,
    ) -> Result<(), SpaceRefusal> {
        self.0.claim(&claim(tenant, address, kind, size), LIMIT)
    }
}

fn claim(tenant: usize, address: usize, kind: SpaceKind, space: u64) -> SpaceClaim {
    let mut name = [0; 16];
    name[..8].copy_from_slice(&(tenant as u64).to_be_bytes());
    name[8..].copy_from_slice(&(address as u64).to_be_bytes());
    let tenant = TenantId::parse(&format!("t{tenant}")).expect("is an id");
    SpaceClaim { tenant, address: DeliveryAddress(name), kind, space }
}

#[test]
fn unsigned_callbacks_of_one_address_leave_space_for_everybody() {
    let mut space = Space::default();
    // 1,144 requests of 60 KiB were once accepted, and filled the queue of all tenants.
    let accepted = (0..1144).filter(|_| space.accept(0, 0, SpaceKind::Unsigned, 60 << 10).is_ok()).count();
    assert!(accepted <= 64, "{accepted}");
    assert_eq!(space.accept(0, 0, SpaceKind::Unsigned, 60 << 10), Err(SpaceRefusal::Address));
    assert_eq!(space.accept(1, 1, SpaceKind::Signed, 1 << 20), Ok(()), "another tenant");
    assert_eq!(space.accept(0, 2, SpaceKind::Signed, 1 << 20), Ok(()), "another address of the tenant");
}

#[test]
fn unsigned_callbacks_of_many_addresses_leave_space_for_signed_ones_of_the_tenant() {
    let mut space = Space::default();
    let mut address = 0;
    while space.accept(0, address, SpaceKind::Unsigned, 64 << 10).is_ok() {
        address += 1;
    }
    assert_eq!(space.accept(0, address, SpaceKind::Unsigned, 64 << 10), Err(SpaceRefusal::Tenant));
    assert_eq!(space.accept(0, address, SpaceKind::Signed, 1 << 20), Ok(()));
}

#[test]
fn a_tenant_without_an_application_leaves_half_of_the_space() {
    let mut space = Space::default();
    let mut address = 0;
    while space.accept(0, address, SpaceKind::Signed, 1 << 20).is_ok() {
        address += 1;
    }
    assert!((30..=33).contains(&address), "{address} MiB");
    assert_eq!(space.accept(1, 0, SpaceKind::Signed, 1 << 20), Ok(()));
    assert_eq!(space.accept(1, 0, SpaceKind::Unsigned, 4 << 10), Ok(()));
}

#[test]
fn the_first_delivery_of_an_address_fits_a_small_queue() {
    let taken = SpaceTaken::default();
    assert_eq!(taken.admits(SpaceKind::Signed, 1 << 20, 2 << 20), Ok(()));
    assert_eq!(taken.admits(SpaceKind::Signed, 3 << 20, 2 << 20), Err(SpaceRefusal::Full));
}

#[test]
fn text_that_a_caller_appends_makes_no_other_address() {
    let delivery = |url: &str, meeting: &str, hook: Option<&str>| Delivery {
        meeting: MeetingKey::new(TenantId::default_tenant(), MeetingId::parse(meeting).expect("is an id")),
        server: ServerId::parse("bbb1").expect("is an id"),
        kind: CallbackKind::Other,
        form: DeliveryForm::Get,
        url: url.into(),
        body: Bytes::new(),
        accepted_at_ms: 5,
        attempts: 0,
        waited: Duration::ZERO,
        last_error: String::new(),
        retries_asked: 0,
        hook: hook.and_then(|hook| HookId::parse(hook).ok()),
        order_ms: 0,
        said_again: 0,
    };
    let address = |url: &str, meeting: &str, hook| DeliveryAddress::of(&delivery(url, meeting, hook));
    let one = address("https://app.test/cb", "room", None);
    assert_eq!(one, address("https://app.test/cb?recordingmarks=true&n=1", "room", None));
    assert_ne!(one, address("https://app.test/cb2", "room", None));
    assert_ne!(one, address("https://app.test/cb", "other", None));
    let hook = Some("3f2b8c1e-1f5d-8f64-9d7a-0c2f6c0b5a11");
    assert_eq!(address("https://app.test/", "room", hook), address("https://app.test/", "other", hook));
}

#[test]
fn a_ledger_that_lost_every_claim_is_empty() {
    let mut ledger = SpaceLedger::default();
    let claims: Vec<_> = (0..30).map(|n| claim(n % 3, n, SpaceKind::ALL[n % 3], 700 + n as u64)).collect();
    for claim in &claims {
        ledger.add(claim);
    }
    assert!(ledger.all() > 21_000);
    for claim in &claims {
        ledger.remove(claim);
    }
    assert_eq!(format!("{ledger:?}"), format!("{:?}", SpaceLedger::default()));
}

/// A tenant whose application is down for a day: the newest events wait, the oldest have expired,
/// and the space stays within the tenant's share.
#[test]
fn the_oldest_events_expire_for_newer_ones_of_the_same_tenant_and_no_other_delivery() {
    use std::collections::VecDeque;

    use super::displacement::{displaced, pool};

    let (mut ledger, mut waiting) = (SpaceLedger::default(), VecDeque::new());
    let other = claim(1, 1, SpaceKind::Event, 1 << 20);
    ledger.claim(&other, LIMIT).expect("fits");
    for number in 0..100_000_usize {
        let event = claim(0, number % 4, SpaceKind::Event, 1 << 10);
        if let Err(refusal) = ledger.claim(&event, LIMIT) {
            pool(event.kind, refusal).expect("events make space for events");
            let oldest = waiting.iter().cloned().enumerate();
            let gone = displaced(&event, ledger.taken(&event), LIMIT, oldest).expect("is enough");
            for _ in &gone {
                ledger.remove(&waiting.pop_front().expect("waits"));
            }
            ledger.claim(&event, LIMIT).expect("has space now");
        }
        waiting.push_back(event);
        assert!(ledger.all() <= LIMIT / 4 + (2 << 20), "{}", ledger.all());
    }
    assert!(waiting.len() > 10_000, "{}", waiting.len());
    assert_eq!(ledger.taken(&other).tenant, 1 << 20, "the other tenant keeps its event");
}

#[test]
fn no_callback_expires_for_another_and_no_unsigned_one_displaces_an_event() {
    use super::displacement::{DisplacedPool, pool};

    for refusal in [SpaceRefusal::Full, SpaceRefusal::Tenant, SpaceRefusal::Events, SpaceRefusal::Address] {
        assert_eq!(pool(SpaceKind::Unsigned, refusal), None);
        let address = refusal == SpaceRefusal::Address;
        let of_event = if address { DisplacedPool::Hook } else { DisplacedPool::Tenant };
        assert_eq!(pool(SpaceKind::Event, refusal), Some(of_event));
        assert_eq!(pool(SpaceKind::Signed, refusal), (!address).then_some(DisplacedPool::Tenant));
    }
}

proptest! {
    /// However greedy some tenants are, the limit holds, and the next tenant finds space.
    #[test]
    fn a_newcomer_always_finds_space(
        wishes in prop::collection::vec((0..4_usize, 0..200_usize, 0..3_u8, 1..1024_u64), 0..600),
    ) {
        let mut space = Space::default();
        for (tenant, address, kind, kib) in wishes {
            let kind = [SpaceKind::Signed, SpaceKind::Unsigned, SpaceKind::Event][usize::from(kind)];
            // Each wish is repeated until it is refused, so that the space fills up.
            for _ in 0..8 {
                if space.accept(tenant, address, kind, kib << 10).is_err() {
                    break;
                }
            }
        }
        prop_assert!(space.0.all() <= LIMIT);
        prop_assert_eq!(space.accept(9, 0, SpaceKind::Signed, 1 << 20), Ok(()));
    }
}
