use super::*;
use proptest::prelude::*;

const EPOCH: Epoch = Epoch { number: 7, begun: 10 };

fn store_key() -> HistoryKey {
    HistoryKey::new([3; HistoryKey::LEN])
}

fn brought(revision: Revision, key: &HistoryKey) -> EpochEvidence {
    EpochEvidence::Edge(SealedRevision { revision, mac: key.seal(revision) })
}

/// The table, row by row.
#[test]
fn i10_an_epoch_ends_only_by_evidence() {
    let key = store_key();
    let at = |seq| Revision::new(EPOCH.number, seq);
    let rows = [
        (EpochEvidence::WentBack { applied: 50, now: 49 }, true),
        (EpochEvidence::WentBack { applied: 50, now: 50 }, false),
        (EpochEvidence::Contradicts, true),
        (EpochEvidence::Taken, true),
        (brought(at(101), &key), true),
        (brought(at(100), &key), false),
        (brought(Revision::new(8, 101), &key), false),
        (brought(at(101), &HistoryKey::new([4; HistoryKey::LEN])), false),
        (EpochEvidence::Edge(SealedRevision { revision: at(u64::MAX), mac: Vec::new() }), false),
        (EpochEvidence::Edge(SealedRevision { revision: at(500), mac: key.seal(at(101)) }), false),
    ];
    for (evidence, ends) in rows {
        assert_eq!(evidence.suffices(EPOCH, Some(&key), 100), ends, "{evidence:?}");
    }
    assert!(!brought(at(101), &key).suffices(EPOCH, None, 100), "nobody can check it");
}

proptest! {
    /// A hostile edge may bring any seals that it was given, in any order: the store has been at every
    /// revision that was sealed.
    #[test]
    fn i10_no_sequence_of_hellos_ends_an_epoch_of_a_store_that_goes_on(
        start in 0..1_000_u64,
        steps in proptest::collection::vec((0..3_u64, any::<bool>(), any::<u64>(), any::<(u64, usize)>()), 1..60),
    ) {
        let (key, mut store_at) = (store_key(), start);
        let mut given: Vec<SealedRevision> = Vec::new();
        for (writes, of_this_epoch, noise, (claimed, picked)) in steps {
            store_at += writes;
            let revision = Revision::new(EPOCH.number, store_at);
            given.push(SealedRevision { revision, mac: key.seal(revision) });
            let epoch = if of_this_epoch { EPOCH.number } else { noise };
            let mac = given[picked % given.len()].mac.clone();
            let mut forged = mac.clone();
            forged[picked % 32] ^= noise.max(1) as u8 | 1;
            for claim in [store_at.saturating_add(claimed), store_at + claimed % 1_000] {
                for mac in [Vec::new(), noise.to_be_bytes().repeat(4), forged.clone(), mac.clone()] {
                    let hello = EpochEvidence::Edge(SealedRevision { revision: Revision::new(epoch, claim), mac });
                    prop_assert!(!hello.suffices(EPOCH, Some(&key), store_at));
                }
            }
            let replayed = EpochEvidence::Edge(given[picked % given.len()].clone());
            prop_assert!(!replayed.suffices(EPOCH, Some(&key), store_at), "it was there");
        }
        // A store that was set back by any number of writes is detected by the newest seal, from any
        // edge.
        let newest = given.last().cloned().expect("one was given");
        if newest.revision.seq > 0 {
            let back = newest.revision.seq - 1;
            prop_assert!(EpochEvidence::Edge(newest).suffices(EPOCH, Some(&key), back));
        }
    }
}
