//! Breadth-first search over every reachable state: the first violation found is one of the shortest.
//!
//! A lost message never arrives, so it needs no step of its own: a state whose messages are all still
//! under way is judged at rest as if they were lost.

use std::{collections::VecDeque, fmt};

use foldhash::{HashSet, HashSetExt as _};

use crate::{
    canonical::{fingerprint, hash},
    cluster::{Cluster, Label},
    state::State,
};

/// Result of a search.
#[derive(Debug)]
pub(crate) enum Found {
    /// Every reachable state was looked at: how many, and how many of them at rest.
    Nothing { states: usize, at_rest: usize },
    /// An invariant is broken.
    Violation(Trace),
    /// There are more states than the bound allows, and no violation among the first ones.
    TooMany,
}

/// How a violation comes about.
#[derive(Debug)]
pub(crate) struct Trace {
    fault: String,
    steps: Vec<(Label, State)>,
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n  after:", self.fault)?;
        for (Label(what, first, second), state) in &self.steps {
            writeln!(f, "  {what} {first} {second}")?;
            writeln!(f, "      {:?} {:?}, live {:?}", state.store.rec, state.store.zom, state.live)?;
        }
        Ok(())
    }
}

/// A state, and from where it was reached first.
struct Node {
    parent: usize,
    fingerprint: u64,
}

/// Searches one configuration to its end. States are distinguished by a hash of 64 bits.
pub(crate) fn search(cluster: &Cluster) -> Found {
    let start = cluster.start();
    let mut nodes = vec![Node { parent: 0, fingerprint: fingerprint(&start) }];
    let mut seen = HashSet::new();
    seen.insert(fingerprint(&start));
    let (mut queue, mut rested) = (VecDeque::from([(0, start)]), HashSet::new());
    while let Some((index, state)) = queue.pop_front() {
        if state.is_quiet()
            && rested.insert(hash(&(state.store, state.live, state.acked, state.released)))
            && let Some(fault) = cluster.fault_at_rest(&state)
        {
            return Found::Violation(trace(cluster, &nodes, index, fault));
        }
        for next in cluster.next(&state) {
            let fingerprint = fingerprint(&next.state);
            if next.broken.is_none() && !seen.insert(fingerprint) {
                continue;
            }
            nodes.push(Node { parent: index, fingerprint });
            let reached = nodes.len() - 1;
            if let Some(fault) = next.broken {
                return Found::Violation(trace(cluster, &nodes, reached, fault));
            }
            if nodes.len() > cluster.bounds.most_states {
                return Found::TooMany;
            }
            queue.push_back((reached, next.state));
        }
    }
    Found::Nothing { states: nodes.len(), at_rest: rested.len() }
}

/// Goes the way to a node again.
fn trace(cluster: &Cluster, nodes: &[Node], last: usize, fault: String) -> Trace {
    let mut way = Vec::new();
    let mut index = last;
    while index != 0 {
        way.push(nodes[index].fingerprint);
        index = nodes[index].parent;
    }
    let mut state = cluster.start();
    let mut steps = Vec::new();
    for wanted in way.into_iter().rev() {
        let mut next = cluster.next(&state).into_iter();
        let Some(next) = next.find(|next| fingerprint(&next.state) == wanted) else { break };
        state = next.state;
        steps.push((next.label, state));
    }
    Trace { fault, steps }
}
