//! The servers that a list takes out of use, and the share of them that needs no confirmation: an server_list that rendered empty
//! must not take a fleet away from its running meetings (S10).
//!
//! | what the plan cordons, disables or removes | without `--allow-shrink` | with `--allow-shrink N%` |
//! |---|---|---|
//! | nothing that is in use | goes on | goes on |
//! | at most a third of the servers in use | goes on | goes on where it is at most N % |
//! | more than a third | refused | goes on where it is at most N % |
//! | every server that has meetings | refused | goes on where N is 100 |
//!
//! In use is a server that is enabled or has meetings. One that is disabled, or cordoned and empty, takes no
//! meeting and has none: its removal takes nothing away, and it makes no fleet look larger.

use std::{collections::BTreeSet, fmt, str::FromStr};

use usher_model::{id::ServerId, server::AdminState};

use super::{
    server_list::ServerSpec,
    sync::{CurrentServer, FleetChange},
};

/// A share of the servers, `0%` to `100%`; the sign may be left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Percent(u8);

/// A text is no share.
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
    /// Servers in use before.
    pub in_use: usize,
    /// Those of them that have meetings.
    pub busy: usize,
    /// Servers in use that are cordoned, disabled or removed.
    pub hit: BTreeSet<ServerId>,
    /// Those of them that have meetings.
    pub busy_hit: usize,
    /// Meetings on the servers that are hit.
    pub meetings: u64,
    /// Users of these meetings, as the last polls saw them.
    pub users: u64,
    /// Servers that are hit and whose address the list names under another id.
    pub renamed: usize,
}

impl FleetShrinkage {
    /// Counts what `changes`, planned from `standing` to `wanted`, take out of use.
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

    /// Tells whether it goes on without more words than `allowed`.
    pub fn is_within(&self, allowed: Option<Percent>) -> bool {
        if self.hit.is_empty() {
            return true;
        }
        match allowed {
            None => self.hit.len() * 3 <= self.in_use && !self.hits_all_busy(),
            Some(allowed) => self.needed() <= allowed,
        }
    }

    /// Returns the least share that lets it go on.
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
            "it takes {} of {in_use} servers out of use, {busy_hit} of {busy} that have meetings, with {meetings} meetings \
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
