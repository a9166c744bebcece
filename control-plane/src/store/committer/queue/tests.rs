use proptest::{collection::vec, prelude::*};

use super::*;

fn txn(guarded: &[u8], written: &[u8]) -> StoreTxn {
    let mut written = written.to_vec();
    written.sort_unstable();
    written.dedup();
    StoreTxn {
        guards: guarded.iter().map(|key| TxnGuard::Unchanged(key.to_string(), 1)).collect(),
        writes: written.iter().map(|key| TxnWrite::Put(key.to_string(), "v".into())).collect(),
    }
}

fn conflict(one: &StoreTxn, other: &StoreTxn) -> bool {
    touched(one).any(|(key, write)| touched(other).any(|(k, w)| k == key && (w || write)))
}

fn few_keys() -> impl Strategy<Value = Vec<StoreTxn>> {
    let one = (vec(0_u8..12, 0..3), vec(0_u8..12, 0..3));
    vec(one.prop_map(|(guarded, written)| txn(&guarded, &written)), 0..60)
}

fn limits() -> impl Strategy<Value = BatchLimits> {
    (1_usize..8, 80_usize..800).prop_map(|(txns, bytes)| BatchLimits { txns, bytes, scan: 100 })
}

proptest! {
    /// Sends every transaction, with up to four batches under way that are answered in any order.
    #[test]
    fn batches_are_independent_in_order_and_complete(
        txns in few_keys(), limits in limits(), answers in vec(0_usize..4, 200)
    ) {
        let mut queue = CommitQueue::new(limits);
        for (number, txn) in txns.iter().enumerate() {
            queue.push(txn.clone(), number);
        }
        let (mut under_way, mut sent, mut answers) = (Vec::new(), Vec::new(), answers.into_iter());
        while sent.len() < txns.len() || !under_way.is_empty() {
            if under_way.len() < 4
                && let Some((batch, held)) = queue.next_batch()
            {
                prop_assert!(batch.len() <= limits.txns);
                let size: usize = batch.iter().map(|(txn, _)| bytes(txn)).sum();
                let shape = batch.iter().fold(BatchShape::default(), |shape, (txn, _)| shape.with(txn));
                prop_assert!(batch.len() == 1 || size <= limits.bytes && shape.fits());
                for (at, (one, _)) in batch.iter().enumerate() {
                    for (other, _) in &batch[at + 1..] {
                        prop_assert!(!conflict(one, other), "in one batch");
                    }
                    for (other, _) in under_way.iter().flat_map(|(batch, _): &(Vec<(StoreTxn, usize)>, HeldKeys)| batch) {
                        prop_assert!(!conflict(one, other), "with a batch under way");
                    }
                }
                sent.extend(batch.iter().map(|(_, number)| *number));
                under_way.push((batch, held));
                continue;
            }
            prop_assert!(!under_way.is_empty(), "every transaction may go when no batch is under way");
            let (_, held) = under_way.swap_remove(answers.next().unwrap_or(0) % under_way.len());
            queue.answered(held);
        }
        for (at, earlier) in sent.iter().enumerate() {
            for later in &sent[at + 1..] {
                let overtaken = earlier > later && conflict(&txns[*earlier], &txns[*later]);
                prop_assert!(!overtaken, "{} went before {}", earlier, later);
            }
        }
        prop_assert!(queue.under_way.uses.is_empty() && queue.len() == 0);
    }
}

#[test]
fn placements_that_share_a_servers_guard_go_together() {
    let mut queue = CommitQueue::new(BatchLimits::default());
    (10..80).for_each(|id| queue.push(txn(&[1, id], &[id]), id));
    let (batch, _held) = queue.next_batch().expect("a batch");
    assert_eq!(batch.len(), 64);
    let (rest, _held) = queue.next_batch().expect("another while the first is under way");
    assert_eq!(rest.len(), 6);
}

#[test]
fn a_write_waits_for_those_that_guard_its_key_and_holds_up_those_after_it() {
    let mut queue = CommitQueue::new(BatchLimits::default());
    queue.push(txn(&[1], &[2]), "guards 1");
    queue.push(txn(&[], &[1]), "writes 1");
    queue.push(txn(&[1], &[3]), "guards 1 later");
    queue.push(txn(&[], &[4]), "elsewhere");
    let tags =
        |batch: Vec<(StoreTxn, &'static str)>| batch.into_iter().map(|(_, tag)| tag).collect::<Vec<_>>();
    let (first, held) = queue.next_batch().expect("a batch");
    assert_eq!(tags(first), ["guards 1", "elsewhere"]);
    assert!(queue.next_batch().is_none());
    queue.answered(held);
    let (second, held) = queue.next_batch().expect("a batch");
    assert_eq!(tags(second), ["writes 1"]);
    queue.answered(held);
    let (third, _held) = queue.next_batch().expect("a batch");
    assert_eq!(tags(third), ["guards 1 later"]);
}

#[test]
fn a_large_transaction_goes_alone_and_is_not_passed_by() {
    let mut queue = CommitQueue::new(BatchLimits { txns: 64, bytes: 1 << 20, scan: 10 });
    queue.push(txn(&[], &[1]), "small");
    let many: Vec<u8> = (2..130).collect();
    queue.push(txn(&[], &many), "large");
    queue.push(txn(&[], &[4]), "after the large");
    let mut sizes = Vec::new();
    while let Some((batch, held)) = queue.next_batch() {
        sizes.push(batch.into_iter().map(|(_, tag)| tag).collect::<Vec<_>>());
        queue.answered(held);
    }
    assert_eq!(sizes, [vec!["small"], vec!["large"], vec!["after the large"]]);
}
