//! The health state machine (requirements A1–A3), as pure functions of the stored counters.
//!
//! ```text
//!            HT successes in a row                  UT failures without HT successes
//!   online <────────────────────────── unhealthy ──────────────────────────> offline
//!     │  one failed poll or call           ▲                                   │
//!     └────────────────────────────────────┘                                   │
//!     ▲                       HT successes in a row                            │
//!     └────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! Failures stick more than successes: the error count goes back to 0 only when the server is online.
//! The health is derived from the counters and never stored, so that every replica sees the same one.
//! Every function returns the record to write, or none if the counters did not change.

use usher_model::server::{Health, HealthRecord};

use crate::core::policy::Policy;

/// Window in which changes from online to unhealthy count as flapping, milliseconds (H17).
const FLAP_WINDOW_MS: i64 = 10 * 60 * 1000;
/// Number of changes within the window without a consequence.
const FLAPS_FREE: u32 = 3;
/// Polling intervals within which failed calls count as a gray failure.
pub(super) const FAILED_CALLS_WINDOW: i64 = 90;
/// Highest threshold that flapping alone can lead to.
const FLAP_CAP: u32 = 24;

/// Whether failures are believed to say something about the servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureSuspicion {
    /// Failures describe the servers.
    None,
    /// Most servers fail, so this replica is probably cut off. No server becomes offline.
    Us,
    /// Most servers have failed for so long that they are believed after all.
    HeldTooLong,
}

/// Returns the health of a server. A server without a record is on probation, one success from online.
pub fn health_of(record: Option<&HealthRecord>, policy: &Policy) -> Health {
    match record {
        Some(record) if record.recover >= healthy_threshold(record, policy) => Health::Online,
        Some(record) if record.error >= policy.unhealthy_threshold => Health::Offline,
        _ => Health::Unhealthy,
    }
}

/// Returns the number of successes in a row that this server needs: HT, doubled for each change from
/// online to unhealthy beyond the third within ten minutes before the last one (H17). It depends on the
/// record alone, because the list was cut when its newest entry was made.
pub fn healthy_threshold(record: &HealthRecord, policy: &Policy) -> u32 {
    let flaps = u32::try_from(record.flapped_at_ms.len()).unwrap_or(u32::MAX);
    let doubled = 1_u32.checked_shl(flaps.saturating_sub(FLAPS_FREE)).unwrap_or(u32::MAX);
    policy.healthy_threshold.saturating_mul(doubled).min(FLAP_CAP.max(policy.healthy_threshold))
}

/// Judges a successful poll.
pub fn on_poll_ok(record: Option<&HealthRecord>, policy: &Policy, now_ms: i64) -> Option<HealthRecord> {
    let old = current(record, policy, now_ms);
    if health_of(record, policy) == Health::Online {
        return None;
    }
    let threshold = healthy_threshold(&old, policy);
    let recover = old.recover.saturating_add(1);
    if recover < threshold {
        return Some(HealthRecord { recover, ..old });
    }
    Some(HealthRecord {
        recover: threshold,
        error: 0,
        since_ms: now_ms,
        stood_ms: 0,
        reason: String::new(),
        ..old
    })
}

/// Judges a failed poll. While `suspicion` says that the fault is probably ours, no server becomes
/// offline.
pub fn on_poll_failed(
    record: Option<&HealthRecord>,
    policy: &Policy,
    suspicion: FailureSuspicion,
    reason: &str,
    now_ms: i64,
) -> Option<HealthRecord> {
    let was = health_of(record, policy);
    let old = current(record, policy, now_ms);
    let mut new = HealthRecord { recover: 0, reason: reason.to_owned(), ..old.clone() };
    if was != Health::Offline {
        let most = match suspicion {
            FailureSuspicion::None | FailureSuspicion::HeldTooLong => policy.unhealthy_threshold,
            FailureSuspicion::Us => policy.unhealthy_threshold - 1,
        };
        // An error count is never lowered here, so that an offline server stays offline (I6).
        new.error = old.error.saturating_add(1).min(most).max(old.error);
    }
    finish(was, old, new, record.is_some(), policy, now_ms)
}

/// Judges a call that failed although polls succeed: an online server becomes unhealthy, never offline
/// (H9). It counts as no failed poll, so that offline takes the same number of polls as without it
/// (H16).
pub fn on_passive_failure(
    record: Option<&HealthRecord>,
    policy: &Policy,
    reason: &str,
    now_ms: i64,
) -> Option<HealthRecord> {
    let was = health_of(record, policy);
    let old = current(record, policy, now_ms);
    let mut new = HealthRecord { recover: 0, reason: reason.to_owned(), ..old.clone() };
    note_failed_call(&mut new, policy, now_ms);
    finish(was, old, new, record.is_some(), policy, now_ms)
}

fn finish(
    was: Health,
    old: HealthRecord,
    mut new: HealthRecord,
    stored: bool,
    policy: &Policy,
    now_ms: i64,
) -> Option<HealthRecord> {
    if was == Health::Online {
        // An entry in the future was noted before the clock was set back, and has no meaning any more.
        new.flapped_at_ms.retain(|at| (0..FLAP_WINDOW_MS).contains(&now_ms.saturating_sub(*at)));
        new.flapped_at_ms.push(now_ms);
    }
    let counters = |record: &HealthRecord| (record.recover, record.error);
    let noted = new.calls_failed_at_ms != old.calls_failed_at_ms;
    if stored && counters(&new) == counters(&old) && was != Health::Online && !noted {
        return None; // a new wording of the reason alone is not worth a write
    }
    if health_of(Some(&new), policy) != was {
        new.since_ms = now_ms;
        new.stood_ms = 0;
    }
    Some(new)
}

/// Returns the stored record, or the first one of a new server: `(HT-1, 0)`, unhealthy (A8).
fn current(record: Option<&HealthRecord>, policy: &Policy, now_ms: i64) -> HealthRecord {
    record.cloned().unwrap_or_else(|| HealthRecord {
        recover: policy.healthy_threshold - 1,
        error: 0,
        since_ms: now_ms,
        reason: String::new(),
        flapped_at_ms: Vec::new(),
        stood_ms: 0,
        calls_failed_at_ms: Vec::new(),
    })
}

/// Notes a failed call; `false` when one was noted within the last interval.
fn note_failed_call(record: &mut HealthRecord, policy: &Policy, now_ms: i64) -> bool {
    let age = |at: &i64| now_ms.saturating_sub(*at);
    let noted = &mut record.calls_failed_at_ms;
    if noted.last().is_some_and(|at| (0..interval_ms(policy)).contains(&age(at))) {
        return false;
    }
    let window = interval_ms(policy).saturating_mul(FAILED_CALLS_WINDOW);
    noted.retain(|at| (0..window).contains(&age(at)));
    noted.push(now_ms);
    true
}

pub(super) fn interval_ms(policy: &Policy) -> i64 {
    i64::try_from(policy.interval.as_millis()).unwrap_or(i64::MAX)
}
