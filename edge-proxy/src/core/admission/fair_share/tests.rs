use proptest::prelude::*;

use super::*;

const OWNERS: u64 = 6;

/// Terms of equal owners of a capacity.
fn terms(assured: u64, common: u64) -> ShareTerms {
    ShareTerms { assured, common, most: u64::MAX }
}

#[derive(Debug, Clone)]
enum ShareEvent {
    Take(u64, u64),
    /// Gives back one of the amounts that are taken, chosen by this number.
    GiveBack(usize),
}

fn event() -> impl Strategy<Value = ShareEvent> {
    prop_oneof![
        3 => (0..OWNERS, 1_u64..40).prop_map(|(owner, amount)| ShareEvent::Take(owner, amount)),
        2 => any::<usize>().prop_map(ShareEvent::GiveBack),
    ]
}

proptest! {
    #[test]
    fn amounts_never_leak_and_never_exceed_the_capacity(
        events in prop::collection::vec(event(), 0..300),
        assured in 0_u64..60,
        common in 0_u64..200,
    ) {
        let mut share = FairShare::default();
        let mut held: Vec<(u64, SharePart)> = Vec::new();
        let terms = terms(assured, common);
        for event in events {
            match event {
                ShareEvent::Take(owner, amount) => {
                    let within = share.part(&owner).assured + amount <= assured;
                    let taken = share.take(&owner, amount, terms);
                    prop_assert!(!within || taken.is_some(), "an owner within its share was refused");
                    held.extend(taken.map(|taken| (owner, taken)));
                }
                ShareEvent::GiveBack(number) if !held.is_empty() => {
                    let (owner, taken) = held.swap_remove(number % held.len());
                    share.give_back(&owner, taken);
                }
                ShareEvent::GiveBack(_) => {}
            }
            let sum: u64 = held.iter().map(|(_, taken)| taken.sum()).sum();
            let of_common: u64 = held.iter().map(|(_, taken)| taken.common).sum();
            prop_assert_eq!(share.taken(), sum);
            prop_assert!(of_common <= common && sum <= OWNERS * assured + common);
            prop_assert!((0..OWNERS).all(|owner| share.part(&owner).assured <= assured));
        }
        for (owner, taken) in held {
            share.give_back(&owner, taken);
        }
        prop_assert!(share.is_idle());
        prop_assert_eq!(share.common_taken, 0);
    }

    #[test]
    fn a_crowd_of_one_owner_leaves_room_for_the_others(
        common in 8_u64..5_000,
        amount in 1_u64..4,
        crowds in 1_u64..3,
    ) {
        let mut share = FairShare::default();
        for owner in 0..crowds {
            while share.take(&owner, amount, terms(0, common)).is_some() {}
            prop_assert!(share.part(&owner).common <= common - share.taken());
        }
        let free = common - share.taken();
        let wanted = (free / 2 / amount).min(1);
        for _ in 0..wanted {
            prop_assert!(share.take(&OWNERS, amount, terms(0, common)).is_some());
        }
    }

    /// Terms change as tenants come and go, and refuse then at most the common part.
    #[test]
    fn changed_terms_neither_leak_nor_refuse_the_new_share(before in 1_u64..50, after in 1_u64..50) {
        let mut share = FairShare::default();
        let held: Vec<_> = std::iter::from_fn(|| share.take(&0, 1, terms(before, 100))).collect();
        prop_assert_eq!(share.take(&1, after, terms(after, 0)), Some(SharePart { assured: after, common: 0 }));
        share.give_back(&1, SharePart { assured: after, common: 0 });
        for taken in held {
            share.give_back(&0, taken);
        }
        prop_assert!(share.is_idle() && share.common_taken == 0);
    }
}

/// Greedy owners whose calls end and begin again in turn come to equal shares, in any order of arrival.
#[test]
fn greedy_owners_come_to_equal_shares() {
    let (mut share, terms) = (FairShare::default(), terms(0, 1000));
    let mut held: Vec<Vec<SharePart>> = vec![Vec::new(); 4];
    let fill = |share: &mut FairShare<usize>, held: &mut Vec<SharePart>, owner: usize| {
        held.extend(std::iter::from_fn(|| share.take(&owner, 1, terms)));
    };
    fill(&mut share, &mut held[0], 0);
    assert_eq!(held[0].len(), 500, "half of it");
    for _ in 0..200 {
        for (owner, held) in held.iter_mut().enumerate() {
            let kept = held.len() * 9 / 10;
            for taken in held.split_off(kept) {
                share.give_back(&owner, taken);
            }
        }
        for (owner, held) in held.iter_mut().enumerate() {
            fill(&mut share, held, owner);
        }
    }
    // Four owners and the free part of the same size divide the capacity.
    assert!(held.iter().all(|held| (150..=260).contains(&held.len())), "{:?}", held.iter().map(Vec::len));
}

#[test]
fn an_owner_has_no_more_than_its_own_limit() {
    let (mut share, limited) = (FairShare::default(), ShareTerms { assured: 50, common: 50, most: 3 });
    assert_eq!((0..10).filter(|_| share.take(&"a", 1, limited).is_some()).count(), 3);
    assert!(share.take(&"b", 50, terms(50, 50)).is_some());
}
