//! Invariants once no message is under way and every server is online: no meeting is leaked, split or
//! lost.

use super::{Cluster, Draft};
use crate::state::{Admin, Counters, Poll, RecState, SERVERS, State, bit};

/// Polls of every server after which a cluster that is left alone is at rest.
const ROUNDS: usize = 8;

impl Cluster {
    /// Lets a quiet cluster come to rest and returns the violations: with every server enabled again,
    /// and with the disabled ones left so.
    pub(crate) fn fault_at_rest(&self, state: &State) -> Option<String> {
        let as_it_is = state.store.admin.contains(&Admin::Disabled);
        self.fault_with(state, false).or_else(|| as_it_is.then(|| self.fault_with(state, true)).flatten())
    }

    fn fault_with(&self, state: &State, disabled_stays: bool) -> Option<String> {
        let mut draft = self.draft(state);
        draft.state.lose_messages();
        draft.state.lag = None;
        draft.state.leader = 0;
        for server in SERVERS {
            if draft.state.store.admin[server] != Admin::Disabled || !disabled_stays {
                draft.state.store.admin[server] = Admin::Enabled;
                let recover = self.bounds.healthy_threshold;
                draft.state.store.health[server] = Some(Counters { recover, error: 0 });
            }
        }
        for _ in 0..ROUNDS {
            for server in SERVERS {
                draft.poll_at_rest(server);
            }
        }
        let left_alone = self.bounds.adopts > 0;
        draft.broken.take().or_else(|| fault(state, &draft.state, left_alone))
    }
}

impl Draft<'_> {
    fn poll_at_rest(&mut self, server: usize) {
        let store = self.state.store;
        if store.admin[server] == Admin::Disabled {
            self.empty_disabled(0, server);
            if self.state.store.zom[server].is_none() {
                return; // no replica polls it any more
            }
        }
        let seen = Some(self.state.live[server]);
        let (record_changed, zombie_changed, server_changed) = (false, false, false);
        let poll = Poll { seen, record_changed, zombie_changed, server_changed, late: true };
        self.reconcile(0, server, poll, true);
        for instance in 1..self.state.next {
            if self.state.ends[server] & bit(instance) != 0 {
                self.end_arrives(server, instance);
            }
        }
        self.state.ends[server] = 0;
    }
}

/// `left_alone` allows that another balancer's meetings are unknown.
fn fault(before: &State, rest: &State, left_alone: bool) -> Option<String> {
    let routed = |server: usize, instance: u8| {
        rest.store.rec.is_some_and(|rec| {
            (rest.aliased || usize::from(rec.server) == server) && rec.state == RecState::Active(instance)
        })
    };
    // Another balancer's meeting may run beside a record of ours, and is left alone (I2).
    let foreign =
        |instance: u8| rest.foreign & bit(instance) != 0 && (left_alone || rest.store.rec.is_some());
    for server in SERVERS {
        let (was, is) = (before.live[server], rest.live[server]);
        // A request that comes late to a disabled server belongs to no one: the server is not polled.
        let known = rest.store.admin[server] != Admin::Disabled || before.acked & bit(is) != 0;
        if is != 0 && !routed(server, is) && !foreign(is) && known {
            return Some(format!("I4: instance {is} leaked on server {server} at rest"));
        }
        if was != 0 && was != is && before.acked & !rest.released & bit(was) != 0 {
            return Some(format!("I3: acknowledged instance {was} on server {server} was lost at rest"));
        }
    }
    let ours = |instance: u8| instance != 0 && !foreign(instance);
    let twice = !rest.aliased && rest.live.iter().all(|instance| ours(*instance));
    if twice && !rest.store.admin.contains(&Admin::Disabled) {
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
