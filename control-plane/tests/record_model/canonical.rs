//! Gives states that can only do the same one form, so that the search meets each once.

use std::{
    cmp::{Ordering, Reverse},
    hash::{BuildHasher, Hash},
};

use foldhash::quality::FixedState;

use crate::state::{Create, Poll, Rec, RecState, State, View, bit};

/// Returns a hash that two states share if they differ only in the names of servers, creates and
/// instances, or in values that no step depends on any more.
pub(crate) fn fingerprint(state: &State) -> u64 {
    let plain = plain(*state);
    match rank(&plain, 0).cmp(&rank(&plain, 1)) {
        Ordering::Greater => hash(&plain),
        Ordering::Less => hash(&mirrored(plain)),
        Ordering::Equal => hash(&plain).min(hash(&mirrored(plain))),
    }
}

/// Says cheaply, most of the time, which server comes first.
fn rank(state: &State, server: usize) -> (u8, u8, bool, bool) {
    let record = state.store.rec.is_some_and(|rec| usize::from(rec.server) == server);
    (state.live[server], state.orphans[server], record, state.store.zom[server].is_some())
}

pub(crate) fn hash(value: &impl Hash) -> u64 {
    FixedState::default().hash_one(value)
}

/// Drops finished creates and numbers the rest in order.
fn plain(mut state: State) -> State {
    let reported = state.app_end.map_or(0, |end| end.meant().token);
    let mut names = 0;
    for_each_record(&mut state, |rec, creates| {
        let creator = usize::from(rec.token).checked_sub(1).map(|index| creates[index]);
        let called = creator != Some(Create::Gone) || rec.token == reported;
        if rec.state != RecState::Pending || !called {
            rec.token = 0; // no message names it again
        } else if rec.token == reported {
            names = reported;
        }
    });
    if let Some(end) = &mut state.app_end {
        end.meant_mut().token = names;
    }
    for poll in state.polls.iter_mut().flatten().flatten() {
        poll.late |= poll.record_changed; // the poll is no evidence about a newer record
    }
    let runs = state.live.iter().filter(|live| **live != 0).fold(0, |set, live| set | bit(*live));
    state.acked &= runs;
    state.released &= runs;
    let seen = state.polls.iter().flatten().flatten().filter_map(|poll| poll.seen);
    state.foreign &= seen.fold(runs, |set, instance| set | bit(instance));
    sort_creates(&mut state);
    number_instances(&mut state);
    state
}

fn for_each_record(state: &mut State, mut change: impl FnMut(&mut Rec, &[Create])) {
    let creates = state.creates;
    let views = std::iter::once(&mut state.store).chain(state.lag.as_mut().map(|lag| &mut lag.view));
    views.filter_map(|view| view.rec.as_mut()).for_each(|rec| change(rec, &creates));
}

/// Sorts the creates by all values that distinguish them, those not yet begun last.
fn sort_creates(state: &mut State) {
    let token = |view: &View| view.rec.map_or(0, |rec| rec.token);
    let (stored, lagging) = (token(&state.store), state.lag.map_or(0, |lag| token(&lag.view)));
    let reported = state.app_end.map_or(0, |end| end.meant().token);
    let mut order: [u8; crate::state::MOST_CREATES] = std::array::from_fn(|index| index as u8);
    order.sort_by_key(|index| {
        let create = state.creates[usize::from(*index)];
        let number = *index + 1;
        (Reverse(create), number == stored, number == lagging, number == reported)
    });
    state.creates = order.map(|index| state.creates[usize::from(index)]);
    let renamed = |token: u8| {
        let now = order.iter().position(|index| *index + 1 == token);
        now.map_or(0, |now| now as u8 + 1)
    };
    for_each_record(state, |rec, _| rec.token = renamed(rec.token));
    if let Some(end) = &mut state.app_end {
        end.meant_mut().token = renamed(reported);
    }
}

/// Numbers the instances that anything names by their order, which is that of their `createTime`.
fn number_instances(state: &mut State) {
    let mut named = state.ends[0] | state.ends[1];
    for_each_instance(state, |instance| named |= bit(*instance));
    let rank = |instance: u8| (named & (bit(instance) - 1) & !1).count_ones() as u8 + 1;
    for_each_instance(state, |instance| *instance = if *instance == 0 { 0 } else { rank(*instance) });
    let ranked = |mut set: u16| {
        let mut new = 0;
        while set != 0 {
            new |= bit(rank(set.trailing_zeros() as u8));
            set &= set - 1;
        }
        new
    };
    state.ends = state.ends.map(ranked);
    state.acked = ranked(state.acked);
    state.released = ranked(state.released);
    state.foreign = ranked(state.foreign);
    state.next = (named & !1).count_ones() as u8 + 1;
}

fn for_each_instance(state: &mut State, mut change: impl FnMut(&mut u8)) {
    let views = std::iter::once(&mut state.store).chain(state.lag.as_mut().map(|lag| &mut lag.view));
    for view in views {
        match view.rec.as_mut().map(|rec| &mut rec.state) {
            Some(RecState::Active(instance) | RecState::Ending(Some(instance))) => change(instance),
            Some(RecState::Pending | RecState::Ending(None)) | None => {}
        }
        view.zom.iter_mut().flatten().filter_map(|zom| zom.instance.as_mut()).for_each(&mut change);
    }
    state.live.iter_mut().for_each(&mut change);
    for create in &mut state.creates {
        if let Create::Answered { instance, .. } = create {
            change(instance);
        }
    }
    if let Some(end) = &mut state.app_end {
        change(&mut end.meant_mut().instance);
    }
    state.polls.iter_mut().flatten().flatten().filter_map(|poll| poll.seen.as_mut()).for_each(change);
}

/// Swaps the two servers.
fn mirrored(mut state: State) -> State {
    mirror_view(&mut state.store);
    if let Some(lag) = &mut state.lag {
        mirror_view(&mut lag.view);
        let (left, right) = (lag.stale & 0b0_1010_1010, lag.stale & 0b1_0101_0100);
        lag.stale = lag.stale & 1 | left << 1 | right >> 1;
    }
    for create in &mut state.creates {
        if let Create::Sent { to, .. } | Create::Answered { to, .. } = create {
            *to = 1 - *to;
        }
    }
    if let Some(end) = &mut state.app_end {
        let meant = end.meant_mut();
        meant.server = 1 - meant.server;
    }
    state.live.reverse();
    state.orphans.reverse();
    state.panicked.reverse();
    state.ends.reverse();
    state.polls.iter_mut().for_each(|polls: &mut [Option<Poll>; 2]| polls.reverse());
    state
}

fn mirror_view(view: &mut View) {
    if let Some(rec) = &mut view.rec {
        rec.server = 1 - rec.server;
    }
    view.zom.reverse();
    view.admin.reverse();
    view.empty.reverse();
    view.health.reverse();
}
