use proptest::prelude::*;

use super::*;

proptest! {
    /// Every piece that entered runs exactly once, no more run at a time than there are slots, and no owner
    /// has more waiting than it may have.
    #[test]
    fn no_piece_and_no_slot_is_lost(
        events in prop::collection::vec((0_u8..5, 1_u64..30, any::<bool>()), 0..300),
        slots in 1_usize..4,
        most_waiting in 1_usize..20,
    ) {
        let mut queue = FairQueue::new(slots, most_waiting);
        let (mut running, mut entered, mut ran) = (0, 0, 0);
        for (number, (owner, cost, leaves)) in events.into_iter().enumerate() {
            if leaves && running > 0 {
                match queue.leave() {
                    Some(_) => ran += 1,
                    None => running -= 1,
                }
            } else {
                match queue.enter(&owner, cost, number) {
                    QueueEntry::Runs(_) => { running += 1; ran += 1; entered += 1; }
                    QueueEntry::Waits => entered += 1,
                    QueueEntry::Full(_) => prop_assert!(queue.owners[&owner].waiting.len() == most_waiting),
                }
            }
            prop_assert!(running <= slots && queue.running == running);
            prop_assert!(queue.turns.is_empty() || running == slots, "work waits beside a free slot");
            prop_assert_eq!(queue.waiting(), entered - ran);
        }
        while running > 0 {
            match queue.leave() {
                Some(_) => ran += 1,
                None => running -= 1,
            }
        }
        prop_assert_eq!(ran, entered);
        prop_assert!(queue.owners.is_empty() && queue.turns.is_empty() && queue.running == 0);
    }

    /// Owners that always have work waiting run the same cost, but for one turn.
    #[test]
    fn owners_with_work_run_equal_costs(costs in prop::collection::vec(1_u64..=QUANTUM, 2..5), rounds in 1_u64..50) {
        let mut queue = FairQueue::new(1, 10_000);
        for (owner, cost) in costs.iter().enumerate() {
            for _ in 0..(rounds + 3) * QUANTUM {
                queue.enter(&owner, *cost, owner);
            }
        }
        let mut run = vec![0; costs.len()];
        for _ in 0..rounds {
            let owner = queue.leave().expect("work waits");
            run[owner] += costs[owner];
        }
        let (least, most) = (run.iter().min().unwrap(), run.iter().max().unwrap());
        prop_assert!(most - least <= 2 * QUANTUM, "{:?} of {:?}", run, costs);
    }
}

#[test]
fn a_newcomer_waits_for_one_turn_of_a_crowd_and_not_for_the_crowd() {
    let mut queue = FairQueue::new(1, 1000);
    for number in 0..500 {
        queue.enter(&"crowd", 4, ("crowd", number));
    }
    queue.enter(&"newcomer", 4, ("newcomer", 0));
    let before = std::iter::from_fn(|| queue.leave()).take_while(|(owner, _)| *owner == "crowd").count();
    assert!(before as u64 <= QUANTUM / 4, "{before}");
}
