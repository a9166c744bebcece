use bytes::Bytes;
use proptest::{collection::vec, prelude::*};

use super::*;

fn put(key: &str, value: &str) -> TxnWrite {
    TxnWrite::Put(key.into(), Bytes::copy_from_slice(value.as_bytes()))
}

fn txn(guards: &[TxnGuard], writes: &[TxnWrite]) -> StoreTxn {
    StoreTxn { guards: guards.to_vec(), writes: writes.to_vec() }
}

fn run(state: &mut StoreState, txns: &[StoreTxn]) -> Vec<TxnVerdict> {
    let mut draft = TransactionDraft::new(state);
    let verdicts = draft.commit(txns).expect("independent");
    let batches = draft.finish();
    state.apply(batches);
    verdicts
}

fn small_key() -> impl Strategy<Value = String> {
    "[ab]/[xyz]"
}

fn step() -> impl Strategy<Value = StoreTxn> {
    let guard = prop_oneof![
        small_key().prop_map(TxnGuard::Absent),
        (small_key(), 0_u64..12).prop_map(|(key, revision)| TxnGuard::Unchanged(key, revision)),
    ];
    let write = prop_oneof![
        (small_key(), "[01]").prop_map(|(key, value)| TxnWrite::Put(key, value.into())),
        small_key().prop_map(TxnWrite::Delete),
    ];
    (vec(guard, 0..2), vec(write, 0..3)).prop_map(|(guards, mut writes)| {
        let mut seen = HashSet::new();
        writes.retain(|write| {
            let (TxnWrite::Put(key, _) | TxnWrite::Delete(key)) = write;
            seen.insert(key.clone())
        });
        StoreTxn { guards, writes }
    })
}

proptest! {
    /// A reader that lists at a revision and follows from there holds the same entries as the
    /// state.
    #[test]
    fn a_listing_and_the_changes_since_make_the_state(steps in vec(step(), 1..30), at in 0_usize..30) {
        let mut state = StoreState::new(Vec::new(), 0, usize::MAX);
        let mut followed = StoreState::new(Vec::new(), 0, usize::MAX);
        let mut from = 1;
        for (number, step) in steps.iter().enumerate() {
            if number == at {
                let listing = state.list("");
                from = listing.revision + 1;
                followed = StoreState::new(listing.entries, listing.revision, usize::MAX);
            }
            let before = state.revision();
            for verdict in run(&mut state, std::slice::from_ref(step)) {
                let (TxnVerdict::Committed(revision) | TxnVerdict::Refused(revision)) = verdict;
                prop_assert_eq!(revision, state.revision());
            }
            prop_assert!(state.revision() - before <= 1);
        }
        let (batches, next) = state.since("", from, usize::MAX).expect("history is kept");
        prop_assert!(batches.windows(2).all(|pair| pair[0].revision < pair[1].revision));
        prop_assert!(next <= state.revision() + 1 || next == from);
        followed.apply(batches);
        prop_assert_eq!(followed.list("").entries, state.list("").entries);
    }

    /// Dropped history is reported, never skipped.
    #[test]
    fn history_is_complete_or_compacted(steps in vec(step(), 1..40), bound in 0_usize..1500, from in 1_u64..40) {
        let mut all = StoreState::new(Vec::new(), 0, usize::MAX);
        let mut bounded = StoreState::new(Vec::new(), 0, bound);
        for step in &steps {
            run(&mut all, std::slice::from_ref(step));
            run(&mut bounded, std::slice::from_ref(step));
        }
        match bounded.since("a/", from, usize::MAX) {
            Ok(found) => prop_assert_eq!(Ok(found), all.since("a/", from, usize::MAX)),
            Err(first) => {
                prop_assert!(first > from);
                prop_assert!(bounded.since("a/", first, usize::MAX).is_ok());
            }
        }
    }
}

#[test]
fn transactions_of_one_commit_are_decided_on_their_own_at_one_revision() {
    let mut state = StoreState::new(Vec::new(), 4, usize::MAX);
    run(&mut state, &[txn(&[], &[put("a", "0")])]);
    let verdicts = run(
        &mut state,
        &[
            txn(&[TxnGuard::Absent("b".into())], &[put("b", "1")]),
            txn(&[TxnGuard::Absent("a".into())], &[put("c", "1")]),
            txn(&[TxnGuard::Unchanged("a".into(), 5)], &[put("a", "1")]),
        ],
    );
    assert_eq!(verdicts, [TxnVerdict::Committed(6), TxnVerdict::Refused(6), TxnVerdict::Committed(6)]);
    let keys: Vec<_> =
        state.list("").entries.into_iter().map(|e| (e.key, e.create_revision, e.mod_revision)).collect();
    assert_eq!(keys, [("a".to_owned(), 5, 6), ("b".to_owned(), 6, 6)]);
}

#[test]
fn a_commit_that_writes_one_key_twice_is_refused() {
    let state = StoreState::new(Vec::new(), 0, usize::MAX);
    let mut draft = TransactionDraft::new(&state);
    let twice = [txn(&[], &[put("a", "0")]), txn(&[], &[put("a", "1")])];
    assert_eq!(draft.commit(&twice), Err(WrittenTwice("a".into())));
    assert!(draft.finish().is_empty());
}

#[test]
fn a_commit_without_effect_makes_no_revision() {
    let mut state = StoreState::new(Vec::new(), 7, usize::MAX);
    let delete = txn(&[], &[TxnWrite::Delete("a".into())]);
    assert_eq!(run(&mut state, &[delete, StoreTxn::default()]), [TxnVerdict::Committed(7); 2]);
    assert_eq!(state.revision(), 7);
}
