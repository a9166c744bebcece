//! The readiness of an edge by the tables of its cells.

use std::time::Duration;

/// The time after the start for which an edge waits for the tables of all cells. After it the edge is ready with
/// those that it has: one cell that is down must not take the others with it. Before it, load balancers send no
/// request that another edge would answer by the table of an earlier cell.
pub const ALL_CELLS_WITHIN: Duration = Duration::from_secs(10);

/// The readiness of an edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CellReadiness {
    /// Every cell has a table, or the time for it is over and one has.
    Ready,
    /// The edge waits for tables.
    Waiting,
}

/// Returns the readiness of an edge of which `read` cells out of `all` have a table, this long after its start.
pub fn readiness(read: usize, all: usize, since_start: Duration) -> CellReadiness {
    if read == all || read > 0 && since_start >= ALL_CELLS_WITHIN {
        CellReadiness::Ready
    } else {
        CellReadiness::Waiting
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edge_is_ready_with_every_cell_or_after_a_while_with_some() {
        let soon = Duration::from_secs(1);
        for (read, all, since, ready) in [
            (1, 1, soon, true),
            (0, 1, ALL_CELLS_WITHIN, false),
            (1, 2, soon, false),
            (2, 2, Duration::ZERO, true),
            (1, 2, ALL_CELLS_WITHIN, true),
            (0, 2, ALL_CELLS_WITHIN, false),
        ] {
            let expected = if ready { CellReadiness::Ready } else { CellReadiness::Waiting };
            assert_eq!(readiness(read, all, since), expected, "{read} of {all} after {since:?}");
        }
    }
}
