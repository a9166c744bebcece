//! The number of operations of transactions that go together in one request.
//!
//! etcd counts the operations of a request against its `--max-txn-ops`, 128 by default: the larger
//! number of guards or of writes of the outer transaction, and of each nested one in addition
//! (`checkTxnRequest` in etcd's `api/v3rpc/key.go`, 3.4 to 3.6). A request beyond it is refused as
//! a whole. The committer and the etcd adapter share this rule, so that a batch is one request.

use crate::ports::{StoreTxn, TxnWrite};

/// etcd's default of `--max-txn-ops`.
pub(super) const MAX_OPS: usize = 128;

/// Largest number of transactions in one request.
pub(super) const MAX_TXNS: usize = 64;

/// The shape of a batch: the parts that count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct BatchShape {
    txns: usize,
    /// Largest number of operations of one transaction.
    largest: usize,
    /// Whether a transaction deletes; one write more marks the deletions as Usher's own.
    deletes: bool,
}

impl BatchShape {
    /// Returns the shape with one transaction more.
    pub(super) fn with(self, txn: &StoreTxn) -> Self {
        let deletes = txn.writes.iter().any(|write| matches!(write, TxnWrite::Delete(_)));
        Self {
            txns: self.txns + 1,
            largest: self.largest.max(txn.guards.len().max(txn.writes.len())),
            deletes: self.deletes || deletes,
        }
    }

    /// Returns whether etcd takes the batch as one request of nested transactions. A transaction
    /// of its own is not nested, and no other would be refused with it.
    pub(super) fn fits(self) -> bool {
        let outer = self.txns + usize::from(self.deletes);
        self.txns <= 1 || (self.txns <= MAX_TXNS && outer + self.largest <= MAX_OPS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deletions(count: usize) -> StoreTxn {
        let writes = (0..count).map(|key| TxnWrite::Delete(key.to_string())).collect();
        StoreTxn { guards: vec![], writes }
    }

    #[test]
    fn the_limit_is_the_sum_of_the_parts() {
        let small = (0..63).fold(BatchShape::default(), |shape, _| shape.with(&deletions(1)));
        assert!(small.with(&deletions(63)).fits(), "64 transactions, the mark, 63 operations: 128");
        assert!(!small.with(&deletions(64)).fits(), "129");
        assert!(!small.with(&deletions(1)).with(&deletions(1)).fits(), "65 transactions");
        let large = BatchShape::default().with(&deletions(500));
        assert!(large.fits(), "it goes alone");
        assert!(!large.with(&deletions(1)).fits());
    }
}
