//! Keeping hooks on servers: what one is to have, what it has, and what is to be done about that.
//! Nothing is remembered of what was done before: servers lose hooks, by a restart or since nobody
//! answered them for some minutes, and get them again.
//!
//! **K1** whoever looks at a server as it is and does what [`plan`] says leaves it with what is wanted,
//! and [`plan`] then says nothing. **K2** hooks that are not ours are not touched. **K3** one server that
//! does not answer delays no other.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use foldhash::{HashMap, HashMapExt};
use usher_bbb::parse::ListedHook;
use usher_model::id::ServerId;

use super::HookRegistration;

/// Changes that are made on one server before others have their turn.
const AT_ONCE: usize = 16;
/// Longest time between two tries of a server that fails.
const LONGEST_PAUSE: Duration = Duration::from_mins(5);

/// What a server is to have: at most a hook for mapped events and one for raw ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WantedHooks {
    /// Events as bbb-webhooks maps them.
    pub mapped: bool,
    /// Events as they are on the bus.
    pub raw: bool,
}

impl WantedHooks {
    /// Returns what the registrations together ask for.
    pub fn of<'r>(registrations: impl IntoIterator<Item = &'r HookRegistration>) -> Self {
        registrations.into_iter().fold(Self::default(), |wish, registration| Self {
            mapped: wish.mapped || !registration.raw,
            raw: wish.raw || registration.raw,
        })
    }

    /// Tells whether it wants all that another does.
    pub fn covers(self, other: Self) -> bool {
        (self.mapped || !other.mapped) && (self.raw || !other.raw)
    }

    /// Tells whether it wants nothing.
    pub fn is_empty(self) -> bool {
        !self.mapped && !self.raw
    }
}

/// A change on a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HookStep {
    /// Register an address.
    Create {
        /// The address.
        url: String,
        /// For raw events.
        raw: bool,
    },
    /// Take a hook out.
    Destroy {
        /// Its id on that server.
        id: String,
    },
}

/// Returns what turns `seen` into `wanted` (address → raw). `is_ours` tells our addresses from others'.
/// New ones come first, so that nothing is missed between.
pub fn plan(
    wanted: &BTreeMap<String, bool>,
    seen: &[ListedHook],
    is_ours: impl Fn(&str) -> bool,
) -> Vec<HookStep> {
    let mut standing = BTreeSet::new();
    let mut steps = Vec::new();
    for hook in seen.iter().filter(|hook| is_ours(&hook.callback_url)) {
        let fits = wanted.get(&hook.callback_url) == Some(&hook.raw) && hook.meeting_id.is_none();
        if !fits || !standing.insert(&hook.callback_url) {
            steps.push(HookStep::Destroy { id: hook.id.clone() });
        }
    }
    // A server takes no second hook for an address: one that does not fit goes before its like comes.
    let blocked = |url: &String| seen.iter().any(|hook| hook.callback_url == *url);
    let missing = wanted.iter().filter(|(url, _)| !standing.contains(url));
    let (later, now): (Vec<_>, Vec<_>) = missing.partition(|(url, _)| blocked(url));
    let create = |(url, raw): (&String, &bool)| HookStep::Create { url: url.clone(), raw: *raw };
    let mut all: Vec<HookStep> = now.into_iter().map(create).collect();
    all.append(&mut steps);
    all.extend(later.into_iter().map(create));
    all.truncate(AT_ONCE);
    all
}

/// How a look at a server came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HookCheckOutcome {
    /// It has what is wanted.
    Kept,
    /// Changes were made; another look shows whether all of them.
    Changed,
    /// It has no webhooks.
    Unsupported,
    /// It could not be asked, or refused.
    Failed,
}

/// A server as the fleet has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HookServer {
    /// What it is to have.
    pub wish: WantedHooks,
    /// Whether it is used at all: one that never was in this term is not asked.
    pub used: bool,
    /// Whether it answers polls.
    pub reachable: bool,
}

#[derive(Debug)]
struct Kept {
    /// What it is to have.
    wish: WantedHooks,
    /// What it was last looked at for, and how that came out.
    last: Option<(WantedHooks, HookCheckOutcome)>,
    was_reachable: bool,
    failures: u32,
    due: Instant,
    busy: bool,
}

/// When which server is looked at.
#[derive(Debug)]
pub struct KeeperSchedule {
    period: Duration,
    servers: HashMap<ServerId, Kept>,
}

impl KeeperSchedule {
    /// Looks at every server that is to have hooks once a period.
    pub fn new(period: Duration) -> Self {
        Self { period, servers: HashMap::new() }
    }

    /// Returns the servers to look at now; whoever asks does it, and says how it came out.
    pub fn work(&mut self, fleet: &[(ServerId, HookServer)], now: Instant) -> Vec<(ServerId, WantedHooks)> {
        let known: BTreeSet<&ServerId> = fleet.iter().map(|(id, _)| id).collect();
        self.servers.retain(|id, _| known.contains(id));
        let mut work = Vec::new();
        for (id, subject) in fleet {
            let kept = self.servers.entry(id.clone()).or_insert(Kept {
                wish: subject.wish,
                last: None,
                was_reachable: subject.reachable,
                failures: 0,
                due: now,
                busy: false,
            });
            let returned = subject.reachable && !kept.was_reachable;
            (kept.was_reachable, kept.wish) = (subject.reachable, subject.wish);
            let is_done = match kept.last {
                Some((wish, outcome)) => {
                    let rests = wish.is_empty()
                        && matches!(outcome, HookCheckOutcome::Kept | HookCheckOutcome::Unsupported);
                    wish == subject.wish && !returned && (rests || now < kept.due)
                }
                None => !subject.used,
            };
            if subject.reachable && !kept.busy && !is_done {
                kept.busy = true;
                work.push((id.clone(), subject.wish));
            }
        }
        work
    }

    /// Takes how a look came out.
    pub fn finished(&mut self, id: &ServerId, wish: WantedHooks, outcome: HookCheckOutcome, now: Instant) {
        let Some(kept) = self.servers.get_mut(id) else { return };
        (kept.busy, kept.last) = (false, Some((wish, outcome)));
        kept.failures = if outcome == HookCheckOutcome::Failed { kept.failures + 1 } else { 0 };
        let pause = match outcome {
            HookCheckOutcome::Kept => self.period,
            HookCheckOutcome::Changed => Duration::ZERO,
            HookCheckOutcome::Unsupported => LONGEST_PAUSE.max(self.period),
            HookCheckOutcome::Failed => {
                let grown = (self.period / 4).saturating_mul(1 << (kept.failures - 1).min(10));
                grown.min(LONGEST_PAUSE.max(self.period))
            }
        };
        kept.due = now + pause;
    }

    /// Counts the servers by how the last look came out; none where there was none yet.
    pub fn outcomes(&self) -> impl Iterator<Item = Option<HookCheckOutcome>> {
        self.servers.values().map(|kept| kept.last.map(|(_, outcome)| outcome))
    }

    /// Counts the servers that are to have hooks and were not seen to have all of them.
    pub fn lacking(&self) -> usize {
        let lacks =
            |kept: &&Kept| !kept.wish.is_empty() && kept.last != Some((kept.wish, HookCheckOutcome::Kept));
        self.servers.values().filter(lacks).count()
    }

    /// Forgets everything, for a new term.
    pub fn clear(&mut self) {
        self.servers.clear();
    }
}

#[cfg(test)]
mod tests;
