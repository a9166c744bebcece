//! Counts the servers that a list takes out of use, and decides which share needs no confirmation: a list that was
//! rendered empty must not take the fleet away from its running meetings (S10).
//!
//! | the plan cordons, disables or removes | without `--allow-shrink` | with `--allow-shrink N%` |
//! |---|---|---|
//! | no server in use | goes on | goes on |
//! | at most a third of the servers in use | goes on | goes on if it is at most N % |
//! | more than a third | refused | goes on if it is at most N % |
//! | every server that has meetings | refused | goes on if N is 100 |
//!
//! A server is in use if it is enabled or has meetings. A server that is disabled, or cordoned and empty, takes no
//! meeting and has none: its removal harms no user, and it does not make the fleet look larger.

use std::{collections::BTreeSet, fmt, str::FromStr};

use usher_model::{id::ServerId, server::AdminState};

use super::{
    server_list::ServerSpec,
    sync::{CurrentServer, FleetChange},
};

/// A share of the servers, `0%` to `100%`. The percent sign is optional when it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Percent(u8);

/// The error for a text that is no share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a share is a whole number from 0% to 100%")]
pub struct InvalidPercent;

impl FromStr for Percent {
    type Err = InvalidPercent;

    fn from_str(text: &str) -> Result<Self, InvalidPercent> {
        let digits = text.trim();
        let digits = digits.strip_suffix('%').unwrap_or(digits).trim_end();
        let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        let number = digits.parse::<u8>().ok().filter(|number| plain && *number <= 100);
        number.map(Self).ok_or(InvalidPercent)
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.0)
    }
}

/// The servers that a plan takes out of use.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FleetShrinkage {
    /// Number of servers in use before the plan.
    pub in_use: usize,
    /// Number of servers that have meetings before the plan.
    pub busy: usize,
    /// Servers in use that the plan cordons, disables or removes.
    pub hit: BTreeSet<ServerId>,
    /// Number of servers in [`Self::hit`] that have meetings.
    pub busy_hit: usize,
    /// Number of meetings on the servers in [`Self::hit`].
    pub meetings: u64,
    /// Number of users of these meetings in the last polls.
    pub users: u64,
    /// Number of servers in [`Self::hit`] whose address the list names under another id.
    pub renamed: usize,
}

impl FleetShrinkage {
    /// Counts the servers that `changes`, planned from `current` to `wanted`, take out of use.
    pub fn of(current: &[CurrentServer], wanted: &[ServerSpec], changes: &[FleetChange]) -> Self {
        let taken: BTreeSet<&ServerId> =
            changes.iter().filter(|change| change.takes_out_of_use()).map(FleetChange::server).collect();
        let mut shrinkage = Self::default();
        for server in current.iter().filter(|server| is_in_use(server)) {
            let busy = usize::from(server.meetings > 0);
            shrinkage.in_use += 1;
            shrinkage.busy += busy;
            if taken.contains(&server.id) && shrinkage.hit.insert(server.id.clone()) {
                shrinkage.busy_hit += busy;
                shrinkage.meetings += u64::from(server.meetings);
                shrinkage.users += u64::from(server.users);
                let elsewhere = |spec: &ServerSpec| spec.id != server.id && spec.url == server.url;
                shrinkage.renamed += usize::from(wanted.iter().any(elsewhere));
            }
        }
        shrinkage
    }

    /// Tells whether the plan goes on without confirmation, if the operator allowed the share `allowed`.
    pub fn is_within(&self, allowed: Option<Percent>) -> bool {
        if self.hit.is_empty() {
            return true;
        }
        match allowed {
            None => self.hit.len() * 3 <= self.in_use && !self.hits_all_busy(),
            Some(allowed) => self.needed() <= allowed,
        }
    }

    /// Returns the smallest share that lets the plan go on.
    pub fn needed(&self) -> Percent {
        if self.hits_all_busy() {
            return Percent(100);
        }
        let share = (self.hit.len() * 100).div_ceil(self.in_use.max(1));
        Percent(u8::try_from(share.min(100)).unwrap_or(100))
    }

    fn hits_all_busy(&self) -> bool {
        self.busy > 0 && self.busy_hit == self.busy
    }
}

impl fmt::Display for FleetShrinkage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { in_use, busy, hit, busy_hit, meetings, users, renamed } = self;
        write!(
            f,
            "the list takes {} of {in_use} servers out of use, {busy_hit} of {busy} that have meetings, with {meetings} meetings \
             and {users} users",
            hit.len()
        )?;
        if *renamed > 0 {
            write!(f, "; the list names {renamed} of them by another id")?;
        }
        Ok(())
    }
}

fn is_in_use(server: &CurrentServer) -> bool {
    server.admin == AdminState::Enabled || server.meetings > 0
}

#[cfg(test)]
mod tests;
