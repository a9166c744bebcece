//! What must hold once nothing is under way and every server is well: nothing leaked, nothing split,
//! nothing lost.

use super::{Cluster, Draft};
use crate::state::{Counters, Poll, RecState, SERVERS, State, bit};

/// Polls of every server after which a cluster that is left alone is at rest.
const ROUNDS: usize = 8;

impl Cluster {
    /// Lets a quiet cluster come to rest and says what is wrong then.
    pub(crate) fn fault_at_rest(&self, state: &State) -> Option<String> {
        let mut draft = self.draft(state);
        draft.state.lose_what_travels();
        draft.state.lag = None;
        draft.state.leader = 0;
        draft.state.store.disabled = [false; 2];
        draft.state.store.health = [Some(Counters { recover: 1, error: 0 }); 2];
        for _ in 0..ROUNDS {
            for server in SERVERS {
                draft.poll_at_rest(server);
            }
        }
        draft.broken.take().or_else(|| fault(state, &draft.state))
    }
}

impl Draft<'_> {
    fn poll_at_rest(&mut self, server: usize) {
        let seen = Some(self.state.live[server]);
        let poll = Poll { seen, record_changed: false, zombie_changed: false, late: true };
        self.reconcile(0, server, poll, true);
        for instance in 1..self.state.next {
            if self.state.ends[server] & bit(instance) != 0 {
                self.end_arrives(server, instance);
            }
        }
        self.state.ends[server] = 0;
    }
}

fn fault(before: &State, rest: &State) -> Option<String> {
    let routed = |server: usize, instance: u8| {
        rest.store
            .rec
            .is_some_and(|rec| usize::from(rec.server) == server && rec.state == RecState::Active(instance))
    };
    for server in SERVERS {
        let (was, is) = (before.live[server], rest.live[server]);
        if is != 0 && !routed(server, is) {
            return Some(format!("I4: instance {is} leaked on server {server} at rest"));
        }
        if was != 0 && was != is && before.acked & !rest.released & bit(was) != 0 {
            return Some(format!("I3: acknowledged instance {was} on server {server} was lost at rest"));
        }
    }
    if rest.live.iter().all(|instance| *instance != 0) {
        return Some("split at rest".into());
    }
    if rest.store.zom != [None; 2] {
        return Some("a zombie was not reaped at rest".into());
    }
    let named = rest.store.rec.map(|rec| (usize::from(rec.server), rec.instance()));
    if named.is_some_and(|(server, instance)| instance != Some(rest.live[server])) {
        return Some("the record names what does not run at rest".into());
    }
    None
}
