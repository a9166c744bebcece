//! Keeps hooks on servers: compares the hooks that a server needs with those it has, and returns the
//! changes. The rules remember no earlier change, because servers lose hooks, by a restart or after
//! some minutes without an answer, and must get them again.
//!
//! **K1** A caller that looks at a server and performs the steps of [`plan`] leaves it with the wanted
//! hooks, and [`plan`] then returns no step. **K2** Hooks that are not ours are not touched. **K3** One
//! server that does not answer delays no other.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use foldhash::{HashMap, HashMapExt};
use usher_bbb::parse::ListedHook;
use usher_model::id::ServerId;

use super::RegisteredHook;

/// Changes that are made on one server before others have their turn.
const AT_ONCE: usize = 16;
/// Longest time between two tries of a server that fails.
const LONGEST_PAUSE: Duration = Duration::from_mins(5);

/// The hooks that a server needs: at most one for mapped events and one for raw ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WantedHooks {
    /// Events as bbb-webhooks maps them.
    pub mapped: bool,
    /// Events as they are on the bus.
    pub raw: bool,
}

impl WantedHooks {
    /// Returns the hooks that the registrations need together.
    pub fn of<'r>(registrations: impl IntoIterator<Item = &'r RegisteredHook>) -> Self {
        registrations.into_iter().fold(Self::default(), |wish, registration| Self {
            mapped: wish.mapped || !registration.raw,
            raw: wish.raw || registration.raw,
        })
    }

    /// Returns whether it includes all hooks of another.
    pub fn covers(self, other: Self) -> bool {
        (self.mapped || !other.mapped) && (self.raw || !other.raw)
    }

    /// Returns whether it needs no hook.
    pub fn is_empty(self) -> bool {
        !self.mapped && !self.raw
    }
}

/// A change on a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HookStep {
    /// Register an address at the server.
    Create {
        /// Address of an edge, sealed for the server.
        url: String,
        /// Whether the hook is for raw events.
        raw: bool,
    },
    /// Take a hook out.
    Destroy {
        /// Its id on that server.
        id: String,
    },
}

/// Returns the steps that turn `seen` into `wanted` (address → raw). `is_ours` separates our addresses
/// from others'. Creations come first, so that no event is missed in between.
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
    /// The server has the wanted hooks.
    Kept,
    /// Changes were made; another look shows whether all of them.
    Changed,
    /// It has no webhooks.
    Unsupported,
    /// The server did not answer, or refused.
    Failed,
}

/// A server as the fleet has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HookServer {
    /// The hooks that the server needs.
    pub wish: WantedHooks,
    /// Whether the server is in use. A server that was never in use in this term gets no request.
    pub used: bool,
    /// Whether it answers polls.
    pub reachable: bool,
}

#[derive(Debug)]
struct Kept {
    /// The hooks that the server needs.
    wish: WantedHooks,
    /// The hooks of the last look, and its outcome.
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

    /// Returns the servers to look at now. The caller must look at each and report the outcome.
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
