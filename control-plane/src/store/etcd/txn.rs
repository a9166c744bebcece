//! Transactions in etcd's form: several are nested in one, each with its own guards.
//!
//! Every transaction that deletes also writes [`DELETIONS`], whose value is empty. A revision that
//! deletes without it is the work of another program, and the deleted meeting may still run.

use etcd_client::{Compare, CompareOp, TxnOp, TxnOpResponse, TxnResponse};

use super::key_space::{KeySpace, revision};
use crate::{
    ports::{StoreError, StoreTxn, TxnGuard, TxnVerdict, TxnWrite},
    store::{batch_shape::BatchShape, keys::DELETIONS},
};

/// Cuts transactions into runs that etcd takes in one request.
pub(super) fn runs(txns: &[StoreTxn]) -> Vec<&[StoreTxn]> {
    let (mut runs, mut rest) = (Vec::new(), txns);
    while !rest.is_empty() {
        let mut shape = BatchShape::default();
        let fits = |txn: &&StoreTxn| {
            shape = shape.with(txn);
            shape.fits()
        };
        let (run, after) = rest.split_at(rest.iter().take_while(fits).count().max(1));
        runs.push(run);
        rest = after;
    }
    runs
}

/// Encodes independent transactions as one.
pub(super) fn nested(space: &KeySpace, txns: &[StoreTxn]) -> etcd_client::Txn {
    match txns {
        [one] => {
            let (compares, mut writes) = parts(space, one);
            writes.extend(attestation(space, txns));
            etcd_client::Txn::new().when(compares).and_then(writes)
        }
        many => {
            let inner = many.iter().map(|txn| {
                let (compares, writes) = parts(space, txn);
                TxnOp::txn(etcd_client::Txn::new().when(compares).and_then(writes))
            });
            // etcd takes no key twice, so the mark is written once beside the nested transactions,
            // even if none of them is committed.
            let all: Vec<TxnOp> = inner.chain(attestation(space, txns)).collect();
            etcd_client::Txn::new().and_then(all)
        }
    }
}

fn parts(space: &KeySpace, txn: &StoreTxn) -> (Vec<Compare>, Vec<TxnOp>) {
    let compares = txn.guards.iter().map(|guard| compare(space, guard)).collect();
    (compares, txn.writes.iter().map(|write| op(space, write)).collect())
}

/// Returns the write that marks deletions as Usher's own, if there are any.
fn attestation(space: &KeySpace, txns: &[StoreTxn]) -> Option<TxnOp> {
    let mut writes = txns.iter().flat_map(|txn| &txn.writes);
    let deletes = writes.any(|write| matches!(write, TxnWrite::Delete(_)));
    deletes.then(|| TxnOp::put(space.full(DELETIONS), "", None))
}

fn compare(space: &KeySpace, guard: &TxnGuard) -> Compare {
    match guard {
        TxnGuard::Absent(key) => Compare::create_revision(space.full(key), CompareOp::Equal, 0),
        // In etcd an absent key has mod revision 0; the port's guard means that the key exists. A
        // comparison that is always false expresses this.
        TxnGuard::Unchanged(key, 0) => Compare::mod_revision(space.full(key), CompareOp::Less, 0),
        TxnGuard::Unchanged(key, at) => {
            Compare::mod_revision(space.full(key), CompareOp::Equal, revision(*at))
        }
        TxnGuard::Fence(token) => {
            Compare::create_revision(token.key.as_str(), CompareOp::Equal, revision(token.create_revision))
        }
    }
}

fn op(space: &KeySpace, write: &TxnWrite) -> TxnOp {
    match write {
        TxnWrite::Put(key, value) => TxnOp::put(space.full(key), value.as_ref(), None),
        TxnWrite::Delete(key) => TxnOp::delete(space.full(key), None),
    }
}

/// Reads the verdict of each transaction of a run.
pub(super) fn verdicts(count: usize, response: &TxnResponse) -> Result<Vec<TxnVerdict>, StoreError> {
    let unreadable = || StoreError::Unknown("etcd's answer does not match the transactions".into());
    let at = response.header().map(etcd_client::ResponseHeader::revision).ok_or_else(unreadable)?;
    let at = u64::try_from(at).map_err(|_| unreadable())?;
    let verdict = |held| if held { TxnVerdict::Committed(at) } else { TxnVerdict::Refused(at) };
    if count == 1 {
        return Ok(vec![verdict(response.succeeded())]);
    }
    let answers = response.op_responses();
    if answers.len() < count {
        return Err(unreadable());
    }
    answers
        .into_iter()
        .take(count)
        .map(|answer| match answer {
            TxnOpResponse::Txn(inner) => Ok(verdict(inner.succeeded())),
            _ => Err(unreadable()),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_too_large_to_nest_goes_alone_and_order_is_kept() {
        let txn = |writes: usize| StoreTxn {
            guards: vec![],
            writes: (0..writes).map(|key| TxnWrite::Delete(format!("{writes}/{key}"))).collect(),
        };
        let txns: Vec<StoreTxn> = (0..70).map(|_| txn(1)).chain([txn(130), txn(2), txn(3)]).collect();
        let sizes: Vec<usize> = runs(&txns).iter().map(|run| run.len()).collect();
        assert_eq!(sizes, [64, 6, 1, 2]);
        assert_eq!(runs(&txns).concat(), txns);
    }
}
